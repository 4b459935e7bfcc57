# SPDX-License-Identifier: Apache-2.0
"""The operator's Prometheus metrics, in a registry of their own.

What the queue knows is read from it when Prometheus asks, so that nothing is kept twice; so is what
the objects tell (`postroom.controller.object_metrics`).
"""

from collections.abc import Awaitable, Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest

from postroom.mail.report import ProbeReport

#: Seconds; a look at DNS takes milliseconds, a mail server that does not answer half a minute.
_DURATION_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


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
        self._objects: Callable[[], Awaitable[str]] | None = None

    def _counter(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def observe_session(self, kind: str, seconds: float, report: ProbeReport) -> None:
        """Count a session with a mail server; never by address or host, of which there are many."""
        self.mail_seconds.labels(kind=kind).observe(seconds)
        self.mail_sessions.labels(kind, report.stage.value, report.reason.value).inc()

    def observe_objects(self, text: Callable[[], Awaitable[str]]) -> None:
        """Export what `text` tells of the objects whenever Prometheus asks."""
        self._objects = text

    def observe_gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Export a value that is read whenever Prometheus asks."""
        gauge = Gauge(name, text, registry=self.registry)
        gauge.set_function(value)
        self._gauges[name] = gauge

    async def render(self) -> bytes:
        """Return everything in the Prometheus text format."""
        own = generate_latest(self.registry)
        return own if self._objects is None else own + (await self._objects()).encode()
