# SPDX-License-Identifier: Apache-2.0
"""Kubernetes Events: what changed, told once to whoever runs ``kubectl describe`` or ``events``.

Events are a courtesy, status is the truth: they wait in a bounded backlog behind everything else,
and one that cannot be posted is dropped. Namespaces take turns, and where there is no room, who
has most waiting loses one: nobody's flood keeps or drops another's.
"""

import asyncio
import logging
import secrets
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from postroom.api.names import API_VERSION, Key
from postroom.api.times import timestamp
from postroom.concurrency.bounded import BoundedMap
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.client import ApiError
from postroom.controller.intake import utc_now
from postroom.log import about
from postroom.metrics import EventResult, Metrics
from postroom.reconcile.status.outcome import Notice

logger = logging.getLogger(__name__)

#: Who reports, in the two forms that an Event has for it.
COMPONENT, CONTROLLER = "postroom", "postroom.dev/postroom"
_NOTE_LIMIT = 1024  # bytes, as of a note in events.k8s.io/v1
_INSTANCE_LIMIT = 128
_NAME_LIMIT = 253
#: Events that wait, of all namespaces, and how many are posted at once: one of each namespace.
_BACKLOG, _AT_ONCE = 1000, 8
_OBJECTS_REMEMBERED = 4096

_Waiting = tuple[Key, dict[str, Any]]

#: Per object: a burst, then one a minute. A flapping thing must not fill the namespace.
_OBJECT_RATE, _OBJECT_BURST = 1 / 60, 10
#: For all together: Events never compete with status writes.
_GLOBAL_RATE, _GLOBAL_BURST = 10.0, 20.0


class _Backlog:
    """What waits, by namespace: each has one under way at a time, and they take turns."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        #: Whose turn it is next comes first.
        self._waiting: OrderedDict[str, deque[_Waiting]] = OrderedDict()
        self._under_way: set[str] = set()

    def put(self, item: _Waiting) -> bool:
        """Take an item in; False: there was no room, and the newest of who has most is gone."""
        namespace = item[0].namespace
        own = len(self._waiting.get(namespace, ())) + 1
        room = self._size < self._limit
        if not room:
            most = max(self._waiting, key=lambda name: len(self._waiting[name]))
            # Among equals whoever comes gives way: what waits already stays.
            if own >= len(self._waiting[most]):
                return False
            self._waiting[most].pop()
            self._size -= 1
        self._waiting.setdefault(namespace, deque()).append(item)
        self._size += 1
        return room

    def take(self) -> _Waiting | None:
        """Take the next item out; None where none may be posted now."""
        ready = (waiting for waiting in self._waiting if waiting not in self._under_way)
        namespace = next(ready, None)
        if namespace is None:
            return None
        self._under_way.add(namespace)
        self._size -= 1
        items = self._waiting.pop(namespace)
        item = items.popleft()
        if items:
            self._waiting[namespace] = items  # behind the others
        return item

    def done(self, namespace: str) -> None:
        """An item of a namespace is under way no more."""
        self._under_way.discard(namespace)


class EventPoster:
    """Posts notices as Events (core/v1, which needs no further API group in RBAC)."""

    def __init__(
        self,
        post: Callable[[str, Mapping[str, Any]], Awaitable[None]],
        instance: str,
        metrics: Metrics,
        now: Callable[[], datetime] = utc_now,
        bucket: TokenBucket | None = None,
    ) -> None:
        self._post = post
        self._instance = instance[:_INSTANCE_LIMIT]
        self._metrics = metrics
        self._now = now
        self._bucket = bucket or TokenBucket(_GLOBAL_RATE, _GLOBAL_BURST)
        self._backlog = _Backlog(_BACKLOG)
        self._moved = asyncio.Event()
        #: Whether it was logged that the right to post is missing, as it is for each Event.
        self._told_forbidden = False
        self._per_object: BoundedMap[str, TokenBucket] = BoundedMap(_OBJECTS_REMEMBERED)

    def announce(self, key: Key, uid: str, notices: Iterable[Notice]) -> None:
        """Have notices about an object posted; drops those beyond its rate. Never waits."""
        for notice in notices:
            bucket = self._per_object.use_or_make(
                uid, lambda: TokenBucket(_OBJECT_RATE, _OBJECT_BURST)
            )
            if not bucket.try_take():
                self._count(EventResult.SUPPRESSED)
                continue
            if not self._backlog.put((key, self._event(key, uid, notice))):
                self._count(EventResult.DROPPED)
            self._moved.set()

    async def run(self) -> None:
        """Post what was announced, until cancelled."""
        async with asyncio.TaskGroup() as posting:
            for _ in range(_AT_ONCE):
                posting.create_task(self._post_one_by_one())

    async def _post_one_by_one(self) -> None:
        while True:
            waiting = self._backlog.take()
            if waiting is None:
                self._moved.clear()
                await self._moved.wait()
                continue
            key, event = waiting
            try:
                await self._bucket.take(key.namespace)
                await self._post(key.namespace, event)
                self._count(EventResult.POSTED)
            except ApiError as error:
                self._count(EventResult.FAILED)
                # What else is forbidden passes, such as in a namespace that is being deleted.
                untold = not self._told_forbidden and "cannot create resource" in error.message
                self._told_forbidden |= untold
                level = logging.WARNING if untold else logging.DEBUG
                logger.log(level, "event not posted: %s", error, extra=about(key))
            finally:
                self._backlog.done(key.namespace)
                self._moved.set()

    def _count(self, result: EventResult) -> None:
        self._metrics.events.labels(result=result).inc()

    def _event(self, key: Key, uid: str, notice: Notice) -> dict[str, Any]:
        suffix = f".{secrets.token_hex(8)}"
        now = timestamp(self._now())
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {
                "name": key.name[: _NAME_LIMIT - len(suffix)].rstrip(".-") + suffix,
                "namespace": key.namespace,
            },
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": key.kind.value,
                "namespace": key.namespace,
                "name": key.name,
                "uid": uid,
            },
            "type": notice.type.value,
            "reason": notice.reason,
            "message": notice.message.encode()[:_NOTE_LIMIT].decode(errors="ignore"),
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "source": {"component": COMPONENT},
            "reportingComponent": CONTROLLER,
            "reportingInstance": self._instance,
        }
