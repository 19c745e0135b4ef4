"""The command `init`: the policy that it writes is valid, says what the data suggest, and judges them."""

import io
import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from fake_prometheus import by_question, error, serving

import canaryjudge as cj
from canaryjudge.cli import main

EXAMPLES = Path(__file__).parents[2] / "docs/examples"
ARMS = ("baseline", "canary")


@pytest.fixture(autouse=True)
def in_tmp(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    out = capsys.readouterr()
    return code, out.out, out.err


def table(metrics, arms=ARMS, minutes=30, columns=""):
    """A tidy table: for each metric what it gives for an arm's number and a minute."""
    lines = [f"time,metric,arm,value{columns}"]
    for minute in range(minutes):
        for name, value in metrics.items():
            for index, arm in enumerate(arms):
                lines.append(f"2026-01-01T00:{minute:02}:00Z,{name},{arm},{value(index, minute)}")
    return "\n".join(lines) + "\n"


def noise(level, spread=0.01, seed=0):
    rng = np.random.default_rng(seed)
    return lambda _, __: f"{rng.normal(level, spread * level):.5f}"


def started(capsys, text, *more, name="data.csv"):
    """Write data, make a policy of them, and follow what its header says; give the policy, its text and the verdict's exit code."""
    Path(name).write_text(text)
    code, out, err = run(capsys, "init", "--data", name, *more)
    assert (code, err) == (0, "")
    return *followed(capsys, out), out


def followed(capsys, text):
    """Run the commands that a starter policy's header names: nothing is said against the policy."""
    Path("policy.yaml").write_text(text)
    code, out, err = run(capsys, "validate", "policy.yaml")
    assert (code, err) == (0, ""), out
    commands = [line[3:] for line in text.splitlines() if line.startswith("#   canaryjudge ")]
    doctor, judge = (shlex.split(line)[1:] for line in commands)
    code, out, err = run(capsys, *doctor, "--format", "json")
    assert (code, err) == (0, "")
    found = {symptom["code"] for symptom in json.loads(out)["symptoms"]}
    against = {
        "undeclared_counter",
        "tolerance_too_wide",
        "unit_and_name",
        "unit_and_level",
        "success_tolerance",
    }
    assert not found & (against | {"unreadable", "no_metric", "split_mismatch"}), found
    code, out, err = run(capsys, *judge)
    assert code in (0, 1, 3, 4), err
    return cj.load_policy("policy.yaml"), code


def settings(policy):
    return {metric.name: metric for metric in policy.metrics}


def test_kinds_directions_units_and_roles_are_those_that_names_and_numbers_suggest(capsys):
    rng = np.random.default_rng(1)
    counters = np.zeros(2)

    def counter(index, _):
        counters[index] += rng.poisson(300)
        return f"{counters[index]:.0f}"

    metrics = {
        "latency_p99_ms": noise(120),
        "http.responseTimeSeconds": noise(0.2),
        "http_requests_total": counter,
        "error_count": lambda *_: rng.poisson(900),
        "success_rate": lambda *_: f"{99.9 + rng.normal(0, 0.02):.3f}",
        "availability": lambda *_: f"{0.999 + rng.normal(0, 0.0002):.5f}",
        "cpu_percent": noise(43),
        "heap_bytes": noise(5e8),
        "requests_per_second": noise(200),
        "memory_free": noise(70),
        "signups": noise(12),
    }
    policy, code, text = started(capsys, table(metrics))
    found = settings(policy)
    told = {name: (each.kind, each.direction, each.unit, each.role) for name, each in found.items()}
    assert told == {
        "latency_p99_ms": ("gauge", "increase", "ms", "required"),
        "http.responseTimeSeconds": ("gauge", "increase", "s", "required"),
        "http_requests_total": ("count", "either", "", "guard"),
        "error_count": ("count", "increase", "", "required"),
        "success_rate": ("gauge", "decrease", "%", "required"),
        "availability": ("gauge", "decrease", "", "required"),
        "cpu_percent": ("gauge", "increase", "%", "guard"),
        "heap_bytes": ("gauge", "increase", "B", "guard"),
        "requests_per_second": ("gauge", "either", "", "guard"),
        "memory_free": ("gauge", "decrease", "", "guard"),
        "signups": ("gauge", "either", "", "guard"),
    }
    assert found["http_requests_total"].counter
    assert [found[name].tolerated_absolute for name in ("success_rate", "availability")] == [0.1, 0.001]
    assert [found[name].tolerated_relative for name in ("success_rate", "availability")] == [0, 0]
    assert "assumed_spread" not in text  # the default is a part of what fails
    assert code == 0
    assert "330 points of 11 metrics, 2026-01-01T00:00:00Z to 2026-01-01T00:29:00Z, a step of 60 s" in text
    assert "# decide: increase, decrease or either; the name does not tell which is bad" in text


@pytest.mark.parametrize(("level", "absolute"), [(0.62, 0.06), (0.95, 0.01), (62.0, 6.0), (98.5, 1.0)])
def test_a_share_that_is_not_near_its_best_may_lose_a_part_of_its_level(capsys, level, absolute):
    policy, code, _ = started(capsys, table({"cache_hit_ratio": noise(level, 0.005)}))
    assert settings(policy)["cache_hit_ratio"].tolerated_absolute == pytest.approx(absolute)
    assert code == 0


def test_a_leak_is_judged_by_metrics_that_are_to_be_proven_fine(capsys):
    leaking = noise(1.15)
    metrics = {"memory": lambda index, minute: float(leaking(0, 0)) + index * minute / 60, "cpu": noise(1.15)}
    policy, code, _ = started(capsys, table(metrics))
    assert [metric.role for metric in policy.metrics] == ["required", "required"]
    assert code == 1


def test_events_of_a_total_are_a_ratio_and_the_split_is_what_the_data_show(capsys):
    rng = np.random.default_rng(2)
    lines = ["time,metric,arm,value,total"]
    for minute in range(40):
        for arm, traffic in (("baseline", 9000), ("canary", 1000)):
            total = rng.poisson(traffic)
            when = f"2026-01-01T00:{minute:02}:00Z"
            lines += [
                f"{when},errors,{arm},{rng.binomial(total, 0.001)},{total}",
                f"{when},requests,{arm},{total},",
            ]
    policy, code, text = started(capsys, "\n".join(lines))
    assert {name: each.kind for name, each in settings(policy).items()} == {
        "errors": "ratio",
        "requests": "count",
    }
    assert policy.split.canary == pytest.approx(0.1)
    assert "# decide: what is the balancer told? The canary got" in text
    assert code == 0


def test_traffic_that_is_a_level_counts_for_nothing_where_the_arms_get_other_amounts(capsys):
    metrics = {"rps": lambda index, _: noise((90.5, 10.1)[index])(0, 0), "p99": noise(120)}
    policy, _, _ = started(capsys, table(metrics))
    assert settings(policy)["rps"].role == "muted"


def test_a_level_of_which_the_name_tells_nothing_is_judged_also_where_the_arms_differ(capsys):
    metrics = {"revenue": lambda index, _: noise((100, 60)[index])(0, 0), "p99": noise(120)}
    policy, code, _ = started(capsys, table(metrics))
    assert settings(policy)["revenue"].role == "guard"
    assert code == 1


@pytest.mark.parametrize("grows", [True, False])
def test_a_table_with_le_is_a_histogram_be_it_of_counters_or_of_intervals(capsys, grows):
    rng = np.random.default_rng(3)
    lines, counts = ["time,metric,arm,value,le"], np.zeros((2, 4))
    for minute in range(30):
        for index, arm in enumerate(ARMS):
            new = np.cumsum(rng.poisson([50, 30, 10, 2]))
            counts[index] = counts[index] + new if grows else new
            for le, count in zip(("0.1", "0.5", "1", "+Inf"), counts[index], strict=True):
                lines.append(f"2026-01-01T00:{minute:02}:00Z,request_duration_seconds,{arm},{count:.0f},{le}")
    policy, code, _ = started(capsys, "\n".join(lines))
    (metric,) = policy.metrics
    assert (metric.kind, metric.counter, metric.unit) == ("histogram", grows, "s")
    assert code in (0, 3)


def test_raw_latencies_are_samples_with_times_or_without(capsys):
    rng = np.random.default_rng(4)
    lines, bare = ["time,metric,arm,value"], ["metric,arm,value"]
    for arm in ARMS:
        for when, value in zip(np.sort(rng.uniform(0, 900, 400)), rng.lognormal(4, 0.3, 400), strict=True):
            lines.append(f"{1767225600 + when:.3f},latency_ms,{arm},{value:.3f}")
            bare.append(f"latency_ms,{arm},{value:.3f}")
    for text in (lines, bare):
        policy, code, _ = started(capsys, "\n".join(text))
        assert policy.metrics[0].kind == "samples"
        assert code in (0, 3)


def requests(slower, failing, seed):
    """A log of both arms' requests, the canary's slowest tenth slower and more of them failing."""
    rng = np.random.default_rng(seed)
    rows = []
    for arm, tail, failed in zip(ARMS, (1.0, slower), (0.001, failing), strict=True):
        latency = rng.lognormal(4, 0.4, 12_000)
        latency[latency > np.quantile(latency, 0.9)] *= tail
        columns = np.sort(rng.uniform(0, 900, len(latency))), latency, rng.random(len(latency)) < failed
        rows += [
            (f"{1767225600 + at:.4f}", arm, f"{ms:.3f}", int(bad))
            for at, ms, bad in zip(*columns, strict=True)
        ]
    return rows


@pytest.mark.parametrize(
    ("slower", "failing", "outcomes"), [(1.0, 0.001, "pass pass"), (1.2, 0.006, "fail fail")]
)
def test_a_log_of_requests_is_judged_by_what_init_writes(capsys, slower, failing, outcomes):
    rows = requests(slower, failing, 3)
    lines = ["ts,version,latency_ms,status,errors,requests"]
    lines += [f"{at},{arm},{ms},{503 if bad else 200},{bad},1" for at, arm, ms, bad in rows]
    policy, code, text = started(capsys, "\n".join(lines), "--wide", "version")
    latency, errors = policy.metrics
    assert (latency.kind, [rule.rule for rule in latency.rules]) == (
        "samples",
        ["mann_whitney", "late_shift", "tail"],
    )
    assert (errors.name, errors.kind, errors.interval) == ("errors", "ratio", 15)
    assert "# left out: status: these are codes" in text
    assert "# left out: requests: it is 1 in every row." in text
    assert "interval: 15s " in text
    assert code == {"pass pass": 0, "fail fail": 1}[outcomes]
    verdict = json.loads(
        run(
            capsys,
            "judge",
            "--policy",
            "policy.yaml",
            "--data",
            "data.csv",
            "--wide",
            "version",
            "--format",
            "json",
        )[1]
    )
    assert " ".join(metric["outcome"] for metric in verdict["metrics"].values()) == outcomes


def test_a_level_that_only_grows_is_no_counter_and_one_of_whole_numbers_is(capsys):
    metrics = {
        "table_size_mib": lambda index, minute: 100.5 + minute * 1.25 + index / 8,
        "jobs_done": lambda index, minute: 1000 + 20 * minute + (minute * 7 + index) % 5,
    }
    policy, _, text = started(capsys, table(metrics))
    found = settings(policy)
    assert (found["table_size_mib"].kind, found["jobs_done"].kind) == ("gauge", "count")
    assert (found["table_size_mib"].counter, found["jobs_done"].counter) == (False, True)
    assert "decide: it never falls here" in text


def test_a_level_of_0_gets_an_absolute_tolerance(capsys):
    policy, code, _ = started(capsys, table({"queue_errors_rate": lambda *_: "0.0", "p99": noise(5)}))
    assert settings(policy)["queue_errors_rate"].tolerated_absolute > 0
    assert code == 0


def test_few_failures_in_percent_get_an_amount_that_can_be_proven(capsys):
    metrics = {"error_rate_pct": noise(0.12, 0.3), "cpu_percent": noise(0.4), "failed_percent": noise(4)}
    policy, code, text = started(capsys, table(metrics))
    found = settings(policy)
    assert found["error_rate_pct"].unit == found["failed_percent"].unit == "%"
    assert found["error_rate_pct"].tolerated_absolute == 0.1
    assert found["failed_percent"].tolerated_absolute == 0
    assert found["cpu_percent"].unit == ""  # parts of one core
    assert "absolute: 0.1%} # decide" in text
    assert code == 0


HOSTILE = [
    "yes",
    "null",
    "- name",
    "a: b",
    "# no comment",
    'it\'s "quoted"',
    "{x}",
    "*alias",
    "%",
    "2.9",
    "back\\slash",
    "naïve",
    "latency 😀",
    "tab\there",
    "esc\x1b[31m",
    "l\u2028s",
]


def test_names_that_yaml_would_misread_are_quoted(capsys):
    rows = [
        {"metric": name, "arm": arm, "value": 5 + index % 3 + shift / 10}
        for name in HOSTILE
        for shift, arm in enumerate(ARMS)
        for index in range(12)
    ]
    policy, *_, text = started(capsys, json.dumps(rows), name="data.json")
    assert [metric.name for metric in policy.metrics] == HOSTILE
    assert "\x1b" not in text


def test_a_name_that_no_policy_takes_is_left_out_and_said(capsys):
    policy, *_, text = started(capsys, table({"two\u0085lines ": noise(3), "cpu": noise(3)}))
    assert [metric.name for metric in policy.metrics] == ["cpu"]
    assert "# left out: two lines: " in text


def test_what_has_no_numbers_is_left_out_and_said(capsys):
    policy, *_, text = started(
        capsys, table({"broken": lambda *_: "soon", "cpu": noise(3), "empty": lambda *_: ""})
    )
    assert [metric.name for metric in policy.metrics] == ["cpu"]
    assert "# left out: broken: " in text
    assert "# left out: empty: it has no numbers." in text


def test_one_metric_and_sixty(capsys):
    policy, code, _ = started(capsys, table({"p99": noise(100)}))
    assert (len(policy.metrics), code) == (1, 0)
    metrics = {f"custom_{index}": noise(9, seed=index) for index in range(60)}
    Path("sixty.csv").write_text(table(metrics, minutes=12))
    assert run(capsys, "init", "--data", "sixty.csv", "--output", "sixty.yaml")[:2] == (0, "")
    policy = cj.load_policy("sixty.yaml")
    assert (len(policy.metrics), {metric.role for metric in policy.metrics}) == (60, {"required"})
    assert len(Path("sixty.yaml").read_text().splitlines()) < 60 * 4


def test_arms_of_other_names_go_into_the_commands(capsys):
    _, code, text = started(capsys, table({"p99": noise(100)}, arms=("2.10", "2.9")))
    assert "judge --policy policy.yaml --data data.csv --baseline 2.9 --canary 2.10" in text
    assert code == 0
    _, _, text = started(capsys, table({"p99": noise(100)}, arms=("my canary", "prod")))
    assert "--baseline prod --canary 'my canary'" in text
    _, _, text = started(capsys, table({"p99": noise(100)}, arms=("2.10", "2.9")), "--baseline", "2.10")
    assert "--baseline 2.10 --canary 2.9" in text


def test_an_arm_that_is_missing_is_said_in_the_header(capsys):
    Path("data.csv").write_text(table({"p99": noise(100)}, arms=("canary",)))
    code, out, _ = run(capsys, "init", "--data", "data.csv")
    assert code == 0
    assert "# arm baseline: no points; a verdict needs both arms" in out
    Path("policy.yaml").write_text(out)
    assert cj.load_policy("policy.yaml").metrics[0].name == "p99"


@pytest.mark.parametrize(
    ("text", "more", "said"),
    [
        ("", (), "the file is empty"),
        ("time,metric,arm,value\n", (), "there is no metric that can be judged"),
        ("time,foo\n1,2\n", (), "there is no column 'metric'"),
        (table({"p99": noise(1)}, arms=("a", "b", "c")), (), "the data have 3 arms, a, b, c"),
        (table({"p99": noise(1)}), ("--canary", "canery"), "the data have no arm 'canery'"),
        (table({"p99": noise(1)}), ("--wide", "version"), "there is no column 'version'"),
        (table({"p99": noise(1)}), ("--column", "a=b"), "--column is about wide data"),
        (table({"p99": noise(1)}), ("--wide", "arm", "--column", "a=b"), "the table has no column 'b'"),
        (table({"p99": noise(1)}), ("--selector", "x"), "--selector means nothing with --data"),
    ],
)
def test_what_cannot_be_read_ends_with_2_in_one_sentence(capsys, text, more, said):
    Path("data.csv").write_text(text)
    code, out, err = run(capsys, "init", "--data", "data.csv", *more)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 2


def test_a_file_is_written_once_and_never_over_another(capsys):
    Path("data.csv").write_text(table({"p99": noise(100)}))
    code, out, err = run(capsys, "init", "--data", "data.csv", "--output", "init.yaml")
    assert (code, out, err) == (0, "", "")
    text = Path("init.yaml").read_text()
    assert "doctor --policy init.yaml --data data.csv" in text
    code, _, err = run(capsys, "init", "--data", "data.csv", "--output", "init.yaml")
    assert code == 2
    assert "there is such a file already" in err
    assert Path("init.yaml").read_text() == text


def test_data_may_come_from_standard_input(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(table({"p99": noise(1)}).encode())))
    code, out, _ = run(capsys, "init", "--data", "-")
    assert code == 0
    assert "- name: p99" in out


