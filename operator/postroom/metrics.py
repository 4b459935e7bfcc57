# SPDX-License-Identifier: Apache-2.0
"""The operator's Prometheus metrics, in a registry of their own.

What the queue knows is read from it when Prometheus asks, so that nothing is kept twice; so is what
the objects tell (`postroom.controller.object_metrics`).

A counter that appears with 1 has never risen, as Prometheus sees it: whatever is known of its
labels beforehand is told from the start, as 0.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from enum import StrEnum

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest

from postroom.api.mailserver import ProbeStage
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.mail.operations import SESSIONS
from postroom.mail.report import ProbeReport

#: Seconds; a look at DNS takes milliseconds, a mail server that does not answer half a minute.
_DURATION_BUCKETS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
#: Seconds; what holds the loop longer than a few of the first ones holds every session.
_LAG_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)
#: Octets; ten thousand objects say some ten million.
_PIECE = 64 * 1024
#: What is read when Prometheus asks, and what it tells.
GAUGES = {
    "postroom_objects": "Objects known.",
    "postroom_queue_depth": "Keys waiting.",
    "postroom_queue_running": "Keys in work.",
    "postroom_queue_oldest_seconds": "Age of the oldest waiting key.",
    "postroom_sweep_age_seconds": "Time since the watch was last compared with a list, but for "
    "what postroom_sweep_left_out counts; -1 before the first.",
}


class WriteResult(StrEnum):
    """How a write ended; also the label of the metric."""

    WRITTEN = "written"
    #: The stored status says the same.
    UNCHANGED = "unchanged"
    #: The object has moved on: the status is about a spec that is no more.
    STALE = "stale"
    GONE = "gone"
    #: The API server rejects the status: a bug, CRDs of another version, or no room in the object.
    INVALID = "invalid"
    FORBIDDEN = "forbidden"
    #: The API server could not be reached or is overloaded.
    UNAVAILABLE = "unavailable"


class EventResult(StrEnum):
    """What became of a Kubernetes Event; also the label of the metric."""

    POSTED = "posted"
    FAILED = "failed"
    #: Beyond the rate of its object.
    SUPPRESSED = "suppressed"
    #: There was no room among those that wait.
    DROPPED = "dropped"


class Registry:
    """What a process tells Prometheus; `help_of` says what each of its gauges tells."""

    def __init__(self, help_of: Mapping[str, str]) -> None:
        # A second series per counter, which nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._help_of = help_of
        self._objects: Callable[[], Awaitable[Iterable[bytes]]] | None = None
        self.loop_lag = Histogram(
            "postroom_event_loop_lag_seconds",
            "By how much a timer of the event loop came too late, twice a second.",
            buckets=_LAG_BUCKETS,
            registry=self.registry,
        )

        self.other_installation = self._gauge(
            "postroom_other_installation",
            "1 where another operator works on the same objects, such as one that is installed in "
            "another namespace, so that this one stands by; else 0.",
        )

    def _counter(
        self, name: str, text: str, labels: tuple[str, ...] = (), known: Iterable[str] = ()
    ) -> Counter:
        """A counter; `known` are the values of its one label."""
        counter = Counter(name, text, labels, registry=self.registry)
        for value in known:
            counter.labels(value)
        return counter

    def _gauge(self, name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, text, labels, registry=self.registry)

    def _left_out_of_sweeps(self, name: str) -> Gauge:
        """What the last sweep could not see of single namespaces and objects."""
        gauge = self._gauge(
            name,
            "Namespaces and objects that the last sweep could not look at, as the API server "
            "refuses these alone.",
            ("part",),
        )
        for part in ("namespaces", "objects"):
            gauge.labels(part)
        return gauge

    def _refused_statuses(self, name: str) -> Gauge:
        """Of whom the API server takes no status."""
        return self._gauge(
            name,
            "Objects of a namespace whose last status the API server refused (forbidden, invalid).",
            ("namespace", "result"),
        )

    def observe_objects(self, pieces: Callable[[], Awaitable[Iterable[bytes]]]) -> None:
        """Export what `pieces` tell of the objects whenever Prometheus asks."""
        self._objects = pieces

    def observe_gauge(self, name: str, value: Callable[[], float]) -> None:
        """Export a value, which is read whenever Prometheus asks."""
        Gauge(name, self._help_of[name], registry=self.registry).set_function(value)

    async def render(self) -> AsyncIterator[bytes]:
        """Yield everything in the Prometheus text format, in pieces that are sent at once each."""
        gathered, size = [generate_latest(self.registry)], 0
        for piece in await self._objects() if self._objects is not None else ():
            if size >= _PIECE:
                yield b"".join(gathered)
                gathered, size = [], 0
            gathered.append(piece)
            size += len(piece)
        yield b"".join(gathered)


class Metrics(Registry):
    """Every metric of one operator."""

    def __init__(self) -> None:
        super().__init__(GAUGES)
        self.reconcile_seconds = Histogram(
            "postroom_reconcile_duration_seconds",
            "How long evaluating one object took.",
            ("kind",),
            buckets=_DURATION_BUCKETS,
            registry=self.registry,
        )
        self.reconcile_errors = self._counter(
            "postroom_reconcile_errors",
            "Evaluations that ended in an unexpected error.",
            ("kind",),
            Kind,
        )
        self.status_writes = self._counter(
            "postroom_status_writes", "Status writes by how they ended.", ("result",), WriteResult
        )
        self.write_conflicts = self._counter(
            "postroom_status_write_conflicts", "Status writes that met a newer object."
        )
        self.events = self._counter(
            "postroom_events", "Kubernetes Events by what became of them.", ("result",), EventResult
        )
        self.watch_missed = self._counter(
            "postroom_watch_missed", "Changes that the sweep found and the watch had not brought."
        )
        self.status_refused = self._refused_statuses("postroom_status_refused")
        self.unseen = self._left_out_of_sweeps("postroom_sweep_left_out")
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
        for kind in Kind:
            self.reconcile_seconds.labels(kind)
        for session in SESSIONS:
            self.mail_seconds.labels(session)
            # Reasons and stages are too many, and most are never met: those begin with 1.
            self.mail_sessions.labels(session, ProbeStage.DONE, Reason.PROBE_SUCCEEDED)

        self.shard_info = self._gauge(
            "postroom_shard_info",
            "1 where this process works on that shard of a scope, 0 where it stands by.",
            ("scope", "shard", "shards"),
        )
        self.shard_objects = self._gauge(
            "postroom_shard_objects",
            "Objects known: those that this process works on (own), and those of other shards.",
            ("scope", "part"),
        )

    def observe_session(self, kind: str, seconds: float, report: ProbeReport) -> None:
        """Count a session with a mail server; never by address or host, of which there are many."""
        self.mail_seconds.labels(kind=kind).observe(seconds)
        self.mail_sessions.labels(kind, report.stage.value, report.reason.value).inc()
