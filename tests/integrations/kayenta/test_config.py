import pytest

from canaryjudge.integrations.kayenta.config import MISSING, MetricOptions, lookup, metric_options


def read(**canary):
    return metric_options({"analysisConfigurations": {"canary": canary}}, "cpu")


@pytest.mark.parametrize(
    "metric",
    [
        {},
        {"analysisConfigurations": None},
        {"analysisConfigurations": {"canary": None}},
        {"analysisConfigurations": {"canary": {"effectSize": None, "outliers": 3}}},
    ],
)
def test_what_is_missing_has_kayentas_default(metric):
    assert metric_options(metric, "cpu") == MetricOptions()


def test_the_effects_default_is_that_of_the_measure():
    assert read(effectSize={"measure": "cles", "allowedIncrease": 0.8}) == MetricOptions(
        cles=True, allowed_increase=0.8, allowed_decrease=0.5, critical_increase=0.5, critical_decrease=0.5
    )
    assert read(effectSize={"measure": "CLES"}) == MetricOptions()


def test_null_is_zero_for_numbers_and_false_for_flags():
    assert read(effectSize={"allowedIncrease": None}).allowed_increase == 0.0
    assert read(critical=None, muted=None, mustHaveData=None) == MetricOptions()


def test_outliers():
    assert read(outliers={"strategy": "remove"}).outlier_factor == 3.0
    assert read(outliers={"strategy": "remove", "outlierFactor": 2}).outlier_factor == 2.0
    assert read(outliers={"strategy": "keep", "outlierFactor": 0}).outlier_factor is None


@pytest.mark.parametrize(
    ("data", "path", "found"),
    [
        ({"a": {"b": 1}}, ["a", "b"], 1),
        ({"a": {"b": None}}, ["a", "b"], None),
        ({"a": {"b": 1}}, ["a", "c"], MISSING),
        ({"a": 1}, ["a", "b"], MISSING),
        ([{"a": 1}, {"b": 2}, {"a": 3}], ["a"], [1, 3]),
        ([{"a": 1}], ["b"], MISSING),
        (None, [], MISSING),
        ({"a": 1}, [], {"a": 1}),
    ],
)
def test_paths(data, path, found):
    assert lookup(data, path) == found