@pytest.mark.parametrize(
    ("data", "more", "kinds"),
    [
        (
            "checkout/metrics.csv",
            (),
            {"errors": "ratio", "latency_p99": "gauge", "cpu": "gauge", "requests": "count"},
        ),
        (
            "checkout/export.csv",
            ("--wide", "version"),
            {"p99_ms": "gauge", "error_count": "ratio", "requests": "count"},
        ),
        (
            "checkout/export.csv",
            ("--wide", "version", "--column", "p99=p99_ms", "--column", "bad=error_count/requests"),
            {"p99": "gauge", "bad": "ratio", "requests": "count"},
        ),
        (
            "otlp/metrics.jsonl",
            ("--data-format", "otlp"),
            {"http.server.requests": "count", "http.server.request.duration": "histogram"},
        ),
        ("rollout/good.csv", (), None),
        ("history/unready.csv", (), None),
    ],
)
def test_the_bundled_examples_of_every_shape(capsys, data, more, kinds):
    code, out, err = run(capsys, "init", "--data", EXAMPLES / data, *more)
    assert (code, err) == (0, "")
    policy = followed(capsys, out)[0]
    if kinds is not None:
        assert {metric.name: metric.kind for metric in policy.metrics} == kinds


def test_a_column_an_arm(capsys):
    lines = ["Time,p99 2.9,p99 2.10,cpu 2.9,cpu 2.10"]
    value = noise(10)
    lines += [f"2026-01-01T00:{m:02}:00Z,{','.join(value(0, m) for _ in range(4))}" for m in range(30)]
    policy, code, _ = started(capsys, "\n".join(lines), "--baseline", "2.9", "--canary", "2.10")
    assert [metric.name for metric in policy.metrics] == ["p99", "cpu"]
    assert code == 0
    lines = ["Time,baseline,canary", *(line.rsplit(",", 2)[0] for line in lines[1:])]
    policy, code, _ = started(capsys, "\n".join(lines))
    assert ([metric.name for metric in policy.metrics], code) == (["value"], 0)


