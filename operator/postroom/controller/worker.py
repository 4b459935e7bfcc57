# SPDX-License-Identifier: Apache-2.0
"""The worker: takes a key, evaluates the object, hands the status to the writer, plans the next."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from postroom.api.conditions import ConditionType, find
from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.api.resource import InvalidSpec, Metadata, parse_spec, parse_status
from postroom.api.status import CommonStatus
from postroom.concurrency.acting import acting_for
from postroom.controller.children import Children, is_ending
from postroom.controller.dependants import declared
from postroom.controller.events import EventPoster
from postroom.controller.intake import Intake, utc_now
from postroom.controller.queue import QueueClosed, Urgency
from postroom.controller.raw_objects import Raw, metadata_of, status_of
from postroom.controller.writer import Evaluated, Writer, marks_of
from postroom.log import about
from postroom.metrics import Metrics, WriteResult
from postroom.reconcile.status import schedule
from postroom.reconcile.status.outcome import Memory, Outcome
from postroom.reconcile.status.wanted import ChildState, left_by

logger = logging.getLogger(__name__)

#: Seconds after which a run on a new spec tells in status that it is at work.
_SLOW_RUN = 5.0
#: Seconds after which a run is given up: every stage has its own, shorter bound.
_LONGEST_RUN = 300.0
#: Seconds until a status that the API server rejects is tried again.
_REFUSED_RETRY = 120.0
#: Children follow a status that stands: it names them before they come, and until they are gone.
_TOLD = (WriteResult.WRITTEN, WriteResult.UNCHANGED)


class _TooLong(Exception):
    """An evaluation was given up."""


def _tells_of_a_bug(status: CommonStatus) -> bool:
    """Whether an evaluation ended in one: the engine makes it a verdict, so nothing is raised.

    An object at rest keeps the verdict that it had; it was not evaluated.
    """
    ready = find(status.conditions, ConditionType.READY)
    return (
        ready is not None
        and ready.reason == Reason.INTERNAL_ERROR.value
        and find(status.conditions, ConditionType.SUSPENDED) is None
    )


def _nothing_to_tell(kind: Kind, raw: Raw, memory: Memory, now: datetime) -> None:
    """What a run is at where nobody tells."""


@dataclass(frozen=True, slots=True)
class Evaluator:
    """The engine, bound to its world and policy: see `postroom.reconcile.engine`."""

    reconcile: Callable[[Kind, Raw, Memory], Awaitable[Outcome]]
    progressing: Callable[[Kind, Raw, datetime], CommonStatus]
    syncing: Callable[[Kind, Raw, Memory, datetime], CommonStatus | None] = _nothing_to_tell


class Worker:
    """Works on keys of the queue until it closes."""

    def __init__(
        self,
        intake: Intake,
        evaluator: Evaluator,
        writer: Writer,
        events: EventPoster,
        metrics: Metrics,
        now: Callable[[], datetime] = utc_now,
        slow_run: float = _SLOW_RUN,
        children: Children | None = None,
    ) -> None:
        self._intake = intake
        self._queue = intake.queue
        self._evaluator = evaluator
        self._writer = writer
        self._events = events
        self._metrics = metrics
        self._now = now
        self._slow_run = slow_run
        self._children = children or Children({})
        self._took = {kind: metrics.reconcile_seconds.labels(kind.value) for kind in Kind}

    async def run(self) -> None:
        """Work until the queue closes."""
        while True:
            try:
                key = await self._queue.take()
            except QueueClosed:
                return
            try:
                with acting_for(key.namespace):
                    await self._handle(key)
            finally:
                self._queue.done(key)
            # Where nothing was to be written, nothing was waited for: everything else has its turn.
            await asyncio.sleep(0)

    async def _handle(self, key: Key) -> None:
        """Work on one key; whatever goes wrong stays with this key."""
        raw = self._intake.cache.get(key)
        if raw is None:
            self._queue.forget(key)
            return
        try:
            if is_ending(raw):
                await self._take_back(key, raw)
            else:
                await self._evaluate(key, raw)
        except Exception as error:
            # The boundary around one object: a bug on its account must not stop the worker.
            self._metrics.reconcile_errors.labels(kind=key.kind.value).inc()
            delay = self._queue.failed(key)
            if isinstance(error, _TooLong):
                logger.warning(
                    "no end of an evaluation after %.0f s: it was given up, and is tried again in "
                    "%.0f s; where many are, the operator wants more CPU",
                    _LONGEST_RUN,
                    delay,
                    extra=about(key),
                )
            else:
                logger.exception("unexpected error; retried in %.0f s", delay, extra=about(key))

    async def _take_back(self, key: Key, raw: Raw) -> None:
        """Take back what an object has published that is deleted, and held by somebody's finalizer;
        nothing else is done with it."""
        if left := left_by(parse_status(key.kind, raw.get("status"))):
            uid = Metadata.of(metadata_of(raw)).uid
            states = await self._children.apply(key, uid, left)
            if ChildState.UNAVAILABLE in states.values():
                self._queue.add_after(key, _REFUSED_RETRY)

    async def _evaluate(self, key: Key, raw: Raw) -> None:
        metadata = Metadata.of(metadata_of(raw))
        try:
            interval = schedule.interval_of(parse_spec(key.kind, raw.get("spec")))
        except InvalidSpec:
            interval = timedelta()
        evaluated = Evaluated(
            key,
            metadata.uid,
            metadata.generation,
            schedule.heartbeat(interval),
            marks_of(status_of(raw)),
        )
        started = time.monotonic()
        outcome = await self._reconcile(key, raw, evaluated)
        if outcome is None:
            return
        self._took[key.kind].observe(time.monotonic() - started)
        if outcome.status is not None and _tells_of_a_bug(outcome.status):
            self._metrics.reconcile_errors.labels(kind=key.kind.value).inc()
        # Before the write, so that what changes from here on brings the object back.
        self._intake.dependants.update(key, outcome.references or declared(key.kind, raw))
        result = WriteResult.UNCHANGED
        if outcome.status is not None:
            result = await self._writer.write(evaluated, outcome.status)
        if result is not WriteResult.GONE:
            self._conclude(key, metadata.uid, outcome, result)
            if result in _TOLD:
                await self._apply(key, metadata.uid, outcome)
        if key not in self._intake.cache:
            self._intake.dependants.forget(key)

    async def _apply(self, key: Key, uid: str, outcome: Outcome) -> None:
        """Make children come true; what is news of them is told at once, by another run."""
        raw = self._intake.cache.get(key)
        if outcome.children is None or raw is None or metadata_of(raw).get("uid") != uid:
            return  # the children of what is gone go with it
        memory = self._intake.memory(key)
        states = await self._children.apply(key, uid, outcome.children)
        if states != memory.children:
            memory.children = states
            self._queue.add(key, Urgency.CHANGE)

    async def _reconcile(self, key: Key, raw: Raw, evaluated: Evaluated) -> Outcome | None:
        """Evaluate; what takes long is told, and bounded. None: the domain is gone.

        It runs in this task, from the key to the write: nearly all evaluations wait for nothing,
        and with one task for each, those of all answers that come together would be made before
        any of their writes was sent.
        """
        memory = self._intake.memory(key)
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        given_up = loop.time() + _LONGEST_RUN
        telling: list[asyncio.Task[bool]] = []

        def takes_long() -> None:
            # Here, as what tells may wait for a write, or fail.
            bound.reschedule(given_up)
            told = self._tell(key, raw, memory, evaluated, bound, ended)
            telling.append(asyncio.ensure_future(told))

        timer = loop.call_later(self._slow_run, takes_long)
        outcome: Outcome | None = None
        try:
            async with asyncio.timeout(None) as bound:
                outcome = await self._evaluator.reconcile(key.kind, raw, memory)
        except TimeoutError:
            if not bound.expired():
                raise
            if bound.when() == given_up:
                raise _TooLong from None
        except asyncio.CancelledError:
            for task in telling:
                task.cancel()
            # An error that it ended by before must not stand for our end.
            await asyncio.gather(*telling, return_exceptions=True)
            telling.clear()
            raise
        finally:
            timer.cancel()
            ended.set()
            # A write that is under way is not broken off: its answer has to be known.
            told = telling and await telling[0]
        if told and outcome is not None and outcome.status is None:
            # Nothing else is to be written; what was told is over all the same.
            self._queue.add(key, Urgency.CHANGE)
        return outcome

    async def _tell(
        self,
        key: Key,
        raw: Raw,
        memory: Memory,
        evaluated: Evaluated,
        bound: asyncio.Timeout,
        ended: asyncio.Event,
    ) -> bool:
        """Tell of a slow run on a new generation that it is at work, once, and what a slow look at
        a mailbox is at for as long as it lasts. Returns whether that was told."""
        stored = parse_status(key.kind, raw.get("status"))
        if stored.observed_generation != evaluated.generation:
            status = self._evaluator.progressing(key.kind, raw, self._now())
            await self._writer.write(evaluated, status)
        told = False
        while not (ended.is_set() or bound.expired()):
            current = self._intake.cache.get(key)
            if key.kind is Kind.SENDING_DOMAIN and evaluated.uid != metadata_of(current or {}).get(
                "uid"
            ):
                # What waits in the line before a name server need not be asked any more.
                bound.reschedule(asyncio.get_running_loop().time())
                break
            at_work = self._evaluator.syncing(key.kind, current or raw, memory, self._now())
            if at_work is not None:
                told = await self._writer.write(evaluated, at_work) in _TOLD or told
            try:
                await asyncio.wait_for(ended.wait(), self._slow_run)
            except TimeoutError:
                continue
        return told

    def _conclude(self, key: Key, uid: str, outcome: Outcome, result: WriteResult) -> None:
        """Plan what comes next for a key."""
        match result:
            case WriteResult.STALE:
                # What overtook this run has planned the next, and that as often as people may.
                if not self._queue.comes_again(key):
                    self._queue.add(key, Urgency.CHANGE)
                return
            case WriteResult.UNAVAILABLE | WriteResult.FORBIDDEN:
                # An API server that has just begun knows no rights yet, and forbids what it allows.
                self._queue.failed(key)
                return
            case WriteResult.INVALID:
                self._queue.add_after(key, _REFUSED_RETRY)
                return
        self._queue.succeeded(key)
        self._events.announce(key, uid, outcome.notices)
        if outcome.next_check is not None:
            self._queue.add_after(key, outcome.next_check.total_seconds())
