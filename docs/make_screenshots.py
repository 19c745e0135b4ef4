"""Take the pictures of the reports, and draw that of segments, in docs/images: python docs/make_screenshots.py (needs Chromium: `make system`).

The releases are made up, with a fixed seed; what is judged and drawn is what the library makes of them.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

import canaryjudge as cj
from canaryjudge.arm_verdicts import ArmVerdicts
from canaryjudge.explain.releases import ReleaseLine, releases_page

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from browser import Browser, chromium  # noqa: E402 - the one that the tests look at the report with
from rollouts_made import bundled  # noqa: E402 - the releases of docs/examples/stages, played

IMAGES = ROOT / "docs" / "images"
START = 1_772_632_800.0  # 2026-03-04 14:00 UTC
MINUTES = START + 60.0 * np.arange(60)

POLICY = cj.Policy(
    metrics=[
        cj.Metric(
            name="errors",
            kind="ratio",
            direction="increase",
            tolerance={"relative": "40%", "absolute": "0.05%"},
            rules=[cj.Proportion(), cj.Slo(of="pooled", op="lte", value="0.5%")],
        ),
        cj.Metric(name="latency_p99", unit="ms", direction="increase", tolerance="10%"),
        cj.Metric(
            name="request_duration", kind="histogram", unit="ms", direction="increase", tolerance="10%"
        ),
        cj.Metric(name="cpu", unit="%", direction="increase", tolerance="15%"),
        cj.Metric(name="memory", unit="MiB", direction="increase", tolerance="10%", role="guard"),
        cj.Metric(name="cache_hits", kind="ratio", direction="decrease", tolerance="5%", role="advisory"),
    ]
)


def release(
    seed: int, *, errors: float = 1.0, latency: float = 1.0, noise: float = 1.0, minutes: int = 60
) -> dict[str, Any]:
    """Make up an hour of a checkout service whose canary errs and answers this many times as often and as slowly."""
    rng = np.random.default_rng(seed)
    time = MINUTES[:minutes]
    common = _wave(rng, minutes, 1.0)
    data: dict[str, Any] = {name: {} for name in (metric.name for metric in POLICY.metrics)}
    edges = np.append(np.geomspace(20, 600, 22), np.inf)
    for arm, requests, worse, slower in (("baseline", 5200, 1.0, 1.0), ("canary", 1300, errors, latency)):
        total = rng.poisson(requests, minutes).astype(float)
        data["errors"][arm] = {
            "time": time,
            "value": rng.binomial(total.astype(int), 0.0011 * worse).astype(float),
            "total": total,
        }
        p99 = (138 + 5 * common + _wave(rng, minutes, 2.2 * noise)) * slower
        data["latency_p99"][arm] = {"time": time, "value": p99}
        waits = [rng.lognormal(np.log(62 * slower), 0.38, size=int(n)) for n in total / 4]
        buckets = np.array([np.histogram(each, np.r_[0.0, edges])[0] for each in waits], dtype=float)
        data["request_duration"][arm] = {"time": time, "edges": edges, "buckets": buckets}
        data["cpu"][arm] = {"time": time, "value": 42 + 3 * common + _wave(rng, minutes, 1.6 * noise)}
        data["memory"][arm] = {
            "time": time,
            "value": 812 + np.arange(minutes) / 4 + _wave(rng, minutes, 6 * noise),
        }
        hits = rng.binomial(total.astype(int), 0.947).astype(float)
        data["cache_hits"][arm] = {"time": time, "value": hits, "total": total}
    return data


def _wave(rng: np.random.Generator, size: int, spread: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Make noise in which each minute is a little like the one before."""
    steps = rng.normal(0, spread, size)
    for index in range(1, size):
        steps[index] += 0.4 * steps[index - 1]
    return steps


