# Two commands: `make demo` judges a bundled release, `make test` runs every check. Both set up what is missing and reuse the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test test-all check system clean

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

test: check
	$(BIN)/pytest -n 2 -m 'not slow' --doctest-modules tests canaryjudge

test-all: check
	$(BIN)/pytest -n 2 --doctest-modules tests canaryjudge

system:
	@echo 'no Debian packages are needed'

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis
