# SPDX-License-Identifier: Apache-2.0
"""aioimaplib's protocol with its hazards closed; the only module that imports aioimaplib.

Of version 2.0.3: waiting for the greeting cannot be cancelled; BYE, garbage and EOF end as
time-outs; input is unbounded; many lines in one chunk exhaust the stack; debug logs and
exceptions carry passwords. Here the greeting is a future, every line is fed alone, bytes are
counted, what goes wrong fails the pending command, and nothing is logged.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable
from typing import Any

from aioimaplib import aioimaplib

#: No secret may reach a log at any level: aioimaplib logs lines, commands and exceptions.
logging.getLogger(aioimaplib.__name__).setLevel(logging.CRITICAL)

LINE_LIMIT = 64 * 1024
TOTAL_LIMIT = 1024 * 1024
_LITERAL = re.compile(rb"\{(\d{1,10})\}\Z")

NONAUTH, AUTH = aioimaplib.NONAUTH, aioimaplib.AUTH


class ConnectionEnded(Exception):
    """The server ended the conversation, or broke the protocol or our bounds.

    `malformed` tells the latter from the former. Carries no text of the server or of ours.
    """

    def __init__(self, *, malformed: bool) -> None:
        super().__init__("malformed" if malformed else "closed")
        self.malformed = malformed


class GuardedProtocol(aioimaplib.IMAP4ClientProtocol):  # type: ignore[misc]
    """One connection. Await `greeting`, then `run` commands one after the other."""

    state: str
    current_command: Any
    capabilities: set[str]

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(loop, self._lost)
        self.greeting: asyncio.Future[bytes] = loop.create_future()
        self._buffer = b""
        self._received = 0
        self._ended: ConnectionEnded | None = None
        self._continuations: list[bytes] = []

    async def run(
        self, name: str, *arguments: str, answers: Iterable[bytes] = ()
    ) -> tuple[str, list[bytes]]:
        """Execute a command; return its result (OK, NO, BAD) and its lines.

        `answers` are sent one by one when the server asks for more. Raises `ConnectionEnded`.
        """
        if self._ended is not None:
            raise self._ended
        self._continuations = list(answers)
        command = aioimaplib.Command(name, self.new_tag(), *arguments, loop=self.loop)
        # Always as the one pending command: its untagged lines all belong to it.
        self.pending_sync_command = command
        self.send(str(command))
        try:
            await command.wait()
        finally:
            self.pending_sync_command = None
        response = command.response
        lines = [bytes(one) for one in response.lines if isinstance(one, bytes | bytearray)]
        return str(response.result), lines

    def send(self, line: str, scrub: str | None = None) -> None:
        """Write a line; nothing is logged."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(f"{line}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        """Feed complete lines, each with its literal, one at a time."""
        self._received += len(data)
        if self._received > TOTAL_LIMIT:
            self._end(malformed=True)
            return
        self._buffer += data
        try:
            while self._ended is None and (chunk := self._take()) is not None:
                self._feed(chunk)
        except (aioimaplib.AioImapException, ValueError, AttributeError, LookupError):
            self._end(malformed=True)

    def _take(self) -> bytes | None:
        """Cut the next line, and the literal that it announces, off the buffer."""
        end = self._buffer.find(b"\r\n")
        if end < 0:
            if len(self._buffer) > LINE_LIMIT:
                self._end(malformed=True)
            return None
        stop = end + 2
        literal = _LITERAL.search(self._buffer[:end])
        if literal:
            stop += int(literal[1])
            if stop > TOTAL_LIMIT:
                self._end(malformed=True)
                return None
            if len(self._buffer) < stop:
                return None
        chunk, self._buffer = self._buffer[:stop], self._buffer[stop:]
        return chunk

    def _feed(self, chunk: bytes) -> None:
        if not self.greeting.done():
            self.greeting.set_result(chunk.rstrip(b"\r\n"))
            return
        if chunk.upper().startswith(b"* BYE") and self.pending_sync_command is not None:
            if self.pending_sync_command.name != "LOGOUT":
                self._end(malformed=False)
            return
        try:
            self._handle_responses(chunk, self._handle_line, self.current_command)
            self.current_command = None
        except aioimaplib.IncompleteRead as incomplete:
            self.current_command = incomplete.cmd

    def _handle_line(self, line: bytes, current_cmd: Any) -> Any:
        # The parent would take the first line for a greeting and start a task that nobody owns.
        self.state = NONAUTH if self.state == aioimaplib.CONNECTED else self.state
        return super()._handle_line(line, current_cmd)

    def _continuation(self, line: bytes) -> None:
        if self._continuations and self.transport is not None:
            self.transport.write(self._continuations.pop(0) + b"\r\n")
        else:
            # Asked for more than there is: cancel the exchange (RFC 9051 section 6.2.2).
            self.send("*")

    def _lost(self, _: Exception | None) -> None:
        self._end(malformed=False)

    def _end(self, *, malformed: bool) -> None:
        """Fail whatever waits, and drop the connection."""
        if self._ended is None:
            self._ended = ConnectionEnded(malformed=malformed)
        if not self.greeting.done():
            self.greeting.set_exception(self._ended)
        command = self.pending_sync_command
        if command is not None:
            command._exception = self._ended
            command.close(b"", "KO")
        if self.transport is not None:
            self.transport.abort()

    def abort(self) -> None:
        """Drop the connection at once."""
        if self.greeting.done() and not self.greeting.cancelled():
            self.greeting.exception()  # mark as seen
        else:
            self.greeting.cancel()
        if self.transport is not None:
            self.transport.abort()
