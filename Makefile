# Two commands: `make demo` judges a bundled release, `make test` runs every check in some minutes. Both set up what is missing and reuse the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# without its bytecode, every process that a test starts would compile the library anew, which takes as long as all else that it does
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-slow fuzz check docs dist system clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	@echo 'setting up .venv, about a minute'
	@$(BIN)/python -m pip install --quiet --quiet --editable '.[dev]'
	@touch $@

demo: $(READY)
	@$(BIN)/canaryjudge judge --policy docs/examples/checkout/policy.yaml --data docs/examples/checkout/metrics.csv --exit fail=0 --exit marginal=0
	@echo
	@echo 'Now on your own CSV (columns: metric, arm, value; optional time, total):'
	@echo '  $(BIN)/canaryjudge judge --policy docs/examples/starter.yaml --data YOUR.csv'

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# as many processes as cores, and a thread each
PYTEST := OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist worksteal

test: check
	$(PYTEST) -m 'not slow' --doctest-modules tests canaryjudge

# What takes long: guarantees in full, hypothesis with all of its examples, notebooks, the site, a browser, a real Prometheus.
test-slow: $(READY)
	$(PYTEST) -m 'slow or hypothesis' --hypothesis-profile=full

# Mangled data, documents, states and command lines, RUNS of each kind: 2,000 take about an hour of one core.
RUNS ?= 2000
fuzz: $(READY)
	RUNS=$(RUNS) OPENBLAS_NUM_THREADS=1 $(BIN)/pytest -q tests/fuzz tests/test_quiet.py tests/test_same_numbers.py --hypothesis-profile=fuzz

# The documentation as a site in build/site, notebooks run: open build/site/index.html, no server needed.
docs: $(READY)
	$(BIN)/python docs/make_site.py

# Wheel and sdist in DIST, each installed into an environment of its own, where it judges the bundled release. With TAG=v1.2.3 in the environment, only if that is the version, and the
# changelog gives it a date.
DIST ?= build/dist
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' canaryjudge/_version.py)
dist:
	@[ -z "$$TAG" ] || [ "$$TAG" = 'v$(VERSION)' ] || { printf '%s\n' "the tag is $$TAG, and canaryjudge/_version.py says $(VERSION)"; exit 2; }
	@[ -z "$$TAG" ] || grep -qE '^## $(VERSION) \([0-9]{4}-[0-9]{2}-[0-9]{2}\)$$' CHANGELOG.md || { echo 'CHANGELOG.md gives $(VERSION) no date'; exit 2; }
	@rm -rf $(DIST) $(DIST)-check
	@$(PYTHON) -m venv $(DIST)-check/tools
	@$(DIST)-check/tools/bin/python -m pip install --quiet build twine
	@$(DIST)-check/tools/bin/python -m build --outdir $(DIST) >/dev/null
	@$(DIST)-check/tools/bin/twine check --strict $(DIST)/*
	@set -e; for made in $(DIST)/canaryjudge-$(VERSION)-py3-none-any.whl $(DIST)/canaryjudge-$(VERSION).tar.gz; do \
		empty=$(DIST)-check/$${made##*.}; $(PYTHON) -m venv $$empty; $$empty/bin/python -m pip install --quiet $$made; \
		[ "$$($$empty/bin/canaryjudge --version)" = 'canaryjudge $(VERSION)' ]; \
		$$empty/bin/canaryjudge judge --brief --policy docs/examples/checkout/policy.yaml --data docs/examples/checkout/metrics.csv --exit fail=10 || [ $$? = 10 ]; \
		echo "$$made judges"; \
	done
	@rm -rf $(DIST)-check

# Debian's Prometheus and PostgreSQL, which some tests start on a loopback port, Chromium, in which some look at the report (Inter is the letters of the pictures
# in docs/images), and buildah, with which some build the image on Debian's Python (mmdebstrap); without them those tests are skipped. No service is started.
SYSTEM := prometheus postgresql chromium fonts-inter buildah mmdebstrap
system:
	@if command -v prometheus >/dev/null && command -v chromium >/dev/null && command -v buildah >/dev/null && command -v mmdebstrap >/dev/null \
		&& ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then echo '$(SYSTEM) are installed'; \
	elif ! command -v apt-get >/dev/null || [ "$$(id -u)" != 0 ]; then \
		echo 'of $(SYSTEM) some are not installed (that takes apt-get and root): their tests will be skipped'; \
	else \
		policy=/usr/sbin/policy-rc.d; [ -e $$policy ] || { printf '#!/bin/sh\nexit 101\n' >$$policy; chmod +x $$policy; own=$$policy; }; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(SYSTEM) >/dev/null; \
		code=$$?; [ -z "$$own" ] || rm -f "$$own"; exit $$code; \
	fi

clean:
	rm -rf $(VENV) build .cache .mypy_cache .ruff_cache .hypothesis