def verdicts() -> dict[str, cj.Verdict]:
    """Judge one release of each kind."""
    silent = release(4, minutes=30)
    for name in ("errors", "latency_p99", "cpu", "memory", "cache_hits"):
        silent[name]["canary"] = {column: values[:0] for column, values in silent[name]["canary"].items()}
    del silent["request_duration"]["canary"]
    silent["request_duration"]["canary"] = {
        "time": MINUTES[:0],
        "edges": np.array([20.0, 100.0, np.inf]),
        "buckets": np.empty((0, 3)),
    }
    return {
        "pass": cj.judge(release(1), POLICY),
        "marginal": cj.judge(release(2, minutes=24, errors=1.5, latency=1.085), POLICY),
        "fail": cj.judge(release(3, errors=5.0, latency=1.31), POLICY),
        "no-data": cj.judge(silent, POLICY),
    }


def rings() -> ArmVerdicts:
    """Judge the rings of docs/examples/rings."""
    folder = ROOT / "docs" / "examples" / "rings"
    data, policy = pd.read_csv(folder / "metrics.csv"), cj.load_policy(folder / "policy.yaml")
    return cj.judge(data, policy, baseline="stable", canary=["internal", "beta", "early"])


def releases() -> str:
    """Watch the releases of docs/examples/rollout minute by minute, and lay them out as the gate's page does."""
    folder = ROOT / "docs" / "examples" / "rollout"
    policy = cj.load_policy(folder / "policy.yaml")
    lines = []
    for revision, name, minutes in (("2.14.0", "good", 18), ("2.13.1", "late", 30), ("2.13.0", "bad", 55)):
        monitor, looks = cj.Monitor(policy), []
        for _, points in [*pd.read_csv(folder / f"{name}.csv").groupby("time")][:minutes]:
            monitor.update(points)
            looks.append(monitor.verdict())
        last = looks[-1]
        told = (last.outcome, last.action, last.reason)
        updated = START - 86_400.0 * len(lines)
        outcomes = [look.outcome for look in looks]
        lines.append(ReleaseLine("checkout", revision, "checkout", *told, updated, outcomes, "report"))
    return releases_page(lines, START + 42.0, None, cj.__version__)


def draw_segments() -> None:
    """Draw the segments of docs/examples/cohorts/android.csv."""
    folder = ROOT / "docs" / "examples" / "cohorts"
    verdict = cj.judge(pd.read_csv(folder / "android.csv"), cj.load_policy(folder / "policy.yaml"))
    drawn = io.BytesIO()
    cj.plots.segments(verdict, "latency_p99").figure.savefig(drawn, dpi=110)
    target = IMAGES / "segments-forest.png"
    Image.open(drawn).convert("RGB").quantize(32, dither=Image.Dither.NONE).save(target, optimize=True)
    print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Take every picture."""
    draw_segments()
    if chromium() is None:
        raise SystemExit("Chromium is not installed: make system")
    IMAGES.mkdir(exist_ok=True)
    shots = [
        (f"report-{name}-{device}", verdict.to_html(), size, dark)
        for name, verdict in verdicts().items()
        for device, size, dark in (
            ("desktop", (1280, 1180), False),
            ("desktop-dark", (1280, 1180), True),
            ("phone", (375, 1500), False),
            ("phone-dark", (375, 1500), True),
        )
        if name == "fail" or not dark
    ]
    shots.append(("rollout-desktop", bundled("late").to_html(), (1280, 925), False))
    shots.append(("rings-desktop", rings().to_html(), (1280, 1060), False))
    shots.append(("gate-desktop", releases(), (1280, 520), False))
    with tempfile.TemporaryDirectory() as folder, Browser() as browser:
        for name, html, (width, height), dark in shots:
            page = Path(folder, f"{name}.html")
            page.write_text(html, encoding="utf-8")
            browser.show(page, width, height, dark=dark)
            picture = Image.open(io.BytesIO(browser.screenshot(height=height))).convert("RGB")
            target = IMAGES / f"{name}.png"
            # few colors: letters and lines look the same at half the size
            picture.quantize(96, dither=Image.Dither.NONE).save(target, optimize=True)
            sizes = (f"{file.stat().st_size / 1000:.0f} kB" for file in (target, page))
            print("{}: {}, report {}".format(target.relative_to(ROOT), *sizes))


if __name__ == "__main__":
    main()
