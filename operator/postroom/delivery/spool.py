# SPDX-License-Identifier: Apache-2.0
"""Where messages lie on their way: files without a name, within a bound on all of them.

A file that is unlinked as soon as it is made (O_TMPFILE, `tempfile.TemporaryFile`) is gone with its
descriptor, whatever ends the process. Who finds no room waits, in the order of asking; who came
later goes before as long as that holds nobody up.
"""

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.concurrency import threads
from postroom.concurrency.places import told_of
from postroom.concurrency.shortage import shortage_in
from postroom.mail.connect.dial import Failure

#: Octets that are read of a file at once.
_PIECE = 256 * 1024
#: Octets of a message that is kept in memory, where its room is as well: most messages are small,
#: and a file costs more than they do.
_IN_MEMORY = 256 * 1024

_UNWRITABLE = (
    "postroom deliver cannot keep messages on their way: its --spool-dir is full, read-only or not "
    "there. They stay in the mailbox; have an administrator mend it."
)


class SpoolFull(ValueError):
    """A message is larger than the whole spool: it would wait for ever."""


class SpooledMessage:
    """One message, written once and read as often as it is sent."""

    def __init__(self, room: int, directory: Path | None = None) -> None:
        self._room, self._directory = room, directory
        self._held: list[bytes] = []
        self._file: BinaryIO | None = None
        self.size = 0

    @property
    def in_memory(self) -> bool:
        """Whether reading it waits for no disk."""
        return self._file is None

    async def add(self, piece: bytes) -> None:
        """Append a piece; raises `SpoolFull` beyond the room that was asked for, and `Failure`
        where the disk takes nothing; and `Shortage`."""
        self.size += len(piece)
        if self.size > self._room:
            raise SpoolFull
        if self._file is None and self.size <= _IN_MEMORY:
            self._held.append(piece)
            return
        try:
            await threads.to_its_end(self._write, piece)
        except OSError as error:
            reason = Reason.AWAITING_DEPENDENCY
            full = Failure(ProbeStage.MAILBOX, reason, _UNWRITABLE, conclusive=False)
            raise shortage_in(error) or full from None

    def _write(self, piece: bytes) -> None:
        if self._file is None:
            self._file = cast("BinaryIO", tempfile.TemporaryFile(dir=self._directory))  # noqa: SIM115
            self._file.writelines(self._held)
            self._held.clear()
        self._file.write(piece)
        self._file.flush()

    def pieces(self) -> Iterator[bytes]:
        """All of it, from its beginning; several may read at once, each at a place of its own."""
        if self._file is None:
            yield from self._held
            return
        offset = 0
        while piece := os.pread(self._file.fileno(), _PIECE, offset):
            yield piece
            offset += len(piece)

    def close(self) -> None:
        """Let it go, and with it what the disk did not take."""
        if self._file is not None:
            # What is left in the buffer is written when it is closed: a full disk would refuse it
            # once more, by another error than the one that is told.
            with suppress(OSError):
                self._file.close()


class Spool:
    """Room for messages; `limit` is in octets, `directory` None the system's own.

    A namespace has half of it at most while it has more than one message there, so that what one
    application does not take leaves room for those of others. Who waits is passed only while those
    who came before leave too little room, whoever passes; so nobody waits for longer than these
    stay, and then those who have passed by then.
    """

    def __init__(self, limit: int, directory: Path | None = None) -> None:
        self.limit = limit
        self._directory = directory
        self._used = Counter[str]()
        self._asked = 0
        #: In the order of asking.
        self._waiting: list[_Turn] = []

    @property
    def used(self) -> int:
        """Octets that are spoken for."""
        return self._used.total()

    @asynccontextmanager
    async def message(
        self, namespace: str, size: int, waits: Callable[[bool], None] = lambda waits: None
    ) -> AsyncIterator[SpooledMessage]:
        """Room for a message of at most `size` octets; raises `SpoolFull` if there never is.

        `waits` is told that it takes long until there is, and that this is over.
        """
        if size > self.limit:
            raise SpoolFull
        self._asked += 1
        turn = _Turn(namespace, size, self._asked, asyncio.get_running_loop().create_future())
        self._waiting.append(turn)
        self._let_in()
        try:
            await told_of(turn.come, waits)
            with closing(SpooledMessage(size, self._directory)) as message:
                yield message
        finally:
            self._leave(turn)

    def _let_in(self) -> None:
        waiting = list[_Turn]()
        held, used = set[str](), self.used
        blocked = False
        for turn in self._waiting:
            if turn.come.done():
                waiting.append(turn)  # cancelled, and about to leave
                continue
            own = self._used[turn.namespace]
            has_share = not own or own + turn.size <= self.limit // 2
            in_order = has_share and turn.namespace not in held and not blocked
            if in_order and used + turn.size <= self.limit:
                self._used[turn.namespace] += turn.size
                used += turn.size
                turn.come.set_result(None)
                for passed in waiting:
                    passed.passed_by += turn.size
                continue
            # Those who came before leave it room: only those who have passed do not.
            blocked |= in_order and used - turn.passed_by + turn.size <= self.limit
            waiting.append(turn)
            held.add(turn.namespace)
        self._waiting = waiting

    def _leave(self, turn: "_Turn") -> None:
        """Somebody is gone, who was inside or, being cancelled, waits no more."""
        if turn in self._waiting:
            self._waiting.remove(turn)
        else:
            self._used[turn.namespace] -= turn.size
            self._used += Counter()  # without those who have nothing
            for passed in self._waiting:
                if passed.number < turn.number:
                    passed.passed_by -= turn.size
        self._let_in()


@dataclass(slots=True, eq=False)
class _Turn:
    """Somebody who asked for room; `passed_by` are the octets of those inside who came later."""

    namespace: str
    size: int
    number: int
    come: asyncio.Future[None]
    passed_by: int = 0