@pytest.mark.parametrize(("unit", "direction"), [("ms", "increase"), ("MiB", "either")])
def test_a_time_that_the_cells_tell_is_worse_where_it_is_longer(capsys, unit, direction):
    value = noise(10)
    lines = ["Time,baseline,canary", *(f"2026-01-01T00:{m:02}:00Z,{value(0, m)} {unit},{value(0, m)} {unit}" for m in range(30))]  # fmt: skip
    policy, code, _ = started(capsys, "\n".join(lines))
    (metric,) = policy.metrics
    assert (metric.unit, metric.direction, metric.role, code) == (unit, direction, "required", 0)


SERIES = [
    {"__name__": "http_requests_total", "code": code, "version": version, "instance": "a:80"}
    for code in ("200", "503")
    for version in ("1.4", "1.5")
] + [
    {"__name__": "http_request_duration_seconds_bucket", "le": "+Inf", "version": "1.4", "instance": "a:80"},
    {"__name__": "grpc_server_handled_total", "grpc_code": "OK", "track": "stable"},
    {"__name__": "process_cpu_seconds_total", "version": "1.4", "instance": "a:80"},
    {"__name__": "container_memory_working_set_bytes", "pod": "x-1", "instance": "node"},
    {"__name__": "queue_messages_total", "instance": "a:80"},
]


