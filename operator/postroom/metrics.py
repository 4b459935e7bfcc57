# SPDX-License-Identifier: Apache-2.0
"""The operator's Prometheus metrics, in a registry of their own.

What the cache and the queue know is read from them when Prometheus asks, so that nothing is kept
twice, and the series of a deleted object end with it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

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
from postroom.api.times import parse_timestamp
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
    reason: str = ""


class _Conditions(Collector):
    """Yields one series per stored condition."""

    def __init__(self, samples: Callable[[], Iterable[ConditionSample]]) -> None:
        self._samples = samples

    def collect(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily(
            "postroom_condition",
            "Conditions in status: 1 True, 0 False, -1 Unknown.",
            labels=("kind", "namespace", "name", "type", "reason"),
        )
        for sample in self._samples():
            value = _CONDITION_VALUES.get(sample.status)
            if value is not None:
                key = sample.key
                # Of the others the type tells the reason; each further one would be a series more.
                reason = sample.reason if sample.type == "Ready" else ""
                labels = (key.kind.value, key.namespace, key.name, sample.type, reason)
                family.add_metric(labels, value)
        yield family


#: Series of one metric that one namespace has at most.
MOST_OF_A_NAMESPACE = 5_000
_OBJECT = ("kind", "namespace", "name")


class Sample(NamedTuple):
    """One value of an object; `labels` are those besides kind, namespace and name."""

    metric: str
    labels: tuple[str, ...]
    value: float


#: Text and further labels of each metric.
METRICS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "postroom_certificate_not_after_timestamp_seconds": (
        "When the first certificate of the chain that the server showed ends.",
        ("protocol",),
    ),
    "postroom_last_sync_timestamp_seconds": (
        "A recent look at the mailbox; refreshed with other changes.",
        (),
    ),
    "postroom_mailbox_unseen": ("Messages of the mailbox that are not seen.", ()),
    "postroom_finding": ("1 for each code that is found.", ("code", "severity")),
}


def samples_of(raw: Mapping[str, Any]) -> Iterator[Sample]:
    """What an object's status tells, as far as it has the shape of one."""
    status = _mapping(raw.get("status"))
    for protocol, field in (("smtp", "tls"), ("imap", "imapTls")):
        facts = _mapping(status.get(field))
        ends = [_seconds(facts.get(name)) for name in ("notAfter", "chainNotAfter")]
        if known := [end for end in ends if end is not None]:
            yield Sample(
                "postroom_certificate_not_after_timestamp_seconds", (protocol,), min(known)
            )
    synced = _seconds(status.get("lastSync"))
    if synced is not None:
        yield Sample("postroom_last_sync_timestamp_seconds", (), synced)
    unseen = _mapping(status.get("mailbox")).get("unseen")
    if isinstance(unseen, int):
        yield Sample("postroom_mailbox_unseen", (), unseen)
    for code, severity in sorted(_found(status.get("findings"))):
        yield Sample("postroom_finding", (code, severity), 1.0)


def _found(findings: object) -> set[tuple[str, str]]:
    """Codes with their severities, each once."""
    entries = findings if isinstance(findings, list) else []
    return {
        (str(finding["code"]), str(finding.get("severity") or ""))
        for finding in entries
        if isinstance(finding, Mapping) and finding.get("code")
    }


def _seconds(text: object) -> float | None:
    try:
        return parse_timestamp(str(text)).timestamp()
    except ValueError:
        return None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


class ObjectMetrics(Collector):
    """Yields what the stored statuses tell: what alerts are made of.

    A namespace has so many series of each metric at most, so that no tenant fills a Prometheus that
    all share; how many were left out is a series, too.
    """

    def __init__(
        self,
        objects: Callable[[], Iterable[tuple[Key, Mapping[str, Any]]]],
        most: int = MOST_OF_A_NAMESPACE,
    ) -> None:
        self._objects, self._most = objects, most

    def collect(self) -> Iterator[GaugeMetricFamily]:
        families = {
            name: GaugeMetricFamily(name, text, labels=(*_OBJECT, *labels))
            for name, (text, labels) in METRICS.items()
        }
        counts: dict[tuple[str, str], int] = {}
        for key, raw in self._objects():
            for sample in samples_of(raw):
                place = sample.metric, key.namespace
                counts[place] = counts.get(place, 0) + 1
                if counts[place] <= self._most:
                    labels = (key.kind.value, key.namespace, key.name, *sample.labels)
                    families[sample.metric].add_metric(labels, sample.value)
        yield from families.values()
        left_out = GaugeMetricFamily(
            "postroom_series_left_out",
            "Series of a metric that a namespace has beyond its bound.",
            labels=("metric", "namespace"),
        )
        for (metric, namespace), count in sorted(counts.items()):
            if count > self._most:
                left_out.add_metric((metric, namespace), count - self._most)
        yield left_out


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

    def observe_objects(
        self, objects: Callable[[], Iterable[tuple[Key, Mapping[str, Any]]]]
    ) -> None:
        """Export what the statuses of `objects` tell whenever Prometheus asks."""
        self.registry.register(ObjectMetrics(objects))

    def observe_gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Export a value that is read whenever Prometheus asks."""
        gauge = Gauge(name, text, registry=self.registry)
        gauge.set_function(value)
        self._gauges[name] = gauge

    def render(self) -> bytes:
        """Return everything in the Prometheus text format."""
        return generate_latest(self.registry)
