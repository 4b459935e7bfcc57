# SPDX-License-Identifier: Apache-2.0
"""What `postroom deliver` tells Prometheus: how many messages went, by namespace, and what waits,
by account; nothing of what is in them, and nobody's address."""

from collections.abc import Callable, Iterable
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from postroom.api.names import Key
from postroom.controller.refused_statuses import RefusedStatuses
from postroom.delivery.answers import PASSED_BY, Meaning
from postroom.delivery.contract import Progress
from postroom.metrics import Registry, WriteResult

#: What is read when Prometheus asks, and what it tells.
GAUGES = {
    "postroom_deliver_couriers": "Accounts whose mail is handed over now.",
    "postroom_deliver_spool_bytes": "Room that messages on their way take.",
    "postroom_deliver_spool_limit_bytes": "Room that there is for them.",
    "postroom_deliver_sessions": "Mailboxes that are open, or about to be.",
    "postroom_deliver_sessions_limit": "How many there may be at a time.",
    "postroom_deliver_sessions_waiting": "Accounts that wait for one.",
    "postroom_deliver_queue_depth": "Accounts waiting to be looked at.",
    "postroom_deliver_sweep_age_seconds": "Time since the watch was last compared with a list, but "
    "for what postroom_deliver_sweep_left_out counts; -1 before the first.",
}
#: The same of each account.
ACCOUNTS = {
    "postroom_deliver_waiting": "Messages that wait for the application, as last seen.",
    "postroom_deliver_lag_seconds": "For how long the message has waited that is "
    "next; 0 where none does.",
}
#: Accounts of one namespace that have series of their own.
MOST_OF_A_NAMESPACE = 5_000

Progresses = Callable[[], Iterable[tuple[Key, Progress]]]


class Figures(Registry):
    """Every metric of one worker."""

    def __init__(self) -> None:
        super().__init__(GAUGES)
        where = ("namespace",)
        self._delivered = self._counter(
            "postroom_deliver_delivered", "Messages that applications took.", where
        )
        self._bytes = self._counter(
            "postroom_deliver_bytes", "Octets of messages that applications took.", where
        )
        self._retries = self._counter(
            "postroom_deliver_retries",
            "Messages that were not taken and are offered again, by why: Later (no answer, 5xx, "
            "408, 425, 429), Refused (another 4xx), Stop (410).",
            ("namespace", "meaning"),
        )
        self._rejected = self._counter(
            "postroom_deliver_rejected", "Messages passed by after 48 hours of refusals.", where
        )
        self._ceded = self._counter(
            "postroom_deliver_sessions_ceded",
            "Mailboxes that were closed because other accounts waited, and are read in turn since.",
            where,
        )
        self.writes = self._counter(
            "postroom_deliver_status_writes",
            "Status writes by how they ended.",
            ("result",),
            WriteResult,
        )
        self.watch_missed = self._counter(
            "postroom_deliver_watch_missed",
            "Changes that the sweep found and the watch had not brought.",
        )
        self.refused = RefusedStatuses(self._refused_statuses("postroom_deliver_status_refused"))
        self.unseen = self._left_out_of_sweeps("postroom_deliver_sweep_left_out")
        self.errors = self._counter(
            "postroom_deliver_errors",
            "Unexpected errors: of a look at an account, or of handing over its mail.",
        )

    def begun(self, namespace: str) -> None:
        """Have the counters of a namespace be there before its first message is offered."""
        for counter in (self._delivered, self._bytes, self._rejected, self._ceded):
            counter.labels(namespace)
        for meaning in Meaning:
            if meaning is not Meaning.HANDED_OVER:
                self._retries.labels(namespace, meaning.value)

    def offered(self, namespace: str, result: str, octets: int) -> None:
        """Count what came of a message."""
        if result == PASSED_BY:
            self._rejected.labels(namespace).inc()
        elif result == Meaning.HANDED_OVER.value:
            self._delivered.labels(namespace).inc()
            self._bytes.labels(namespace).inc(octets)
        else:
            self._retries.labels(namespace, result).inc()

    def wrote(self, key: Key, result: WriteResult) -> None:
        """Count a write of status, and whose are refused."""
        self.writes.labels(result.value).inc()
        self.refused.ended(key, result)

    def ceded(self, namespace: str) -> None:
        """Count a session that was given up for others."""
        self._ceded.labels(namespace).inc()

    def observe_accounts(self, progresses: Progresses, now: Callable[[], datetime]) -> None:
        """Export what waits whenever Prometheus asks."""
        self.registry.register(_Accounts(progresses, now))


class _Accounts(Collector):
    """What waits, of each account; of one namespace so many at most that no tenant fills a
    Prometheus."""

    def __init__(self, progresses: Progresses, now: Callable[[], datetime]) -> None:
        self._progresses, self._now = progresses, now

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked of objects to know the names."""
        return [GaugeMetricFamily(name, text) for name, text in ACCOUNTS.items()]

    def collect(self) -> Iterable[Metric]:
        waiting, lag = (
            GaugeMetricFamily(name, text, labels=("namespace", "name"))
            for name, text in ACCOUNTS.items()
        )
        now, told = self._now(), dict[str, int]()
        for key, progress in self._progresses():
            told[key.namespace] = told.get(key.namespace, 0) + 1
            if told[key.namespace] > MOST_OF_A_NAMESPACE:
                continue
            since = progress.waiting_since
            seconds = max((now - since).total_seconds(), 0.0) if since is not None else 0.0
            waiting.add_metric((key.namespace, key.name), progress.waiting)
            lag.add_metric((key.namespace, key.name), seconds)
        return waiting, lag