def listing(series):
    """A server that has some series."""

    def answered(question):
        names = sorted({each["__name__"] for each in series} | {"up", "http_requests_created"})
        found = series if "__name__" in question.get("match[]", "") else names
        return {"status": "success", "data": found}

    return by_question(answered)


def test_a_servers_usual_series_become_queries(capsys):
    with serving(listing(SERIES)) as server:
        code, out, err = run(capsys, "init", "--prometheus", server.url, "--selector", '{job="shop"}')
    assert (code, err) == (0, "")
    assert server.paths[0].startswith("/api/v1/label/__name__/values?match%5B%5D=%7Bjob%3D%22shop%22%7D&")
    assert server.paths[1] == "/api/v1/series"
    assert server.questions[1]["match[]"].endswith('",job="shop"}')
    Path("policy.yaml").write_text(out)
    assert run(capsys, "validate", "policy.yaml")[2] == ""
    policy = cj.load_policy("policy.yaml")
    assert (policy.prometheus.baseline, policy.prometheus.canary) == ('version="1.4"', 'version="1.5"')
    asked = {metric.name: (metric.kind, metric.query.texts()) for metric in policy.metrics}
    inside = '${selector},job="shop"'
    assert asked == {
        "container_memory_working_set_bytes": (
            "gauge",
            {"value": f'sum by (pod) (container_memory_working_set_bytes{{{inside},container!=""}})'},
        ),
        "grpc_server_handled_errors": (
            "ratio",
            {
                "value": f'grpc_server_handled_total{{{inside},grpc_code!="OK"}}',
                "total": f"grpc_server_handled_total{{{inside}}}",
            },
        ),
        "http_request_duration_seconds": (
            "histogram",
            {"value": f"http_request_duration_seconds_bucket{{{inside}}}"},
        ),
        "http_requests_errors": (
            "ratio",
            {
                "value": f'http_requests_total{{{inside},code=~"5.."}}',
                "total": f"http_requests_total{{{inside}}}",
            },
        ),
        "process_cpu_seconds_total": ("gauge", {"value": f"rate(process_cpu_seconds_total{{{inside}}}[5m])"}),
    }
    assert settings(policy)["container_memory_working_set_bytes"].query.replica == "pod"
    assert settings(policy)["http_request_duration_seconds"].unit == "s"
    assert "# may tell versions apart: version (1.4, 1.5)" in out
    assert "# may tell versions apart: track (stable)" in out
    assert "# also there: up" in out


