"""Wrong policies, data and options: the class and the sentence of each refusal."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

import canaryjudge as cj
from recording.facts import Case, Fact, masked, of_command, of_value, of_verdict

__all__ = ["cases"]

_INF, _NAN = float("inf"), float("nan")
_ODD: Final[tuple[Any, ...]] = (
    None,
    True,
    0,
    -1,
    2,
    1.5,
    1e300,
    _NAN,
    "",
    " x",
    "x",
    "5",
    "5%",
    "150%",
    "-5%",
    "5ms",
    "5 parsecs",
    [],
    {},
    ["x"],
    {"a": 1},
)
"""What is tried for every field."""

_POLICY_FIELDS: Final = (
    "version",
    "extends",
    "alpha",
    "beta",
    "aggregate",
    "pass_score",
    "marginal_score",
    "groups",
    "split",
    "max_points",
    "max_duration",
    "on_deadline",
    "prometheus",
    "metrics",
    "alhpa",
)
_METRIC_FIELDS: Final = (
    "name",
    "direction",
    "kind",
    "unit",
    "tolerance",
    "effect",
    "role",
    "weight",
    "group",
    "pairing",
    "interval",
    "counter",
    "query",
    "min_points",
    "dispersion",
    "noise_floor",
    "no_data",
    "pass_when",
    "rules",
    "directoin",
)
_RULES: Final[dict[str, tuple[str, dict[str, Any], tuple[str, ...]]]] = {
    "mann_whitney": ("gauge", {}, ("method", "metod")),
    "proportion": ("ratio", {}, ("method",)),
    "rate": ("count", {}, ("method",)),
    "sequential": ("samples", {}, ("method", "independent", "cap", "looks", "spending")),
    "slo": (
        "gauge",
        {"of": "mean", "op": "lte", "value": 100},
        (
            "of",
            "bound",
            "op",
            "value",
            "change",
            "between",
            "fail_value",
            "fail_change",
            "fail_between",
            "method",
            "evidence",
            "blame",
        ),
    ),
    "burn_rate": (
        "ratio",
        {"target": "99%"},
        (
            "target",
            "budgeting",
            "time_slice_target",
            "time_slice_window",
            "period",
            "calendar",
            "alerts",
            "traffic",
            "bound",
            "at_bound",
            "blame",
        ),
    ),
    "tail": ("samples", {}, ("beyond", "tolerance")),
    "excursion": ("gauge", {}, ("tolerance",)),
    "late_shift": ("gauge", {}, ("tolerance",)),
    "any_of": ("gauge", {"rules": ["mann_whitney"]}, ("rules",)),
    "all_of": ("gauge", {"rules": ["mann_whitney"]}, ("rules",)),
}
_WHOLE: Final[dict[str, dict[str, Any]]] = {
    "no metrics": {},
    "twice": {"metrics": [{"name": "m", "direction": "increase"}] * 2},
    "none can fail": {"metrics": [{"name": "m", "direction": "increase", "role": "advisory"}]},
    "score settings": {"pass_score": 90, "metrics": [{"name": "m", "direction": "increase"}]},
    "score order": {
        "aggregate": "score",
        "pass_score": 50,
        "marginal_score": 60,
        "metrics": [{"name": "m", "direction": "increase"}],
    },
    "group nobody is in": {
        "aggregate": "score",
        "groups": {"latencies": 2},
        "metrics": [{"name": "m", "direction": "increase", "group": "latency"}],
    },
    "two ends": {"max_points": 50, "max_duration": "1h", "metrics": [{"name": "m", "direction": "increase"}]},
    "no end": {"on_deadline": "pass", "metrics": [{"name": "m", "direction": "increase"}]},
    "no end for looks": {"metrics": [{"name": "m", "direction": "increase", "rules": ["sequential"]}]},
    "split": {
        "split": {"baseline": "90%", "canary": "20%"},
        "metrics": [{"name": "m", "direction": "increase"}],
    },
    "selector": {
        "prometheus": {"baseline": "x", "canary": 'y="1"'},
        "metrics": [{"name": "m", "direction": "increase", "query": "up"}],
    },
    "query without": {"metrics": [{"name": "m", "direction": "increase", "query": "up{${selector}}"}]},
    "total of a gauge": {
        "metrics": [{"name": "m", "direction": "increase", "query": {"value": "up", "total": "down"}}]
    },
}
_METRICS: Final[dict[str, dict[str, Any]]] = {
    "effect of a ratio": {"kind": "ratio", "effect": "ratio"},
    "effect of a histogram": {"kind": "histogram", "effect": "ratio"},
    "effect and absolute": {"effect": "ratio", "tolerance": {"absolute": 3}},
    "counter gauge": {"counter": True},
    "dispersion of a gauge": {"dispersion": 2.0},
    "units": {"unit": "ms", "tolerance": "5MB"},
    "percent of ms": {"unit": "ms", "tolerance": {"absolute": "5%"}},
    "ratio in ms": {"kind": "ratio", "tolerance": {"absolute": "5ms"}},
    "ratio above one": {"kind": "ratio", "tolerance": {"absolute": 5}},
    "negative count": {"kind": "count", "rules": [{"rule": "slo", "of": "pooled", "op": "lte", "value": -4}]},
    "floor without size": {"noise_floor": {}},
    "floor without windows": {"noise_floor": {"between_windows": "3%"}},
    "floor of nothing": {"noise_floor": {"between_windows": "3%", "windows": 8, "replicas": 3}},
    "floor and exact": {
        "noise_floor": {"between_windows": "3%", "windows": 8},
        "rules": [{"rule": "mann_whitney", "method": "exact"}],
    },
    "negative floor": {"noise_floor": {"between_windows": {"absolute": -3}, "windows": 8}},
    "twice": {"rules": ["mann_whitney", "mann_whitney"]},
    "tail either": {"kind": "samples", "direction": "either", "rules": ["tail"]},
    "tail low": {"kind": "samples", "rules": [{"rule": "tail", "beyond": "p5"}]},
    "tail fixed in MB": {"kind": "samples", "unit": "ms", "rules": [{"rule": "tail", "beyond": "3MB"}]},
    "betting without cap": {"rules": [{"rule": "sequential", "method": "betting"}]},
    "cap without betting": {"rules": [{"rule": "sequential", "method": "mean", "cap": 3}]},
    "ranks": {"kind": "samples", "rules": [{"rule": "sequential", "method": "ranks"}]},
    "independent scores": {
        "kind": "samples",
        "rules": [{"rule": "sequential", "method": "scores", "independent": True}],
    },
    "independent gauge": {"rules": [{"rule": "sequential", "method": "mean", "independent": True}]},
    "looks of mean": {"rules": [{"rule": "sequential", "method": "mean", "looks": 3}]},
    "exact histogram": {"kind": "histogram", "rules": [{"rule": "mann_whitney", "method": "exact"}]},
    "mean of a histogram": {
        "kind": "histogram",
        "rules": [{"rule": "slo", "of": "mean", "op": "lte", "value": 3}],
    },
    "pooled gauge": {"rules": [{"rule": "slo", "of": "pooled", "op": "lte", "value": 3}]},
    "max": {"rules": [{"rule": "slo", "of": "max", "op": "lte", "value": 3}]},
    "within without bound": {"rules": [{"rule": "slo", "of": "within", "op": "gte", "value": "99%"}]},
    "within 99": {"rules": [{"rule": "slo", "of": "within", "bound": 5, "op": "gte", "value": 99}]},
    "two objectives": {"rules": [{"rule": "slo", "of": "mean", "op": "lte", "value": 3, "between": [1, 2]}]},
    "no objective": {"rules": [{"rule": "slo", "of": "mean", "op": "lte"}]},
    "no op": {"rules": [{"rule": "slo", "of": "mean", "value": 3}]},
    "op and between": {"rules": [{"rule": "slo", "of": "mean", "op": "lte", "between": [1, 2]}]},
    "between swapped": {"rules": [{"rule": "slo", "of": "mean", "between": [3, 2]}]},
    "between equal": {"rules": [{"rule": "slo", "of": "mean", "between": [2, 2]}]},
    "stricter fail": {"rules": [{"rule": "slo", "of": "mean", "op": "lte", "value": 3, "fail_value": 2}]},
    "stricter fail change": {
        "rules": [{"rule": "slo", "of": "mean", "op": "lte", "change": "+10%", "fail_change": "+5%"}]
    },
    "stricter fail between": {
        "rules": [{"rule": "slo", "of": "mean", "between": [1, 5], "fail_between": [2, 4]}]
    },
    "other fail": {"rules": [{"rule": "slo", "of": "mean", "op": "lte", "value": 3, "fail_change": "+5%"}]},
    "other parts": {
        "rules": [
            {"rule": "slo", "of": "mean", "op": "lte", "change": "+10%", "fail_change": {"absolute": 3}}
        ]
    },
    "other signs": {
        "rules": [{"rule": "slo", "of": "mean", "op": "lte", "change": {"relative": "+10%", "absolute": -3}}]
    },
    "group of sequential": {"rules": [{"rule": "any_of", "rules": ["sequential"]}]},
    "group twice": {"rules": [{"rule": "any_of", "rules": ["late_shift", "late_shift"]}]},
    "group misfit": {"rules": [{"rule": "any_of", "rules": ["rate"]}]},
    "deep group": {
        "rules": [
            {
                "rule": "any_of",
                "rules": [
                    {
                        "rule": "all_of",
                        "rules": [
                            {
                                "rule": "any_of",
                                "rules": [
                                    {
                                        "rule": "all_of",
                                        "rules": [
                                            {
                                                "rule": "any_of",
                                                "rules": [
                                                    {
                                                        "rule": "all_of",
                                                        "rules": [
                                                            {
                                                                "rule": "any_of",
                                                                "rules": [
                                                                    {
                                                                        "rule": "all_of",
                                                                        "rules": ["late_shift"],
                                                                    }
                                                                ],
                                                            }
                                                        ],
                                                    }
                                                ],
                                            }
                                        ],
                                    }
                                ],
                            }
                        ],
                    }
                ],
            }
        ]
    },
    "burn slices": {
        "kind": "ratio",
        "rules": [{"rule": "burn_rate", "target": "99%", "budgeting": "timeslices"}],
    },
    "burn slice target": {
        "kind": "ratio",
        "rules": [{"rule": "burn_rate", "target": "99%", "time_slice_target": "95%"}],
    },
    "burn without bound": {"rules": [{"rule": "burn_rate", "target": "99%"}]},
    "burn of counts": {"kind": "count", "rules": [{"rule": "burn_rate", "target": "99%"}]},
    "burn calendar and period": {
        "kind": "ratio",
        "rules": [
            {
                "rule": "burn_rate",
                "target": "99%",
                "period": "7d",
                "calendar": {"duration": "1M", "start": "2026-01-01 00:00:00"},
            }
        ],
    },
    "burn calendar": {
        "kind": "ratio",
        "rules": [
            {
                "rule": "burn_rate",
                "target": "99%",
                "calendar": {"duration": "1x", "start": "2026-01-01", "zone": "Mars"},
            }
        ],
    },
    "burn alerts": {
        "kind": "ratio",
        "rules": [
            {
                "rule": "burn_rate",
                "target": "99%",
                "alerts": [{"long": "1h", "short": "2h", "burn_rate": 3.0}],
            }
        ],
    },
    "unknown rule": {"rules": ["t_test"]},
    "nearly a rule": {"rules": ["manwhitney"]},
    "rule without name": {"rules": [{"of": "p99"}]},
    "wrong direction": {"direction": "lower_is_better"},
    **{
        f"{rule} of {kind}": {"kind": kind, "rules": [{"rule": rule} | more]}
        for rule, (_, more, _names) in _RULES.items()
        for kind in ("gauge", "samples", "ratio", "count", "histogram")
    },
}
_TEXTS: Final = {
    "empty": "",
    "words": "just words",
    "list": "- name: a\n  direction: increase\n",
    "tab": "metrics:\n\t- name: a\n",
    "twice": "metrics:\n- name: a\n  direction: increase\n  name: b\n",
    "open": "metrics: [{name: a, direction: increase}",
    "alias": "metrics:\n- &a {name: a, direction: increase}\n- *a\n",
    "bomb": "a: &a [x, x]\nb: &b [*a, *a]\nmetrics: *b\n",
    "tag": "metrics: !!python/object:os.system x\n",
    "documents": "metrics:\n- {name: a, direction: increase}\n---\nmetrics: []\n",
    "json": '{"metrics": [{"name": "a",\n "direction": "up"}]}',
    "json twice": '{"metrics": [{"name": "a",\n "direction": "increase", "name": "b"}]}',
    "no value": "metrics:\n- name: a\n  direction:\nalpha: 1%\n",
    "not UTF-8": "metrics:\n- name: \udcff\n",
    "date": "metrics:\n- {name: a, direction: increase}\nalpha: 2024-01-01\n",
    "deep": "a: " + "[" * 60 + "]" * 60 + "\n",
    "extends itself": "extends: wrong.yaml\nmetrics:\n- {name: a, direction: increase}\n",
    "extends nothing": "extends: gone.yaml\n",
    "extends good": "extends: good.yaml\nmetrics:\n- {name: m, tolerance: 5%}\n- {name: n}\n",
    "several mistakes": "alhpa: 1%\nmetrics:\n- name: a\n  direction: up\n  weight: -1\n",
}
_GOOD: Final = "metrics:\n- {name: m, direction: increase}\n"
_HEAD: Final = "metric,arm,time,value\n"
_ROWS: Final = "".join(
    f"m,{arm},{60 * i},{100 + i % 3}\n" for i in range(15) for arm in ("baseline", "canary")
)
_TABLES: Final = {
    "good": _HEAD + _ROWS,
    "empty": "",
    "header alone": _HEAD,
    "no arm": "metric,time,value\nm,0,1\n",
    "no value": "metric,arm,vallue\nm,baseline,1\n",
    "no metric": "arm,value\nbaseline,1\n",
    "bad cell": _HEAD + _ROWS + "m,canary,900,abc\n",
    "bad time": _HEAD + _ROWS + "m,canary,yesterday,5\n",
    "no time": _HEAD + _ROWS + "m,canary,,5\n",
    "empty arm": _HEAD + _ROWS + "m,,900,5\n",
    "empty metric": _HEAD + _ROWS + ",canary,900,5\n",
    "too many cells": _HEAD + _ROWS + "m,canary,900,5,6\n",
    "too few cells": _HEAD + _ROWS + "m,canary\n",
    "quotes": _HEAD + '"m","baseline",0,"1"\n' + _ROWS,
    "open quote": _HEAD + _ROWS + '"m,canary,900,5\n',
    "semicolons": (_HEAD + _ROWS).replace(",", ";"),
    "tabs": (_HEAD + _ROWS).replace(",", "\t"),
    "comma decimals": (_HEAD + _ROWS).replace(",10", ',"10,5'.replace('"', "") + "0"),
    "byte order mark": "\ufeff" + _HEAD + _ROWS,
    "carriage returns": (_HEAD + _ROWS).replace("\n", "\r\n"),
    "blank lines": (_HEAD + _ROWS).replace("\n", "\n\n", 5),
    "missing words": _HEAD
    + _ROWS
    + "".join(
        f"m,canary,{900 + 60 * i},{word}\n"
        for i, word in enumerate(("NaN", "null", "", "None", "+Inf", "-", "n/a"))
    ),
    "thousands": _HEAD + _ROWS + 'm,canary,900,"1,000"\n',
    "percent": _HEAD + _ROWS + "m,canary,900,5%\n",
    "units": _HEAD + _ROWS + "m,canary,900,5ms\n",
    "spaces": _HEAD + _ROWS.replace(",", " , "),
    "capital header": _HEAD.upper() + _ROWS,
    "column twice": "metric,arm,value,value\nm,baseline,1,2\n",
    "other metric": _HEAD + _ROWS.replace("m,", "n,"),
    "other arms": _HEAD + _ROWS.replace("canary", "v2").replace("baseline", "v1"),
    "nearly the arm": _HEAD + _ROWS.replace("canary", "canry"),
    "one arm": _HEAD + "".join(line + "\n" for line in _ROWS.splitlines() if "canary" not in line),
    "times of all kinds": _HEAD + _ROWS + "m,canary,2026-01-01T00:00:00Z,5\nm,canary,1700000000000,5\n",
    "zones": _HEAD
    + "".join(
        f"m,{arm},2026-01-01T00:{i:02d}:00{zone},{100 + i % 4}\n"
        for i in range(15)
        for arm, zone in (("baseline", "+01:00"), ("canary", "Z"))
    ),
    "no zones": _HEAD
    + "".join(
        f"m,{arm},2026-01-01 00:{i:02d}:00,{100 + i % 4}\n"
        for i in range(15)
        for arm in ("baseline", "canary")
    ),
    "NUL": _HEAD + _ROWS + "m,canary,900,\0\n",
}
_JSON: Final = {
    "cut": '[{"metric": "m", "arm": "canary", "value": 1}',
    "number": "5",
    "words": '"m"',
    "rows": json.dumps(
        [
            {"metric": "m", "arm": arm, "time": 60 * i, "value": 100 + i % 3}
            for i in range(15)
            for arm in ("baseline", "canary")
        ]
    ),
    "row is 5": '[{"metric": "m", "arm": "canary", "value": 1}, 5]',
    "mapping": json.dumps({"m": {arm: [100 + i % 3 for i in range(15)] for arm in ("baseline", "canary")}}),
    "columns": json.dumps(
        {
            "m": {
                arm: {"time": [60 * i for i in range(15)], "value": [100 + i % 3 for i in range(15)]}
                for arm in ("baseline", "canary")
            }
        }
    ),
    "lengths": json.dumps(
        {"m": {arm: {"time": [0, 60], "value": [1, 2, 3]} for arm in ("baseline", "canary")}}
    ),
    "text value": json.dumps({"m": {arm: {"value": [1, "x", 3]} for arm in ("baseline", "canary")}}),
    "unknown column": json.dumps(
        {"m": {arm: {"value": [1, 2], "weight": [1, 2]} for arm in ("baseline", "canary")}}
    ),
    "no value": json.dumps({"m": {arm: {"time": [1, 2]} for arm in ("baseline", "canary")}}),
    "null": json.dumps({"m": {arm: {"value": [1, None, 3]} for arm in ("baseline", "canary")}}),
    "nested": json.dumps({"m": {arm: {"value": [[1], [2]]} for arm in ("baseline", "canary")}}),
    "three arms": json.dumps({"m": {arm: [1.0] * 12 for arm in ("baseline", "canary", "other")}}),
    "NaN": '{"m": {"baseline": [1, NaN, 2], "canary": [1, 2, Infinity]}}',
    "huge": '{"m": {"baseline": [1, 1e999], "canary": [1, 2]}}',
    "twice": '{"m": {"baseline": [1], "baseline": [2], "canary": [1]}}',
}
_OPTIONS: Final = {
    "no policy": "judge --data good.csv",
    "no data": "judge --policy good.yaml",
    "both": "judge --policy good.yaml --data good.csv --prometheus http://127.0.0.1:1",
    "policy is not there": "judge --policy gone.yaml --data good.csv",
    "data are not there": "judge --policy good.yaml --data gone.csv",
    "policy is a folder": "judge --policy . --data good.csv",
    "data are a folder": "judge --policy good.yaml --data .",
    "format": "judge --policy good.yaml --data good.csv --format xml",
    "also": "judge --policy good.yaml --data good.csv --also junit",
    "also unknown": "judge --policy good.yaml --data good.csv --also xml=out.xml",
    "also twice": "judge --policy good.yaml --data good.csv --also junit=x.xml --also json=x.xml",
    "overwrites": "judge --policy good.yaml --data good.csv --output good.csv",
    "tekton": "judge --policy good.yaml --data good.csv --format tekton",
    "exit word": "judge --policy good.yaml --data good.csv --exit great=1",
    "exit code": "judge --policy good.yaml --data good.csv --exit fail=300",
    "exit number": "judge --policy good.yaml --data good.csv --exit fail=x",
    "exit no data": "judge --policy good.yaml --data good.csv --exit no_data=9 --exit pass=7",
    "option": "judge --policy good.yaml --data good.csv --fromat json",
    "argument": "judge --policy good.yaml --data good.csv extra",
    "same arms": "judge --policy good.yaml --data good.csv --baseline canary",
    "arm": "judge --policy good.yaml --data good.csv --baseline blue",
    "data format": "judge --policy good.yaml --data good.csv --data-format parquet",
    "otlp": "judge --policy good.yaml --data good.csv --data-format otlp",
    "kayenta": "judge --policy good.yaml --data good.csv --data-format kayenta",
    "json as csv": "judge --policy good.yaml --data rows.json --data-format csv",
    "ending": "judge --policy good.yaml --data good.yaml",
    "wide column": "judge --policy good.yaml --data good.csv --wide version",
    "wide otlp": "judge --policy good.yaml --data good.csv --wide arm --data-format otlp",
    "column alone": "judge --policy good.yaml --data good.csv --column m=value",
    "column form": "judge --policy good.yaml --data good.csv --wide arm --column m",
    "column unknown": "judge --policy good.yaml --data good.csv --wide arm --column x=value",
    "wide": "judge --policy good.yaml --data good.csv --wide arm --column m=value --format json",
    "prometheus without queries": "judge --policy good.yaml --prometheus http://127.0.0.1:1",
    "prometheus address": "judge --policy examples/prometheus/policy.yaml --prometheus nowhere",
    "prometheus away": "judge --policy examples/prometheus/policy.yaml --prometheus http://127.0.0.1:1 --timeout 3",
    "prometheus options": "judge --policy good.yaml --data good.csv --window 5m",
    "monitor without state": "monitor --policy good.yaml --data good.csv",
    "monitor without end": "monitor --policy good.yaml --data good.csv --state s.json",
    "monitor state": "monitor --policy good.yaml --data good.csv --state good.yaml",
    "watch without data": "watch --policy good.yaml",
    "watch interval": "watch --policy good.yaml --data good.csv --interval fast",
    "calibrate without history": "calibrate --policy good.yaml",
    "calibrate history": "calibrate --policy good.yaml --history gone.csv --quiet --jobs 1",
    "calibrate short": "calibrate --policy good.yaml --history good.csv --quiet --jobs 1",
    "calibrate length": "calibrate --policy good.yaml --history good.csv --length x --quiet --jobs 1",
    "calibrate pairs": "calibrate --policy good.yaml --history good.csv --pairs 0 --quiet --jobs 1",
    "plan assume": "plan --policy good.yaml --assume m.level",
    "plan assume unknown": "plan --policy good.yaml --assume m.levl=3",
    "plan assume metric": "plan --policy good.yaml --assume x.level=3",
    "plan size": "plan --policy good.yaml --assume spread=3% --size big",
    "plan power": "plan --policy good.yaml --assume spread=3% --power 200%",
    "plan share": "plan --policy good.yaml --assume spread=3% --share 0",
    "plan": "plan --policy good.yaml --assume spread=3%",
    "doctor": "doctor --policy good.yaml --data good.csv",
    "doctor format": "doctor --policy good.yaml --format html",
    "verify without": "verify --policy good.yaml --data good.csv",
    "verify nothing": "verify --verdict good.yaml --policy good.yaml --data good.csv",
    "validate": "validate",
    "import": "import",
    "import tool": "import spinnaker good.yaml",
    "import nothing": "import argo gone.yaml",
    "import other": "import argo good.yaml",
    "import argument": "import argo examples/argo/checkout.yaml --arg x",
    "command": "juge --policy good.yaml",
}


def cases() -> Iterator[Case]:
    """Give every case; each field's odd values are one."""
    for name, text in {"good": _GOOD, "base": _GOOD}.items():
        Path(f"{name}.yaml").write_text(text, "utf-8")
    Path("good.csv").write_text(_TABLES["good"], "utf-8")
    Path("rows.json").write_text(_JSON["rows"], "utf-8")
    for field in _POLICY_FIELDS:
        yield (
            f"policy/{field}",
            lambda field=field: _odd(
                lambda value: {"metrics": [{"name": "m", "direction": "increase"}], field: value}
            ),
        )
    for field in _METRIC_FIELDS:
        yield (
            f"metric/{field}",
            lambda field=field: _odd(
                lambda value: {"metrics": [{"name": "m", "direction": "increase", field: value}]}
            ),
        )
    for rule, (kind, more, fields) in _RULES.items():
        for field in fields:
            yield (
                f"rule/{rule}/{field}",
                lambda rule=rule, kind=kind, more=more, field=field: _odd(
                    lambda value: {
                        "metrics": [
                            {
                                "name": "m",
                                "kind": kind,
                                "direction": "increase",
                                "rules": [{"rule": rule} | more | {field: value}],
                            }
                        ]
                    }
                ),
            )
    for name, given in _WHOLE.items():
        yield f"whole/{name}", lambda given=given: _policy(given)
    for name, given in _METRICS.items():
        yield (
            f"whole metric/{name}",
            lambda given=given: _policy(
                {"metrics": [{"name": "m", "direction": "increase"} | given], "max_points": 50}
            ),
        )
    for name, text in _TEXTS.items():
        yield f"text/{name}", lambda text=text: _text(text)
    for name, text in _TABLES.items():
        for ending in ("csv", "ndjson") if name == "good" else ("csv",):
            yield f"table/{name} {ending}", lambda text=text, ending=ending: _table(text, ending)
    for name, text in _JSON.items():
        yield f"json/{name}", lambda text=text: _table(text, "json")
    for name, line in _OPTIONS.items():
        yield f"options/{name}", lambda line=line: of_command(*line.split())
    for name, data in _data().items():
        yield f"data/{name}", lambda data=data: _judged(data)
    yield "classes", _classes
    yield "uses", _uses


