# SPDX-License-Identifier: Apache-2.0
"""Mail sessions of an operator: few at a time at one server, and each of them counted."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from datetime import date
from typing import TypeVar

from postroom.concurrency.slots import KeyedSlots
from postroom.mail.limits.hosts import HOST_TOGETHER
from postroom.mail.operations import (
    EnvelopeReport,
    HistoryReport,
    OutgoingMessage,
    Position,
    Removal,
    RemovalReport,
    ScanReport,
    SendReport,
)
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.reconcile.world import MailProbes

Done = TypeVar("Done")

#: (what was done, seconds that it took, how far the session came)
Observe = Callable[[str, float, ProbeReport], None]


class LimitedProbes:
    """Mail probes, each of them counted.

    `per_target` bounds how many of one namespace go to one server at a time, and four times as many
    over all; None: the probes see to that themselves, knowing which of them only wait.
    """

    def __init__(self, probes: MailProbes, per_target: int | None) -> None:
        self._probes = probes
        self._targets: KeyedSlots[tuple[str, int]] | None = None
        if per_target is not None:
            self._targets = KeyedSlots(HOST_TOGETHER * per_target, per_target)
        #: Told of every session.
        self.observe: Observe = lambda kind, seconds, report: None

    async def smtp(self, endpoint: Endpoint, login: Login | None) -> ProbeReport:
        """See `postroom.reconcile.world.MailProbes`."""
        return await self._at(
            endpoint, "smtp", lambda: self._probes.smtp(endpoint, login), lambda done: done
        )

    async def imap(self, endpoint: Endpoint, login: Login | None, mailbox: str) -> ProbeReport:
        """See `postroom.reconcile.world.MailProbes`."""
        return await self._at(
            endpoint, "imap", lambda: self._probes.imap(endpoint, login, mailbox), lambda done: done
        )

    async def envelope(
        self, endpoint: Endpoint, login: Login, senders: Sequence[str], recipient: str
    ) -> EnvelopeReport:
        """See `postroom.reconcile.world.MailProbes`."""
        return await self._at(
            endpoint,
            "envelope",
            lambda: self._probes.envelope(endpoint, login, senders, recipient),
            lambda done: done.session,
        )

    async def send(self, endpoint: Endpoint, login: Login, message: OutgoingMessage) -> SendReport:
        """See `postroom.reconcile.world.MailProbes`."""
        return await self._at(
            endpoint,
            "send",
            lambda: self._probes.send(endpoint, login, message),
            lambda done: done.session,
        )

    async def scan(
        self, endpoint: Endpoint, login: Login, mailbox: str, since: Sequence[Position]
    ) -> ScanReport:
        """See `postroom.reconcile.world.MailProbes`."""
        return await self._at(
            endpoint,
            "scan",
            lambda: self._probes.scan(endpoint, login, mailbox, since),
            lambda done: done.session,
        )

    async def remove(
        self, endpoint: Endpoint, login: Login, removals: Sequence[Removal]
    ) -> RemovalReport:
        """See `postroom.reconcile.world.MailProbes`."""
        return await self._at(
            endpoint,
            "remove",
            lambda: self._probes.remove(endpoint, login, removals),
            lambda done: done.session,
        )

    async def history(
        self, endpoint: Endpoint, login: Login, mailbox: str, since: date
    ) -> HistoryReport:
        """See `postroom.reconcile.world.MailProbes`."""
        return await self._at(
            endpoint,
            "history",
            lambda: self._probes.history(endpoint, login, mailbox, since),
            lambda done: done.session,
        )

    async def _at(
        self,
        endpoint: Endpoint,
        kind: str,
        perform: Callable[[], Awaitable[Done]],
        session: Callable[[Done], ProbeReport],
    ) -> Done:
        place = (endpoint.host, endpoint.port)
        targets, namespace = self._targets, endpoint.namespace
        async with nullcontext() if targets is None else targets.slot(place, namespace):
            begun = time.monotonic()
            done = await perform()
            self.observe(kind, time.monotonic() - begun, session(done))
            return done
