# SPDX-License-Identifier: Apache-2.0
"""What a courier is given and what it tells: the mailbox that it reads, the application that it
hands messages to, the route between them, and how far it is."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from postroom.api.reasons import Reason
from postroom.delivery.answers import Answer
from postroom.delivery.cursors import Cursor, Start
from postroom.delivery.spool import SpooledMessage
from postroom.mail.imap.reading import Following
from postroom.mail.report import Endpoint, Login
from postroom.mail.round_trip.header import Header


class Reader(Protocol):
    """A mailbox: see `postroom.mail.imap.reading.MailboxReader`."""

    @property
    def idles(self) -> bool: ...
    @property
    def promises(self) -> bool: ...
    async def open(self, mailbox: str) -> tuple[int, int]: ...
    async def following(self, uid: int, uid_next: int) -> Following: ...
    async def header(self, uid: int) -> bytes: ...
    def pieces(self, uid: int, size: int) -> AsyncIterator[bytes]: ...
    async def news(self, seconds: float) -> None: ...


class Mailboxes(Protocol):
    """Opens mailboxes: see `postroom.mail.probes.NetworkProbes.reading`."""

    def reading(self, endpoint: Endpoint, login: Login) -> AbstractAsyncContextManager[Reader]: ...


class Sink(Protocol):
    """Takes messages; never raises for what applications or networks do."""

    async def send(self, told: Mapping[str, str], message: SpooledMessage | None) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What a spec asks for."""

    mailboxes: Sequence[str]
    start: Start
    backfill: timedelta
    max_size: int
    interval: timedelta


@dataclass(frozen=True, slots=True)
class Route:
    """From which mailbox to which application; `login` gives the password or a token that lasts, or
    raises `Failure`. `is_ours` tells a message of our own by its header, `addressee` the
    application from any other (see `cursors.addressee_of`)."""

    account_uid: str
    namespace: str
    account: str
    plan: Plan
    endpoint: Endpoint
    login: Callable[[], Awaitable[Login]]
    sink: Sink
    is_ours: Callable[[Header], bool] = lambda header: False
    addressee: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an account is, and what holds it up (None: nothing), for sure or as far as known."""

    cursors: Mapping[str, Cursor] = field(default_factory=dict)
    #: What stands in status of mailboxes and cannot be read: by it nothing can go on.
    unreadable: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    waiting: int = 0
    #: When the message arrived that has waited longest, of those that are next; None: none waits.
    waiting_since: datetime | None = None
    delivered_at: datetime | None = None
    delivered: int = 0
    #: Messages passed by, refused for too long, since status began; mailbox, UID, code of the last.
    rejected: int = 0
    last_rejected: tuple[str, int, int] | None = None
    reason: Reason | None = None
    message: str = ""
    sure: bool = True