def _made(given: dict[str, Any]) -> list[str]:
    try:
        policy = cj.Policy(**given)
    except Exception as error:  # noqa: BLE001 - what is raised is the answer
        return [type(error).__name__, masked(str(error))]
    return ["accepted", policy.model_dump_json(exclude_defaults=True)]


def _odd(given: Callable[[Any], dict[str, Any]]) -> Iterator[Fact]:
    for value in _ODD:
        yield repr(value), "", "made", _made(given(value))


def _policy(given: dict[str, Any]) -> Iterator[Fact]:
    yield "", "", "made", _made(given)
    Path("wrong.yaml").write_text(json.dumps(given, indent=1), "utf-8")
    yield from of_command("validate", "wrong.yaml")


def _text(text: str) -> list[Fact]:
    Path("wrong.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    found = of_command("validate", "wrong.yaml", "good.yaml")
    return found + of_command("judge", "--policy", "wrong.yaml", "--data", "good.csv", metric="judged")


def _table(text: str, ending: str) -> list[Fact]:
    path = Path(f"given.{ending}")
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    found = of_command("judge", "--policy", "good.yaml", "--data", str(path), "--format", "json")
    found += of_command("doctor", "--policy", "good.yaml", "--data", str(path), metric="doctor")
    return found + of_command(
        "judge", "--policy", "good.yaml", "--data", "-", stdin=path.read_bytes(), metric="from standard input"
    )


def _data() -> dict[str, Any]:
    good = np.arange(12.0)
    both = ("baseline", "canary")
    rows = [{"metric": "m", "arm": arm, "value": float(i)} for i in range(12) for arm in both]
    return {
        **{
            f"{type(value).__name__} {number}": value
            for number, value in enumerate(
                (None, 5, "data.csv", b"x", [1, 2], ["a"], [], {}, np.ones(3), {1, 2}, pd.Series([1]), object)
            )
        },
        "rows": rows,
        "rows missing": [*rows, {"metric": "m", "arm": "canary"}],
        "rows unknown arm": [*rows, {"metric": "m", "arm": "other", "value": 1.0}],
        "rows bool": [*rows, {"metric": "m", "arm": "canary", "value": True}],
        "frame": pd.DataFrame(rows),
        "frame index": pd.DataFrame(rows).set_index("metric"),
        "arrays": {"m": dict.fromkeys(both, good)},
        "two dimensions": {"m": {arm: np.ones((3, 2)) for arm in both}},
        "complex": {"m": dict.fromkeys(both, good + 1j)},
        "texts": {"m": {arm: ["1", "2", "3"] for arm in both}},
        "words": {"m": {arm: ["a"] for arm in both}},
        "booleans": {"m": {arm: [True, False] for arm in both}},
        "objects": {"m": {arm: [object()] for arm in both}},
        "masked": {"m": {arm: np.ma.masked_array(good, good > 9) for arm in both}},
        "empty": {"m": {arm: [] for arm in both}},
        "scalar": {"m": dict.fromkeys(both, 5.0)},
        "none": {"m": dict.fromkeys(both)},
        "no arms": {"m": {}},
        "flat": {"m": good},
        "sketch": {"m": {arm: cj.Sketch() for arm in both}},
        "times apart": {
            "m": {
                arm: {"time": np.arange(12) * 60.0 + 1e6 * number, "value": good}
                for number, arm in enumerate(both)
            }
        },
        "times missing": {
            "m": {"baseline": {"time": np.arange(12) * 60.0, "value": good}, "canary": {"value": good}}
        },
        "times NaN": {"m": {arm: {"time": np.full(12, _NAN), "value": good} for arm in both}},
        "times infinite": {"m": {arm: {"time": np.full(12, _INF), "value": good} for arm in both}},
        "times negative": {"m": {arm: {"time": -np.arange(12.0), "value": good} for arm in both}},
        "times huge": {"m": {arm: {"time": 1e30 + np.arange(12.0), "value": good} for arm in both}},
        "dates": {
            "m": {
                arm: {"time": pd.date_range("2026-01-01", periods=12, freq="min"), "value": good}
                for arm in both
            }
        },
        "dates with zone": {
            "m": {
                arm: {
                    "time": pd.date_range("2026-01-01", periods=12, freq="min", tz="Asia/Tokyo"),
                    "value": good,
                }
                for arm in both
            }
        },
        "total": {"m": {arm: {"value": good, "total": good + 1} for arm in both}},
        "le": {"m": {arm: {"value": good, "le": good + 1} for arm in both}},
        "buckets": {"m": {arm: {"buckets": np.ones((3, 2)), "edges": [1, 2]} for arm in both}},
        "replica": {"m": {arm: {"value": good, "replica": ["a", "b", "c"] * 4} for arm in both}},
        "replica lengths": {"m": {arm: {"value": good, "replica": ["a"]} for arm in both}},
        "increases": {"m": {arm: {"value": good, "increases": True} for arm in both}},
        "row": {"m": {arm: {"value": ["1", "x"], "row": [7, 9]} for arm in both}},
        "huge": {"m": dict.fromkeys(both, good * 1e307)},
        "tiny": {"m": dict.fromkeys(both, good * 1e-320)},
        "big integers": {"m": {arm: [10**400] for arm in both}},
    }


def _judged(data: Any) -> Iterator[Fact]:
    for kind in ("gauge", "samples", "ratio", "count", "histogram"):
        policy = cj.Policy(metrics=[{"name": "m", "kind": kind, "direction": "increase"}])
        try:
            verdict = cj.judge(data, policy)
        except Exception as error:  # noqa: BLE001 - what is raised is the answer
            yield kind, "", "raised", [type(error).__name__, masked(str(error))]
        else:
            yield from of_verdict(verdict, kind)
        try:
            told = masked(cj.doctor(policy, data).explain()).splitlines()
        except Exception as error:  # noqa: BLE001 - as above
            told = [type(error).__name__, masked(str(error))]
        yield kind, "", "doctor", told


def _classes() -> Iterator[Fact]:
    """Make each rule by its class, as Python's users do, and show it."""
    made = {
        "MannWhitney": lambda: cj.MannWhitney(method="exact"),
        "Proportion": cj.Proportion,
        "Rate": cj.Rate,
        "Sequential": lambda: cj.Sequential(method="betting", cap=3),
        "Slo": lambda: cj.Slo(of="p99", op="lte", value="200ms"),
        "Slo wrong": lambda: cj.Slo(of="P99", op="lte", value=1),
        "BurnRate": lambda: cj.BurnRate(target="99.9%"),
        "BurnRate wrong": lambda: cj.BurnRate(target=99.9),
        "Tail": lambda: cj.Tail(beyond="p99"),
        "Excursion": cj.Excursion,
        "LateShift": lambda: cj.LateShift(tolerance="300%"),
        "AnyOf": lambda: cj.AnyOf(rules=[cj.MannWhitney(), cj.LateShift()]),
        "AllOf": lambda: cj.AllOf(rules=[]),
        "Split": lambda: cj.Split(baseline="90%", canary="10%"),
        "Split wrong": lambda: cj.Split(baseline="90%", canary="20%"),
        "Tolerance": lambda: cj.Tolerance(relative="10%", absolute="3ms"),
        "Tolerance wrong": lambda: cj.Tolerance(absolute="x"),
        "Metric": lambda: cj.Metric(name="a", direction="increase", rules=[cj.MannWhitney()]),
        "Metric wrong": lambda: cj.Metric(name="a", direction="up"),
        "Policy": lambda: cj.Policy(metrics=[cj.Metric(name="a", direction="increase")]),
        "Policy empty": cj.Policy,
    }
    for name, make in made.items():
        try:
            yield from of_value({"repr": repr(make()), "dump": make().model_dump(mode="json")}, name)
        except Exception as error:  # noqa: BLE001 - as above
            yield name, "", "raised", [type(error).__name__, str(error)]


def _uses() -> Iterator[Fact]:
    """Use a verdict and a function as they must not be used."""
    policy = cj.Policy(metrics=[{"name": "m", "direction": "increase"}])
    verdict = cj.judge({"m": {"baseline": [5.0] * 20, "canary": [9.0, 8.0] * 10}}, policy)
    asked: dict[str, Callable[[], Any]] = {
        "truth": lambda: bool(verdict),
        "raise_for_outcome": verdict.raise_for_outcome,
        "judge no policy": lambda: cj.judge({}, {"metrics": []}),
        "judge a list": lambda: cj.judge({}, [policy]),
        "from_json": lambda: type(verdict).from_json("{}"),
        "from_json version": lambda: type(verdict).from_json(
            verdict.to_json().replace('"schema_version"', '"version_of_schema"')
        ),
        "from_json text": lambda: type(verdict).from_json("nothing"),
        "plot": lambda: verdict.plot("x"),
        "change": lambda: setattr(verdict, "alpha", 1),
        "load_policy": lambda: cj.load_policy("gone.yaml"),
        "wide": lambda: cj.from_wide(pd.DataFrame({"a": [1]}), arm="version", metrics={"m": "a"}),
        "wide column": lambda: cj.from_wide(
            pd.DataFrame({"version": ["x"], "a": [1]}), arm="version", metrics={"m": "b"}
        ),
        "wide nothing": lambda: cj.from_wide(5, arm="version", metrics={"m": "b"}),
        "sketch": lambda: cj.Sketch(relative_error=2),
        "sketch value": lambda: cj.Sketch().add([-1.0, _NAN]),
        "sketch json": lambda: cj.Sketch.from_json("{}"),
        "calibrate": lambda: cj.calibrate({}, policy),
        "plan": lambda: cj.plan(policy),
        "doctor": lambda: cj.doctor("x"),
        "otlp": lambda: cj.from_otlp({}, arm="version"),
        "kayenta": lambda: cj.from_kayenta({}),
        "prometheus": lambda: cj.from_prometheus({}),
        "load_argo": cj.load_argo,
        "load_flagger": lambda: cj.load_flagger(text="a: 1"),
        "load_kayenta": lambda: cj.load_kayenta(text="{}"),
        "load_openslo": lambda: cj.load_openslo(text="[]"),
        "attribute": lambda: cj.judge_everything,
    }
    for name, ask in asked.items():
        try:
            answer = ask()
        except Exception as error:  # noqa: BLE001 - as above
            yield name, "", "raised", [type(error).__name__, masked(str(error))]
        else:
            yield name, "", "raised", [f"nothing: {type(answer).__name__}"]
