# SPDX-License-Identifier: Apache-2.0
"""Kubernetes Events: what changed, told once to whoever runs ``kubectl describe`` or ``events``.

Events are a courtesy, status is the truth: they wait in a bounded queue behind everything else,
and one that cannot be posted is dropped.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from postroom.api.names import API_VERSION, Key
from postroom.controller.client import ApiError
from postroom.controller.intake import utc_now
from postroom.controller.limits import TokenBucket
from postroom.log import about
from postroom.metrics import Metrics
from postroom.reconcile.outcome import Notice
from postroom.reconcile.schedule import timestamp

logger = logging.getLogger(__name__)

#: Who reports, in the two forms that an Event has for it.
COMPONENT, CONTROLLER = "postroom", "postroom.dev/postroom"
_NOTE_LIMIT = 1024  # bytes, as of a note in events.k8s.io/v1
_INSTANCE_LIMIT = 128
_NAME_LIMIT = 253
_BACKLOG = 1000
_OBJECTS_REMEMBERED = 4096

#: Per object: a burst, then one a minute. A flapping thing must not fill the namespace.
_OBJECT_RATE, _OBJECT_BURST = 1 / 60, 10
#: For all together: Events never compete with status writes.
_GLOBAL_RATE, _GLOBAL_BURST = 10.0, 20.0


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
        self._backlog: asyncio.Queue[tuple[Key, dict[str, Any]]] = asyncio.Queue(_BACKLOG)
        self._per_object: OrderedDict[str, TokenBucket] = OrderedDict()

    def announce(self, key: Key, uid: str, notices: Iterable[Notice]) -> None:
        """Have notices about an object posted; drops those beyond its rate. Never waits."""
        for notice in notices:
            if not self._bucket_of(uid).try_take():
                self._count("suppressed")
                continue
            try:
                self._backlog.put_nowait((key, self._event(key, uid, notice)))
            except asyncio.QueueFull:
                self._count("dropped")

    async def run(self) -> None:
        """Post what was announced, until cancelled."""
        while True:
            key, event = await self._backlog.get()
            await self._bucket.take()
            try:
                await self._post(key.namespace, event)
                self._count("posted")
            except ApiError as error:
                self._count("failed")
                logger.debug("event not posted: %s", error, extra=about(key))

    def _bucket_of(self, uid: str) -> TokenBucket:
        bucket = self._per_object.pop(uid, None) or TokenBucket(_OBJECT_RATE, _OBJECT_BURST)
        self._per_object[uid] = bucket
        if len(self._per_object) > _OBJECTS_REMEMBERED:
            self._per_object.popitem(last=False)
        return bucket

    def _count(self, result: str) -> None:
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
