"""The sequential rule's settings: what fits which kind, and what a watch needs to end."""

import pytest

import canaryjudge as cj


def metric(**settings):
    return cj.Metric(**({"name": "m", "direction": "increase"} | settings))


@pytest.mark.parametrize(
    ("kind", "settings", "method"),
    [
        ("gauge", {}, "looks"),
        ("samples", {}, "scores"),
        ("samples", {"independent": True}, "ranks"),
        ("ratio", {}, "mixture"),
        ("count", {}, "mixture"),
        ("histogram", {}, "cmh"),
        ("gauge", {"method": "mean"}, "mean"),
        ("samples", {"method": "betting", "cap": 500}, "betting"),
        ("ratio", {"method": "looks"}, "looks"),
    ],
)
def test_auto_takes_the_method_that_fits_the_kind(kind, settings, method):
    assert cj.Sequential(**settings).method_for(kind) == method
    rule = metric(kind=kind, rules=[cj.Sequential(**settings)]).rules[0]
    assert rule.method_for(kind) == method


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda: metric(kind="samples", rules=[cj.Sequential(method="betting")]),
            "betting needs values between bounds. Give cap",
        ),
        (
            lambda: metric(rules=[cj.Sequential(method="cmh")]),
            "method: cmh does not fit kind: gauge. For a gauge take looks or mean or betting, or auto.",
        ),
        (
            lambda: metric(kind="ratio", rules=[cj.Sequential(independent=True)]),
            "independent is about samples",
        ),
        (
            lambda: metric(kind="samples", rules=[cj.Sequential(method="ranks")]),
            "takes every request as independent. Write independent: true",
        ),
        (
            lambda: metric(kind="samples", rules=[cj.Sequential(method="scores", independent=True)]),
            "method: scores does not take requests as independent",
        ),
        (lambda: metric(kind="ratio", rules=[cj.Sequential(cap="50%")]), "cap is for method: betting"),
        (
            lambda: metric(kind="samples", rules=[cj.Sequential(method="betting", cap=-1)]),
            "-1 is not above 0",
        ),
        (
            lambda: metric(kind="ratio", rules=[cj.Sequential(looks=7)]),
            "looks is for method: looks, not mixture",
        ),
        (lambda: metric(dispersion=2.0), "dispersion is for ratios and counts"),
        (lambda: metric(kind="ratio", dispersion=0.5), "dispersion"),
        (
            lambda: cj.Policy(metrics=[metric(rules=[cj.Sequential()])]),
            "looks at a gauge at planned times, and no end is given to plan for. Give the policy max_points or max_duration.",
        ),
        (
            lambda: cj.Policy(metrics=[metric()], max_points=10, max_duration="5m"),
            "max_points and max_duration are two ends of one watch",
        ),
        (lambda: cj.Policy(metrics=[metric()], on_deadline="pass"), "on_deadline needs a deadline"),
        (lambda: cj.Policy(metrics=[metric()], max_points=1), "max_points"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(make, said):
    with pytest.raises(cj.PolicyError) as error:
        make()
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_policy_with_a_watch_reads_back_what_it_wrote():
    policy = cj.Policy(
        metrics=[
            metric(kind="ratio", dispersion=2.5, rules=[cj.Sequential()]),
            metric(name="lat", kind="samples", rules=[cj.Sequential(method="betting", cap="2s")], unit="s"),
        ],
        max_duration="30m",
        on_deadline="pass",
    )
    assert cj.Policy.model_validate_json(policy.model_dump_json()) == policy
    assert policy.has_deadline
