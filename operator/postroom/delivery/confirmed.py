# SPDX-License-Identifier: Apache-2.0
"""Hands a message on only where what it was sent out with still holds.

The address of a Service that is deleted is given to another one, of any namespace, and nothing
watches Services: so each is looked at before a message goes there.
"""

from collections.abc import Awaitable, Callable, Mapping

from postroom.api.inbound_delivery import ConsumerService
from postroom.delivery import routes
from postroom.delivery.answers import Answer
from postroom.delivery.contract import Sink
from postroom.delivery.spool import SpooledMessage
from postroom.reconcile.world import LookupUnavailable

#: Seconds for which a look at a Service holds: so short, and no shorter, since a mailbox may have
#: many small messages a second.
HOLDS = 1.0

#: Why a message that is told of may not be handed on now, as a clause; None: it may.
Confirmation = Callable[[Mapping[str, str]], Awaitable[str | None]]


class ConfirmedSink:
    """A sink that is asked for nothing until all confirmations are there, in their order."""

    def __init__(self, sink: Sink, *confirmations: Confirmation) -> None:
        self._sink, self._confirmations = sink, confirmations

    async def send(self, told: Mapping[str, str], message: SpooledMessage | None) -> Answer:
        """Hand a message on, or hold it with a clause that tells why."""
        for confirm in self._confirmations:
            if (trouble := await confirm(told)) is not None:
                return Answer(None, trouble=trouble)
        return await self._sink.send(told, message)


class Begun:
    """Confirms that it is kept where a mailbox begins: one that nothing is kept of begins with the
    next message wherever another process takes it up, and what lay between would be lost.

    `is_kept` is asked by the mailbox until it says so.
    """

    def __init__(self, is_kept: Callable[[str], Awaitable[bool]]) -> None:
        self._is_kept = is_kept
        self._kept = set[str]()

    async def __call__(self, told: Mapping[str, str]) -> str | None:
        """Look, unless it was kept before."""
        mailbox = told["mailbox"]
        if mailbox not in self._kept:
            if not await self._is_kept(mailbox):
                return "Where the mailbox begins could not be written into status yet"
            self._kept.add(mailbox)
        return None


class SameService:
    """Confirms that a Service is the very one that a route was found by, at its address.

    `changed` is told where it is not; `clock` goes on while the machine is suspended.
    """

    def __init__(
        self,
        namespace: str,
        service: ConsumerService,
        standing: routes.Standing,
        services: routes.Services,
        changed: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._namespace, self._service, self._standing = namespace, service, standing
        self._services, self._changed, self._clock = services, changed, clock
        self._looked_at: float | None = None

    async def __call__(self, told: Mapping[str, str]) -> str | None:
        """Look, unless that was done lately and all was well."""
        asked_at = self._clock()
        if self._looked_at is not None and asked_at - self._looked_at < HOLDS:
            return None
        self._looked_at = None
        try:
            raw = await self._services.service(self._namespace, self._service.name)
        except LookupUnavailable as error:
            return (
                f"Whether Service {self._service.name} still has its address is not known: "
                f"{error.sentence.rstrip('.')}"
            )
        if routes.standing(raw, self._service) != self._standing:
            self._changed()
            return (
                f"Service {self._service.name} is no longer what it was when its address was "
                "looked up, which may be another's by now"
            )
        self._looked_at = asked_at
        return None
