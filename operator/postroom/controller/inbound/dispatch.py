# SPDX-License-Identifier: Apache-2.0
"""Keeps one courier for each account whose mail is handed over: begins, exchanges and ends them as
objects, Secrets and Services change."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount, InvalidSpec, parse
from postroom.concurrency.acting import acting_for
from postroom.concurrency.places import Places
from postroom.controller import lease
from postroom.controller.dependants import declared
from postroom.controller.inbound.announced import Announced
from postroom.controller.inbound.progress import InboundStatus
from postroom.controller.intake import Intake
from postroom.controller.queue import QueueClosed
from postroom.controller.raw_objects import metadata_of, status_of
from postroom.controller.shared_status import delivers
from postroom.delivery import confirmed, cursors, routes, status
from postroom.delivery.answers import Answer
from postroom.delivery.contract import Mailboxes, Progress, Route, Sink
from postroom.delivery.courier import Courier
from postroom.delivery.sinks.choice import Sinks
from postroom.delivery.spool import Spool, SpooledMessage
from postroom.log import about
from postroom.reconcile.account.messages.correspondents import Obstacle
from postroom.reconcile.world import World

logger = logging.getLogger(__name__)

#: Seconds after which an account is looked at anew: an unwatched Secret may have changed.
_LOOK_AGAIN = 300.0
#: Seconds after which one that something passing is in the way of is looked at anew, or something
#: that somebody is likely at work on, of which nothing tells.
_PASSING = 30.0
_BEING_MENDED = frozenset(
    {
        Reason.SECRET_NOT_FOUND,
        Reason.SECRET_KEY_MISSING,
        Reason.SIGNING_KEY_INVALID,
        Reason.REFERENCE_NOT_PERMITTED,
        Reason.CONFIG_MAP_NOT_FOUND,
        Reason.CONFIG_MAP_KEY_MISSING,
    }
)

_NOT_UNDERSTOOD = (
    "This `postroom deliver` does not understand the spec, so no mail is handed over: correct what "
    "the account's other conditions name; if they name nothing, it is older than the CRD: upgrade "
    "it."
)
_OUR_ERROR = (
    "postroom itself failed while handing mail over; it is begun anew by itself, and goes on where "
    "it was. Report it with the log lines of `postroom deliver` that name this account."
)

#: (namespace, what came of a message, its octets)
Observe = Callable[[str, str, int], None]


@dataclass(slots=True)
class _Carrying:
    """A courier at work, or one whose application wants nothing more.

    `mark` tells what it was sent out with; `given` what of the spec it stands on; `generation` is
    the latest of the spec that it was found to be right for.
    """

    uid: str
    generation: int
    mark: tuple[object, ...]
    given: tuple[object, ...]
    courier: Courier
    task: asyncio.Task[None]

    @property
    def died(self) -> bool:
        """Whether it ended by a bug."""
        return self.task.done() and (self.task.cancelled() or self.task.exception() is not None)


class _Fenced:
    """A sink that takes nothing from a process whose turn is over: it is about to end."""

    def __init__(self, sink: Sink, may_send: Callable[[], bool]) -> None:
        self._sink, self._may_send = sink, may_send

    async def send(self, told: Mapping[str, str], message: SpooledMessage | None) -> Answer:
        """Hand a message on, or wait for the end."""
        if not self._may_send():
            await asyncio.Event().wait()
        return await self._sink.send(told, message)


class Dispatcher:
    """Works on keys of the queue until it closes; `may_carry` is asked before each message."""

    def __init__(
        self,
        intake: Intake,
        world: World,
        services: routes.Services,
        mailboxes: Mailboxes,
        told: InboundStatus,
        spool: Spool,
        sinks: Sinks,
        places: Places,
        now: Callable[[], datetime],
        observe: Observe = lambda namespace, result, octets: None,
        begun: Callable[[str], None] = lambda namespace: None,
        erred: Callable[[], None] = lambda: None,
        may_carry: Callable[[], bool] = lambda: True,
        clock: Callable[[], float] = lease.steady,
    ) -> None:
        self._clock = clock
        self._intake, self._queue = intake, intake.queue
        self._world, self._services, self._mailboxes = world, services, mailboxes
        self._told, self._spool, self._sinks, self._places = told, spool, sinks, places
        self._now, self._observe, self._may_carry = now, observe, may_carry
        self._begun, self._erred = begun, erred
        # Nothing else brings it back, and its mail would be handed over until the process ends.
        intake.on_gone = intake.queue.add
        self._announced = Announced(intake.cache)
        self._carrying: dict[Key, _Carrying] = {}
        #: How far couriers came that were ended, by the uid of their account: what was told of it
        #: may be on its way to status, and not in the cache yet.
        self._ended_at: dict[Key, tuple[str, Progress]] = {}

    @property
    def accounts(self) -> int:
        """How many couriers are at work."""
        return sum(not each.task.done() for each in self._carrying.values())

    def progresses(self) -> list[tuple[Key, Progress]]:
        """How far each account is."""
        return [(key, each.courier.progress) for key, each in self._carrying.items()]

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
            except Exception:
                delay = self._queue.failed(key)
                logger.exception("unexpected error; retried in %.0f s", delay, extra=about(key))
                self._erred()
                running = self._carrying.get(key)
                if running is None or running.task.done():
                    self._tell_of_us(key, Reason.INTERNAL_ERROR, _OUR_ERROR)
            finally:
                self._queue.done(key)
            # Where a look waited for nothing, everything else has its turn.
            await asyncio.sleep(0)

    async def finish(self) -> None:
        """Have every courier end with the message that its application has before it."""
        offering = []
        for each in self._carrying.values():
            each.courier.finish()
            if each.courier.is_offering:
                offering.append(each.task)
            else:
                each.task.cancel()
        if offering:
            await asyncio.wait(offering)

    async def close(self) -> None:
        """End every courier; what they told is there to be written."""
        tasks = [each.task for each in self._carrying.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._carrying.clear()

    async def _handle(self, key: Key) -> None:
        if key.kind is not Kind.EMAIL_ACCOUNT:
            return
        raw = self._intake.cache.get(key)
        if raw is None or metadata_of(raw).get("deletionTimestamp"):
            await self._end(key)
            if raw is None:
                self._ended_at.pop(key, None)
                self._told.forget(key)
                self._queue.forget(key)
            return
        self._announced.note(raw)
        try:
            resource = cast("EmailAccount", parse(key.kind, raw))
        except InvalidSpec:
            # Somebody newer may understand it: all that is sure is that we do nothing.
            await self._end(key)
            self._tell_of_us(key, Reason.INVALID_SPEC, _NOT_UNDERSTOOD)
            return
        references = declared(key.kind, raw) | routes.references_of(resource)
        self._intake.dependants.update(key, references)
        inbound, uid = resource.spec.inbound, resource.metadata.uid
        if inbound is None or inbound.deliver is None:
            await self._end(key)
            self._ended_at.pop(key, None)
            if status.part_of(status_of(raw)) or self._told.pending(key, uid):
                self._told.tell(key, uid, "", None)
            return
        found = await routes.find(resource, self._world, self._services, self._sinks.objection)
        if isinstance(found, routes.Found):
            await self._carry(key, resource, found)
        else:
            await self._hold(key, resource, found)
        soon = isinstance(found, Obstacle) and (found.passing or found.reason in _BEING_MENDED)
        self._queue.add_after(key, _PASSING if soon else _LOOK_AGAIN)

    async def _hold(self, key: Key, resource: EmailAccount, obstacle: Obstacle) -> None:
        """Carry nothing; a courier is left at work where there may be no obstacle at all."""
        uid, running = resource.metadata.uid, self._carrying.get(key)
        generation = resource.metadata.generation
        if (
            obstacle.passing
            and running is not None
            and not running.task.done()
            and (running.uid, running.given) == (uid, _given(resource))
        ):
            return
        progress = await self._end(key, uid) or self._before(key, uid)
        held = replace(
            progress, reason=obstacle.reason, message=obstacle.message, sure=not obstacle.passing
        )
        self._told.tell(key, uid, _application(resource), held, generation)

    async def _carry(self, key: Key, resource: EmailAccount, found: routes.Found) -> None:
        """See that a courier is at work with what was found, and that status says what it says."""
        uid, running = resource.metadata.uid, self._carrying.get(key)
        application, generation = _application(resource), resource.metadata.generation
        if (
            running is not None
            and (running.uid, running.mark) == (uid, found.mark)
            and not running.died
        ):
            running.generation = generation
            self._told.tell(key, uid, application, running.courier.progress, generation)
            return
        before = await self._end(key, uid) or self._before(key, uid)
        kept = cursors.bounded(before.cursors, found.plan.mailboxes)
        sink = self._sinks.sink(found.destination, found.keys, found.written_as)
        confirmations = self._confirmations(key, resource, found)
        route = Route(
            uid,
            key.namespace,
            key.name,
            found.plan,
            found.attempt.endpoint,
            routes.signing_in(found.attempt, self._world),
            # Whatever the confirmations wait for, the fence is asked last.
            confirmed.ConfirmedSink(_Fenced(sink, self._may_carry), *confirmations),
            lambda header: self._announced.is_ours(key.namespace, header),
            found.addressee,
        )
        self._begun(key.namespace)
        courier = Courier(
            route,
            self._mailboxes,
            self._spool,
            self._now,
            lambda progress: self._told.tell(key, uid, application, progress, carrying.generation),
            replace(before, cursors=kept),
            places=self._places,
            observe=lambda result, octets: self._observe(key.namespace, result, octets),
        )
        self._told.tell(key, uid, application, courier.progress, generation)
        task = asyncio.create_task(courier.run(), name=f"courier of {key.namespace}/{key.name}")
        task.add_done_callback(lambda ended: self._ended(key, ended))
        carrying = _Carrying(uid, generation, found.mark, _given(resource), courier, task)
        self._carrying[key] = carrying

    def _confirmations(
        self, key: Key, resource: EmailAccount, found: routes.Found
    ) -> list[confirmed.Confirmation]:
        """What is looked at before each message of an account goes out."""
        deliver = resource.spec.inbound.deliver if resource.spec.inbound is not None else None
        uid = resource.metadata.uid
        needed: list[confirmed.Confirmation] = [
            confirmed.Begun(lambda mailbox: self._told.stored(key, uid, mailbox))
        ]
        if deliver is not None and deliver.service is not None and found.standing is not None:
            needed.append(
                confirmed.SameService(
                    key.namespace,
                    deliver.service,
                    found.standing,
                    self._services,
                    lambda: self._queue.add(key),
                    self._clock,
                )
            )
        return needed

    def _before(self, key: Key, uid: str) -> Progress:
        """How far an account is: where its courier ended, or what its status has."""
        uid_then, progress = self._ended_at.get(key, ("", None))
        if progress is not None and uid_then == uid:
            return progress
        pending = self._told.pending(key, uid)
        raw = self._intake.cache.get(key)
        if raw is None or str(metadata_of(raw).get("uid")) != uid:
            return pending or status.read({})
        return pending or status.read(status_of(raw))

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        """A courier that fails by a bug of ours is begun anew, after a pause."""
        if not task.cancelled() and (error := task.exception()) is not None:
            delay = self._queue.failed(key)
            logger.error(
                "courier ended: %s; begun anew in %.0f s",
                type(error).__name__,
                delay,
                extra=about(key),
            )
            self._erred()
            self._tell_of_us(key, Reason.INTERNAL_ERROR, _OUR_ERROR)

    def _tell_of_us(self, key: Key, reason: Reason, message: str) -> None:
        """Tell that no mail is handed over for a reason of ours: what was said before is not so."""
        raw = self._intake.cache.get(key)
        if raw is None or not delivers(raw.get("spec")):
            return
        metadata, carrying = metadata_of(raw), self._carrying.get(key)
        uid, generation = str(metadata.get("uid")), int(metadata.get("generation") or 0)
        if carrying is not None and carrying.uid == uid:
            generation, progress = carrying.generation, carrying.courier.progress
        else:
            progress = self._before(key, uid)
        told = replace(progress, reason=reason, message=message, sure=False)
        if carrying is not None and carrying.uid == uid:
            # Whoever is begun anew in its place has to show that it works.
            carrying.courier.progress = told
        self._told.tell(key, uid, "", told, generation)

    async def _end(self, key: Key, uid: str = "") -> Progress | None:
        """End a courier; returns how far it came, None where there was none of this very object."""
        carrying = self._carrying.pop(key, None)
        if carrying is None:
            return None
        carrying.task.cancel()
        await asyncio.gather(carrying.task, return_exceptions=True)
        self._ended_at[key] = (carrying.uid, carrying.courier.progress)
        return carrying.courier.progress if carrying.uid == uid else None


def _application(resource: EmailAccount) -> str:
    """What messages call the application."""
    inbound = resource.spec.inbound
    deliver = inbound.deliver if inbound is not None else None
    if deliver is None:
        return ""
    return f"Service {deliver.service.name}" if deliver.service is not None else "NATS JetStream"


def _given(resource: EmailAccount) -> tuple[object, ...]:
    """What of a spec decides whose mail goes where: a courier does not outlive any other."""
    spec = resource.spec
    signs_in = (spec.provider, spec.parameters, spec.server_ref, spec.credentials_ref, spec.oauth)
    return (spec.imap, spec.inbound, spec.at_rest, *signs_in)