@pytest.mark.parametrize(
    ("label", "values", "arms"),
    [
        ("version", ["2.10", "2.9"], ("2.9", "2.10")),
        ("version", ["1.10", "1.11", "1.9"], ("1.10", "1.11")),
        ("track", ["canary", "stable"], ("stable", "canary")),
    ],
)
def test_a_servers_newest_version_is_the_canary(capsys, label, values, arms):
    series = [{"__name__": "http_requests_total", "code": "200", label: value} for value in values]
    with serving(listing(series)) as server:
        code, _, err = run(capsys, "init", "--prometheus", server.url, "--output", "shop policy.yaml")
    assert (code, err) == (0, "")
    text = Path("shop policy.yaml").read_text(encoding="utf-8")
    asked = cj.load_policy("shop policy.yaml").prometheus
    assert (asked.baseline, asked.canary) == tuple(f'{label}="{arm}"' for arm in arms)
    assert (asked.window, asked.step) == (1800, 60)
    assert f"#   canaryjudge judge --policy 'shop policy.yaml' --prometheus {server.url}" in text


def test_a_server_of_other_names_gives_those_whose_direction_they_tell(capsys):
    series = [{"__name__": "shop_latency_ms", "instance": "a"}, {"__name__": "shop_stock", "instance": "a"}]
    with serving(listing(series)) as server:
        code, out, _ = run(capsys, "init", "--prometheus", server.url)
    assert code == 0
    Path("policy.yaml").write_text(out)
    assert [metric.name for metric in cj.load_policy("policy.yaml").metrics] == ["shop_latency_ms"]
    assert "decide: the labels of the canary's series" in out


