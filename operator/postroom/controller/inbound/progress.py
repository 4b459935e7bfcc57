# SPDX-License-Identifier: Apache-2.0
"""Writes how far incoming mail is handed over: its part of status, as a field manager of its own.

A status is put whole, with the operator's part as it stands, onto the version that has just that:
whoever writes in between is looked at first. So neither loses what the other wrote.

Each account once a minute at most. What a new spec leads to goes ahead of that, and so may three
verdicts that change by themselves; all of it is made up for later. At the end of the process
everything is written. What is lost with a process that is killed is a minute of cursors, three at
most, whose messages are handed over again under the same keys.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from postroom.api.names import Key
from postroom.api.reasons import Reason
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.client import ApiError
from postroom.controller.intake import Intake
from postroom.controller.raw_objects import Raw, metadata_of, status_of
from postroom.controller.shared_status import with_progress
from postroom.delivery import status
from postroom.delivery.contract import Progress
from postroom.log import about
from postroom.metrics import WriteResult

logger = logging.getLogger(__name__)

MANAGER = "postroom-deliver"
#: Seconds between two writes of one account, and how many changed verdicts may go ahead of them.
_PAUSE, _AHEAD = 60.0, 2
#: Seconds until a write that failed is repeated, and until one that no repetition mends.
_RETRY, _REFUSED = 10.0, 300.0
#: Seconds in which a mailbox that is about to be read mostly was: that is nothing to tell before.
_SOON = 5.0
#: Writes in a row of what others change meanwhile.
_ATTEMPTS = 4
#: What an answer of the API server means.
_RESULTS = {
    403: WriteResult.FORBIDDEN,
    404: WriteResult.GONE,
    409: WriteResult.STALE,
    413: WriteResult.INVALID,
    422: WriteResult.INVALID,
}
#: How many are written at a time when the process ends.
_AT_THE_END = 8


class PuttingClient(Protocol):
    """The part of `postroom.controller.client.Cluster` that putting progress needs."""

    async def replace_status_as(
        self, manager: str, key: Key, version: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any]: ...


class StatusClient(PuttingClient, Protocol):
    """The part of `postroom.controller.client.Cluster` that this needs."""

    async def get(self, key: Key) -> Mapping[str, Any] | None: ...


@dataclass(slots=True)
class _Told:
    """What is to be told of one account; `progress` None: nothing any more.

    `generation` is that of the spec which it was found by, whatever the spec says by now.
    """

    uid: str
    application: str
    progress: Progress | None
    generation: int
    due: float


async def put(client: PuttingClient, key: Key, raw: Raw, part: Mapping[str, Any]) -> Raw:
    """Put a part of status onto an object as it was seen; returns the object as it stands then,
    raises `ApiError`.

    Its version is the precondition, not its UID: of statuses API servers do not hold that against
    the object, so that another one of the same name would get the progress of one that is gone.
    """
    whole = with_progress(status_of(raw), part)
    version = str(metadata_of(raw)["resourceVersion"])
    return await client.replace_status_as(MANAGER, key, version, whole)


class InboundStatus:
    """Gathers what couriers tell, and writes it. For one event loop.

    `worker` names the Lease of this process, by which the operator tells that it is at work; None
    where it holds none.
    """

    def __init__(
        self,
        client: StatusClient,
        intake: Intake,
        bucket: TokenBucket,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
        worker: str | None = None,
    ) -> None:
        self._client, self._intake, self._bucket = client, intake, bucket
        self._now, self._clock, self.worker = now, clock, worker
        self._told: dict[Key, _Told] = {}
        #: When all that was written of an account is made up for, at one write a minute.
        self._paid: dict[Key, float] = {}
        self._news = asyncio.Event()
        #: When it is looked anew who is due, whatever is told until then.
        self._wakes_at = float("inf")
        #: Told how each write ended.
        self.wrote: Callable[[Key, WriteResult], None] = lambda key, result: None

    def tell(
        self,
        key: Key,
        uid: str,
        application: str,
        progress: Progress | None,
        generation: int = 0,
    ) -> None:
        """Have an account's progress written, sooner where its verdict is another one.

        The first one of a spec is due now: whoever changed that waits for it.
        """
        now = self._clock()
        paid = self._paid.get(key, now)
        if progress is not None and progress.reason is Reason.PROGRESSING:
            paid = max(now, paid) + _SOON
        elif progress is None or self._is_first_of(key, generation):
            paid = now
        elif self._is_another_verdict(key, progress):
            paid -= _AHEAD * _PAUSE
        due = max(now, paid)
        waiting = self._told.get(key)
        if waiting is not None and waiting.uid == uid:
            due = min(due, waiting.due)
        self._told[key] = _Told(uid, application, progress, generation, due)
        if due < self._wakes_at:
            # Not for each message: to look whose turn it is costs as much as there are accounts.
            self._news.set()

    def pending(self, key: Key, uid: str) -> Progress | None:
        """What was told of an object and is not written yet."""
        told = self._told.get(key)
        return told.progress if told is not None and told.uid == uid else None

    async def stored(self, key: Key, uid: str, mailbox: str) -> bool:
        """Whether status has where a mailbox begins; what is told of an account is written for it.

        Each mailbox has that once, so that it delays nothing else.
        """
        if not self._has_cursor(key, uid, mailbox):
            await self._bucket.take(key.namespace)
            paid = self._paid.get(key)
            await self._write(key)
            if paid is not None and key in self._paid:
                self._paid[key] = paid
            else:
                self._paid.pop(key, None)
        return self._has_cursor(key, uid, mailbox)

    def _has_cursor(self, key: Key, uid: str, mailbox: str) -> bool:
        raw = self._object(key, uid)
        return raw is not None and mailbox in status.read(status_of(raw)).cursors

    def _object(self, key: Key, uid: str) -> Raw | None:
        """The object as it was seen; None where it is gone, or another one of the same name."""
        raw = self._intake.cache.get(key)
        return raw if raw is not None and str(metadata_of(raw).get("uid")) == uid else None

    def forget(self, key: Key) -> None:
        """An object is no more."""
        self._told.pop(key, None)
        self._paid.pop(key, None)

    def _stands(self, key: Key) -> Mapping[str, Any] | None:
        raw = self._intake.cache.get(key)
        return status.condition_in(status_of(raw)) if raw is not None else None

    def _is_first_of(self, key: Key, generation: int) -> bool:
        """Whether nothing was said yet of this spec but that something is about to be known."""
        stands = self._stands(key) or {}
        observed = stands.get("observedGeneration")
        if not isinstance(observed, int) or observed < generation:
            return True
        return stands.get("reason") == Reason.PROGRESSING.value

    def _is_another_verdict(self, key: Key, progress: Progress) -> bool:
        stands = self._stands(key)
        wanted = status.verdict(progress, stands, self.worker)
        return stands is None or (stands.get("status"), stands.get("reason")) != wanted

    async def run(self) -> None:
        """Write what is due, until cancelled; who has much to write keeps no other waiting."""
        at_work: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                self._news.clear()
                at_work = {name: task for name, task in at_work.items() if not task.done()}
                for namespace in {key.namespace for key in self._due()} - at_work.keys():
                    at_work[namespace] = asyncio.create_task(self._write_due(namespace))
                others = (
                    told.due for key, told in self._told.items() if key.namespace not in at_work
                )
                self._wakes_at = min(others, default=float("inf"))
                wait = max(self._wakes_at - self._clock(), 0.0)
                try:
                    async with asyncio.timeout(wait if wait < float("inf") else None):
                        await self._news.wait()
                except TimeoutError:
                    continue
        finally:
            for task in at_work.values():
                task.cancel()
            await asyncio.gather(*at_work.values(), return_exceptions=True)

    async def flush(self) -> None:
        """Write everything now: the process ends."""
        places = asyncio.Semaphore(_AT_THE_END)

        async def write(key: Key) -> None:
            async with places:
                await self._write(key)

        await asyncio.gather(*map(write, list(self._told)))

    def _due(self) -> list[Key]:
        now = self._clock()
        return [key for key, told in self._told.items() if told.due <= now]

    async def _write_due(self, namespace: str) -> None:
        try:
            for key in self._due():
                if key.namespace == namespace:
                    await self._bucket.take(namespace)
                    await self._write(key)
        finally:
            self._news.set()

    async def _write(self, key: Key) -> None:
        """Write what was told of an account; it is kept where that does not succeed."""
        told = self._told.pop(key, None)
        if told is None:
            return
        try:
            await self._apply(key, told)
            return
        except ApiError as error:
            logger.warning("progress not written: %s", error, extra=about(key))
            result = _RESULTS.get(error.status, WriteResult.UNAVAILABLE)
            # What went before its refusal came is counted as refused no more.
            self.wrote(key, result if self._object(key, told.uid) is not None else WriteResult.GONE)
            pause = max(_RETRY if error.transient else _REFUSED, error.retry_after or 0.0)
            if error.status == 409:
                pause = _RETRY
        except Exception:
            logger.exception("progress not written", extra=about(key))
            pause = _REFUSED
        except asyncio.CancelledError:
            self._told.setdefault(key, told)
            raise
        newer = self._told.setdefault(key, told)
        newer.due = self._clock() + pause

    async def _apply(self, key: Key, told: _Told) -> None:
        """Write onto the version that was seen, and look anew where there is another; raises
        `ApiError`."""
        for left in reversed(range(_ATTEMPTS)):
            raw = self._object(key, told.uid)
            if raw is None:
                return
            part = self._part(told, raw)
            if part == status.part_of(status_of(raw)):
                return
            try:
                answer = await put(self._client, key, raw, part)
            except ApiError as error:
                if error.status not in (404, 409) or not left:
                    raise
                await self._refresh(key)
                continue
            self.wrote(key, WriteResult.WRITTEN)
            self._intake.answered(key.kind, answer)
            if self._object(key, told.uid) is not None:  # else it went, and was forgotten
                now = self._clock()
                paid = max(self._paid.get(key, now), now) + _PAUSE
                self._paid[key] = min(paid, now + (_AHEAD + 1) * _PAUSE)
            return

    async def _refresh(self, key: Key) -> None:
        fresh = await self._client.get(key)
        if fresh is None:
            self._intake.gone(key)
        else:
            self._intake.answered(key.kind, fresh)

    def _part(self, told: _Told, raw: Mapping[str, Any]) -> dict[str, Any]:
        if told.progress is None:
            return {}
        before = status.condition_in(status_of(raw))
        return status.written(
            told.progress, told.application, told.generation, before, self._now(), self.worker
        )
