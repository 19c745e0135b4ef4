"""Switches of all traffic of services with a daily cycle, a trend and days that differ, judged."""

from __future__ import annotations

from typing import Any

import numpy as np

import canaryjudge as cj

DAY = 86400.0
_STEP = 300.0
_WINDOW = 2 * 3600.0
_BEGIN = 1_700_006_400.0


class Switch:
    """A service of so many earlier days, with a cycle of 50 %, a drift of 1 % a day, and levels of windows (or whole days) that differ."""

    def __init__(
        self,
        seed: int,
        days: int = 7,
        shift: float = 0.0,
        spread: float = 0.01,
        *,
        of: str = "windows",
        hour: float = 10.0,
        weekend: float = 0.0,
        common: float = 0.0,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.days, self.switched = days, _BEGIN + (days + 1) * DAY + hour * 3600
        self.time = _BEGIN + _STEP * np.arange(int((days + 2) * DAY / _STEP))
        self.time = self.time[self.time < self.switched + _WINDOW]
        since = (self.time - _BEGIN) / DAY
        length = DAY if of == "days" else _WINDOW
        blocks = np.floor((self.time - self.switched) / length + (0.5 if of == "days" else 0.0)).astype(int)
        blocks -= blocks.min()
        cycle = 1 + 0.5 * np.sin(2 * np.pi * (since - 0.3))
        level = 100 * cycle * 1.01**since * np.exp(spread * rng.normal(size=blocks.max() + 1)[blocks])
        level *= np.where((self.time // DAY) % 7 >= 5, 1 - weekend * cycle / 3, 1.0)
        after = self.time >= self.switched
        both = np.where(after, 1 + common, 1.0)
        self.other = 40 * (1 + 0.3 * np.sin(2 * np.pi * since)) * both
        self.other = self.other * np.exp(0.02 * rng.normal(size=len(level)))
        self.value = (
            level * both * np.where(after, 1 + shift, 1.0) * np.exp(0.05 * rng.normal(size=len(level)))
        )
        self.rng = rng

    def series(self, part: np.ndarray, kind: str, value: np.ndarray) -> dict[str, Any]:
        """Give some of the points, as those of a kind."""
        own, time = value[part], self.time[part]
        if kind == "count":
            return {"time": time, "value": np.rint(10 * own)}
        if kind == "ratio":
            total = np.full(len(own), 10_000.0)
            return {"time": time, "value": np.rint(own), "total": total}
        return {"time": time, "value": own}


def judged(
    switch: Switch, *, days: int = 7, kind: str = "gauge", control: bool = False, **settings: Any
) -> cj.Verdict:
    """Judge the two hours after a switch against the two before, with so many earlier days."""
    time, start = switch.time, switch.switched - _WINDOW
    before, after = (time >= start) & (time < switch.switched), time >= switch.switched
    earlier = (time < start) & (time >= start - days * DAY)
    metric = {"name": "m", "direction": "increase", "pairing": "before_after", "kind": kind} | settings
    policy = cj.Policy(metrics=[metric], control="other" if control else None)
    data = {
        "baseline": switch.series(before, kind, switch.value),
        "canary": switch.series(after, kind, switch.value),
    }
    past = {"blue": switch.series(earlier, kind, switch.value)}
    if control:
        data["other"] = switch.series(before | after, kind, switch.other)
        past["other"] = switch.series(earlier, kind, switch.other)
    return cj.judge({"m": data}, policy, history={"m": past} if days else None)