def test_hostile_labels_stay_text(capsys):
    version = 'a"},evil{x="\n# $y'
    series = [{"__name__": "shop_latency_ms", "instance": "a", "version": each} for each in (version, "b\\c")]
    with serving(listing(series)) as server:
        code, out, _ = run(capsys, "init", "--prometheus", server.url)
    assert code == 0
    Path("policy.yaml").write_text(out)
    assert cj.load_policy("policy.yaml").prometheus.baseline == 'version="b\\\\c"'


def test_a_server_that_refuses_or_has_nothing_ends_with_2_and_no_secret(capsys, monkeypatch):
    monkeypatch.setenv("CANARYJUDGE_PROMETHEUS_TOKEN", "very-secret")
    with serving(error("bad_data", "no very-secret for you")) as server:
        code, out, err = run(capsys, "init", "--prometheus", server.url)
        assert server.headers[0]["Authorization"] == "Bearer very-secret"
    assert (code, out) == (2, "")
    assert "no *** for you" in err
    with serving(listing([])) as server:
        code, _, err = run(capsys, "init", "--prometheus", server.url)
    assert code == 2
    assert "has nothing of the last hour that is a usual metric among http_requests_created, up" in err


def healthy(seed):
    """A release of the bundled checkout service with nothing wrong, as its example makes one."""
    rng = np.random.default_rng(seed)
    load = 9000 * (1 + 0.12 * np.sin(np.linspace(0, 2.2, 60)) + 0.03 * rng.normal(size=60))
    data = {name: {} for name in ("latency_p99", "errors", "requests", "cpu")}
    for arm, share in (("baseline", 0.9), ("canary", 0.1)):
        time, requests = 60.0 * np.arange(60), rng.poisson(load * share)
        for name, value in (
            ("latency_p99", 138 * np.exp(0.05 * (load / 9000 - 1) + 0.045 * rng.normal(size=60))),
            ("errors", rng.binomial(requests, 0.0011)),
            ("requests", requests),
            ("cpu", 41 + 25 * (load / 9000 - 1) + 1.1 * rng.normal(size=60)),
        ):
            columns = {"value": value.tolist(), "time": time.tolist()}
            data[name][arm] = columns | ({"total": requests.tolist()} if name == "errors" else {})
    return data


@pytest.mark.parametrize("seed", range(5))
def test_the_starter_of_the_docs_and_that_of_init_pass_a_healthy_release(capsys, seed):
    data = healthy(seed)
    assert cj.judge(data, cj.load_policy(EXAMPLES / "starter.yaml")).outcome.value == "pass"
    policy, code, _ = started(capsys, json.dumps(data), name="data.json")
    assert len(policy.metrics) == 4
    assert code == 0


def test_columns_with_slashes_in_their_names_are_read_as_judge_reads_them(capsys):
    rng = np.random.default_rng(7)
    rows = [
        f"{arm},{60 * index},{rng.binomial(1000, 0.02)},1000"
        for index in range(30)
        for arm in ("baseline", "canary")
    ]
    Path("wide.csv").write_text("\n".join(["version,time,5xx/s,all/s", *rows]))
    code, out, err = run(
        capsys, "init", "--data", "wide.csv", "--wide", "version", "--column", "errors=5xx/s/all/s"
    )
    assert (code, err) == (0, "")
    policy, _ = followed(capsys, out)
    assert settings(policy)["errors"].kind == "ratio"
