# SPDX-License-Identifier: Apache-2.0
"""The operator's Prometheus metrics, in a registry of their own.

What the cache and the queue know is read from them when Prometheus asks, so that nothing is kept
twice, and the series of a deleted object end with it.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from postroom.api.names import Key
from postroom.mail.report import ProbeReport

#: The value of ``postroom_condition`` per status; a status that is none of these has no series.
_CONDITION_VALUES = {"True": 1.0, "False": 0.0, "Unknown": -1.0}

#: Seconds; a look at DNS takes milliseconds, a mail server that does not answer half a minute.
_DURATION_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class ConditionSample(NamedTuple):
    """One stored condition."""

    key: Key
    type: str
    status: str


class _Conditions(Collector):
    """Yields one series per stored condition."""

    def __init__(self, samples: Callable[[], Iterable[ConditionSample]]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "postroom_condition",
            "Conditions in status: 1 True, 0 False, -1 Unknown.",
            labels=("kind", "namespace", "name", "type"),
        )
        for sample in self._samples():
            value = _CONDITION_VALUES.get(sample.status)
            if value is not None:
                key = sample.key
                family.add_metric((key.kind.value, key.namespace, key.name, sample.type), value)
        yield family


class Metrics:
    """Every metric of one operator."""

    def __init__(self) -> None:
        # A second series per counter, which nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.reconcile_seconds = Histogram(
            "postroom_reconcile_duration_seconds",
            "How long evaluating one object took.",
            ("kind",),
            buckets=_DURATION_BUCKETS,
            registry=self.registry,
        )
        self.reconcile_errors = self._counter(
            "postroom_reconcile_errors", "Evaluations that ended in an unexpected error.", ("kind",)
        )
        self.status_writes = self._counter(
            "postroom_status_writes", "Status writes by how they ended.", ("result",)
        )
        self.write_conflicts = self._counter(
            "postroom_status_write_conflicts", "Status writes that met a newer object."
        )
        self.events = self._counter(
            "postroom_events", "Kubernetes Events by what became of them.", ("result",)
        )
        self.watch_missed = self._counter(
            "postroom_watch_missed", "Changes that the sweep found and the watch had not brought."
        )
        self.mail_seconds = Histogram(
            "postroom_mail_session_duration_seconds",
            "How long a session with a mail server took, by what it was for.",
            ("kind",),
            buckets=_DURATION_BUCKETS,
            registry=self.registry,
        )
        self.mail_sessions = self._counter(
            "postroom_mail_sessions",
            "Sessions with mail servers: what for, the stage reached, and the reason.",
            ("kind", "stage", "reason"),
        )
        self._gauges: dict[str, Gauge] = {}

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def observe_session(self, kind: str, seconds: float, report: ProbeReport) -> None:
        """Count a session with a mail server; never by address or host, of which there are many."""
        self.mail_seconds.labels(kind=kind).observe(seconds)
        self.mail_sessions.labels(kind, report.stage.value, report.reason.value).inc()

    def observe_conditions(self, samples: Callable[[], Iterable[ConditionSample]]) -> None:
        """Export the conditions that `samples` yields whenever Prometheus asks."""
        self.registry.register(_Conditions(samples))

    def observe_gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Export a value that is read whenever Prometheus asks."""
        gauge = Gauge(name, text, registry=self.registry)
        gauge.set_function(value)
        self._gauges[name] = gauge

    def render(self) -> bytes:
        """Return everything in the Prometheus text format."""
        return generate_latest(self.registry)
