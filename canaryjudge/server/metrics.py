"""Metrics of the gate and of the releases that it knows, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from canaryjudge._version import __version__
from canaryjudge.integrations.writers.prometheus import HELP
from canaryjudge.server.gate import Gate as Releases
from canaryjudge.server.gate import Told

__all__ = ["RELEASES", "GateMetrics", "samples_of"]

RELEASES: Final = 500
"""So many releases have metrics, the latest; each is a handful of series in whoever scrapes."""
_OF_RELEASES: Final = (
    "canaryjudge_release_outcome",
    "canaryjudge_release_no_data",
    "canaryjudge_release_score",
    "canaryjudge_rollout_share",
)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})


def samples_of(told: Told, name: str) -> list[tuple[dict[str, str], float]]:
    """Give the samples of one gauge of a release, with labels that say of which release."""
    own = {"service": told.key.service, "revision": told.key.revision}
    return [({**own, **labels}, value) for gauge, labels, value in told.facts["gauges"] if gauge == name]


class GateMetrics:
    """Counts what a gate does, and tells how its releases stand."""

    def __init__(self, gate: Releases) -> None:
        self._gate = gate
        self._registry = registry = CollectorRegistry()
        Info("canaryjudge_gate", "The gate's version.", registry=registry).info({"version": __version__})
        Gauge(
            "canaryjudge_gate_started_seconds", "When it started, in seconds since 1970.", registry=registry
        ).set_to_current_time()
        self._requests = Counter(
            "canaryjudge_gate_requests",
            "Answers, by what was asked and the status.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "canaryjudge_gate_request_seconds", "How long answers took.", registry=registry
        )
        registry.register(_Counts(gate))

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(method if method in _METHODS else "other", route, str(status)).inc()
        self._seconds.observe(seconds)

    async def text(self) -> bytes:
        """Write everything."""
        registry = CollectorRegistry()
        registry.register(_OfReleases(await self._gate.latest(RELEASES)))
        return generate_latest(self._registry) + generate_latest(registry)


class _Counts:
    """What the gate counts by itself."""

    def __init__(self, gate: Releases) -> None:
        self._gate = gate

    def collect(self) -> Iterator[Metric]:
        """Give the counts."""
        gate = self._gate
        yield CounterMetricFamily("canaryjudge_gate_looks", "Looks that were taken and stored.", gate.looks)
        yield CounterMetricFamily(
            "canaryjudge_gate_conflicts",
            "Looks that were taken anew, since another gate was faster.",
            gate.conflicts,
        )
        yield CounterMetricFamily(
            "canaryjudge_gate_repeated", "Pushes whose Idempotency-Key was known already.", gate.repeated
        )
        yield CounterMetricFamily(
            "canaryjudge_gate_restarts",
            "Processes that died of their work, or took too long for it.",
            gate.workers.restarts,
        )
        yield GaugeMetricFamily(
            "canaryjudge_gate_waiting",
            "Pieces of work under way, or waiting for a process.",
            gate.workers.waiting,
        )


class _OfReleases:
    """How releases stand."""

    def __init__(self, releases: Iterable[Told]) -> None:
        self._releases = list(releases)

    def collect(self) -> Iterator[Metric]:
        """Give their gauges."""
        for name in _OF_RELEASES:
            family = GaugeMetricFamily(name, HELP[name], labels=("service", "revision"))
            for told in self._releases:
                for _, value in samples_of(told, name):
                    family.add_metric(told.key, value)
            yield family
        updated = GaugeMetricFamily(
            "canaryjudge_release_updated_seconds",
            "When it was last looked at, in seconds since 1970.",
            labels=("service", "revision"),
        )
        for told in self._releases:
            updated.add_metric(told.key, told.updated)
        yield updated
