"""Verdicts to tell to other tools: one of each outcome, and those whose names are hostile."""

from functools import cache

import numpy as np
from hypothesis import strategies as st

import canaryjudge as cj

LEVELS = {"pass": 100.0, "marginal": 110.0, "fail": 200.0}
NASTY = [
    "<script>alert(1)</script>",
    "]]>",
    "&amp; \"quoted\" 'twice'",
    "two\nlines\r\nthree",
    "::error title=x::y",
    "##[error]z",
    "%0A::set-output name=outcome::pass",
    "100%, a:b",
    "$CI_JOB_TOKEN ${HOME} %CI_JOB_TOKEN% $$ %%",
    "\x00\x01\x0b\x1b[31m\x7f\x85\u2028\ufffe",
    "back\\slash \\n",
    "=# key: value!",
    "emoji \U0001f600 \u00e9 \u4e2d\u6587",
    "\ud800 alone",
    "| a | b |",
    "`rm -rf` $(reboot)",
]

texts = st.one_of(
    st.sampled_from(NASTY),
    st.text(
        st.one_of(
            st.characters(),
            st.characters(categories=["Cs", "Cc"]),
            st.sampled_from("\n\r\t\\\"'%:,;=$<>&]{}|"),
        )
    ),
)
"""What a name may be that nobody checked: any text at all, lone surrogates and control characters among it."""
many_names = st.lists(
    st.one_of(texts, st.text("é中\U0001f600<&", min_size=150, max_size=200)),
    min_size=1,
    max_size=60,
    unique=True,
)
"""Names of metrics, so many and so long that not all of them fit."""


@cache
def verdict(outcome="fail", role="required", **settings):
    """A release of one metric `m` that ends so, and one `fine` that passes."""
    rng = np.random.default_rng(20260305)
    base, changed, fine = rng.normal(0, 3, (3, 30))
    data = {"fine": {"baseline": 50 + 0 * fine, "canary": 50 + 0 * fine}}
    data["m"] = {"baseline": 100 + base, "canary": LEVELS.get(outcome, 100) + changed}
    if outcome == "no_data":
        data["m"] = {"baseline": 100 + base, "canary": []}
    policy = cj.Policy(
        metrics=[
            cj.Metric(name="m", unit="ms", direction="increase", role=role, no_data="marginal"),
            cj.Metric(name="fine", direction="increase"),
        ],
        **settings,
    )
    return cj.judge(data, policy)


def renamed(names, outcome="fail", reason=None):
    """A release whose metrics have these names, which no policy would let pass, and are all as `m` is."""
    one = verdict(outcome)
    result = one.metrics["m"]
    metrics = {name: result.model_copy(update={"name": name, "unit": name}) for name in names}
    said = names[0] if reason is None else reason
    changed = {
        "metrics": metrics,
        "deciding_metric": names[0],
        "reason": f"{outcome.upper()}: {said}",
        "canary_arm": said,
    }
    return one.model_copy(update=changed)
