# SPDX-License-Identifier: Apache-2.0
"""aioimaplib's protocol with its hazards closed; the only module that imports aioimaplib.

Of version 2.0.3: waiting for the greeting cannot be cancelled; BYE, garbage and EOF end as
time-outs; input is unbounded; many lines in one chunk exhaust the stack; debug logs and
exceptions carry passwords; one command at a time. Here the greeting is a future, every line is fed
alone, bytes and lines are counted, what goes wrong fails the pending commands, commands may be
pipelined, and nothing is logged.
"""

import asyncio
import logging
import re
import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from typing import Any

from aioimaplib import aioimaplib

from postroom.concurrency import threads
from postroom.mail.imap.idling import Idle
from postroom.mail.imap.notices import Notices
from postroom.mail.imap.values import Literal, literal_after, tagged

#: No secret may reach a log at any level: aioimaplib logs lines, commands and exceptions.
logging.getLogger(aioimaplib.__name__).setLevel(logging.CRITICAL)

LINE_LIMIT = 64 * 1024
#: Of what is answered to one command, or to several that are sent at once, that much is kept: in
#: octets, and in lines, each of which costs CPU, however short it is.
TOTAL_LIMIT, LINES_LIMIT = 1024 * 1024, 20_000
#: Octets of a line with its literal while a server has nothing to answer, which may be for long.
AT_REST_LIMIT = 8 * 1024
#: Octets of a whole conversation, of which little is kept; one that reads messages has no limit.
CONVERSATION_LIMIT = 16 * 1024 * 1024

_BYE = re.compile(rb"\* BYE(?=\s|\Z)", re.IGNORECASE)
#: What would end a command, or a part of it (RFC 9051 section 9).
_LINE_ENDS = re.compile(r"[\x00\r\n]")
#: What there may be to read after, among what a server tells unasked (RFC 9051 section 7.3.1).
_NEWS = re.compile(rb"\* \d{1,10} EXISTS(?=\s|\Z)", re.IGNORECASE)

#: What is sent when the server asks for more: that, or what is made of the question; `ValueError`
#: where nothing can be.
Continuation = bytes | Callable[[bytes], bytes]
#: The result of a command (OK, NO, BAD), and its lines, of which the last is the result's text; a
#: literal stands between them as a `Literal`.
CommandAnswer = tuple[str, list[bytes]]


class Ending(Enum):
    """How a conversation ended before we did."""

    CLOSED = "the connection was closed"
    GOODBYE = "the server said BYE"
    MALFORMED = "the server broke the protocol or our bounds"
    INJECTED = "more came in the clear after the answer to STARTTLS"


class ConnectionEnded(Exception):
    """The server ended the conversation; carries no text of the server or of ours."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.value)
        self.ending = ending


class _Command:
    """A command that is under way, in the place of aioimaplib's, whose deadline begins anew with
    each line: who waits for it has one."""

    def __init__(self, tag: str, words: Sequence[str], loop: asyncio.AbstractEventLoop) -> None:
        self.tag, self.text = tag, " ".join((tag, *words))
        if _LINE_ENDS.search(self.text):
            raise ValueError(f"{words[0]} has an argument with a line end or NUL")
        #: Of the last one the result tells, once it is there.
        self.lines: list[bytes] = []
        #: What came of it.
        self.result: asyncio.Future[str] = loop.create_future()

    def end(self, result: str, line: bytes) -> None:
        """The server has answered it."""
        self.lines.append(line)
        if not self.result.done():
            self.result.set_result(result)

    def fail(self, error: ConnectionEnded) -> None:
        """There will be no answer."""
        if not self.result.done():
            self.result.set_exception(error)
            self.result.exception()  # seen, should nobody wait for it


class GuardedProtocol(aioimaplib.IMAP4ClientProtocol):  # type: ignore[misc]
    """One connection. Await `greeting`, then `run` or `run_all` one after the other."""

    state: str
    current_command: _Command | None
    pending_sync_command: _Command | None
    transport: Any

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(loop, self._lost)
        self.greeting: asyncio.Future[bytes] = loop.create_future()
        self._buffer, self._line_limit = bytearray(), LINE_LIMIT
        self._read = self._searched = 0
        self._received = self._received_before = self._lines = 0
        self._in_flight: dict[str, _Command] = {}
        self._ended: ConnectionEnded | None = None
        self._continuations: list[Continuation] = []
        self._tls_follows = False
        #: Octets of the whole conversation that are taken; None: no bound.
        self.conversation_limit: int | None = CONVERSATION_LIMIT
        #: How often the server told of new messages, unasked or when it opened a mailbox.
        self.arrivals = 0
        self._idle: Idle | None = None
        #: What the server asked or said last while a command went on; None if nothing.
        self.challenge: bytes | None = None
        #: Why there is no answer to what the server asked for.
        self.unanswerable: BaseException | None = None
        self.notices = Notices()
        #: What the server said with BYE; None if it did not.
        self.farewell: bytes | None = None
        #: What ended the connection; None where the server closed it.
        self.lost_by: Exception | None = None
        self._secured: ssl.SSLObject | None = None

    async def run(
        self,
        name: str,
        *arguments: str,
        answers: Iterable[Continuation] = (),
        line_limit: int = LINE_LIMIT,
    ) -> CommandAnswer:
        """Execute a command, whose name may be two words such as ``UID FETCH``.

        `answers` are sent one by one when the server asks for more; `line_limit` is the longest
        line that is taken. Raises `ConnectionEnded`, and `ValueError` for an argument with a line
        end or NUL.
        """
        self._continuations = list(answers)
        self._tls_follows = name == "STARTTLS"
        self._line_limit = line_limit
        return (await self._execute([(name, *arguments)]))[0]

    async def run_all(self, *commands: Sequence[str]) -> list[CommandAnswer]:
        """Send commands at once, and return their answers.

        None may depend on the outcome of another (RFC 9051 section 5.5). A server may answer in
        another order: untagged lines are then found with another command. Raises as `run` does.
        """
        self._continuations, self._tls_follows, self._line_limit = [], False, LINE_LIMIT
        return await self._execute(commands)

    async def idle(self, arrivals: int, seconds: float, patience: float) -> bool:
        """Wait until there are more `arrivals`, and no longer than some seconds (RFC 2177). Of what
        the server tells meanwhile nothing is kept.

        Whether the server did as it was asked, and neither refused nor ended it. Raises as `run`
        does, and `TimeoutError` where it lets us wait for its answers longer than `patience`.
        """
        self._continuations, self._tls_follows, self._line_limit = [], False, LINE_LIMIT
        self._idle = idle = Idle(arrivals)
        answer = asyncio.ensure_future(self._execute([("IDLE",)]))
        try:
            ended = await idle.ended_by(answer, lambda: self.send("DONE"), seconds, patience)
            result, _ = (await answer)[0]
            return result == "OK" and (ended or self.arrivals > arrivals)
        finally:
            self._idle = None
            answer.cancel()

    async def _execute(self, commands: Sequence[Sequence[str]]) -> list[CommandAnswer]:
        if self._ended is not None:
            raise self._ended
        self.challenge, self.unanswerable = None, None
        self._received_before += self._received
        self._received = self._lines = 0
        made = [_Command(self.new_tag(), words, self.loop) for words in commands]
        self._in_flight = {command.tag: command for command in made}
        # As the one pending command: all untagged lines belong to the first that is not done.
        self.pending_sync_command = made[0]
        self.send("\r\n".join([command.text for command in made]))
        try:
            return [(await command.result, command.lines) for command in made]
        finally:
            self._in_flight, self._continuations = {}, []
            self.pending_sync_command = None

    def send(self, line: str, scrub: str | None = None) -> None:
        """Write a line; nothing is logged."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(f"{line}\r\n".encode())

    async def secure(self, context: ssl.SSLContext, server_name: str) -> None:
        """Begin TLS, right after the OK to STARTTLS (RFC 9051 section 6.2.1).

        Nothing that came in the clear is left to be taken for an answer later. Raises
        `ConnectionEnded`, and `OSError` for a handshake that fails.
        """
        if self._ended is not None:
            raise self._ended
        self._tls_follows = False
        # A literal that the last line announced belongs to the past as well.
        self.current_command = None
        self.notices.forget()
        self.transport = await self.loop.start_tls(
            self.transport, self, context, server_hostname=server_name
        )

    @property
    def secured(self) -> ssl.SSLObject | None:
        """The TLS of the connection; None in the clear."""
        found = self.transport.get_extra_info("ssl_object") if self.transport else self._secured
        return found if isinstance(found, ssl.SSLObject) else None

    @property
    def line_so_far(self) -> bytes:
        """What came of a line, or of the literal that it announces, that has not ended yet."""
        return bytes(self._buffer)

    def data_received(self, data: bytes) -> None:
        """Feed complete lines, each with its literal, one at a time."""
        if self._ended is not None:
            return
        if self._at_the_switch():
            self._end(Ending.INJECTED)
            return
        self._received += len(data)
        limit = self.conversation_limit
        if self._received > TOTAL_LIMIT or (
            limit is not None and self._received_before + self._received > limit
        ):
            self._end(Ending.MALFORMED)
            return
        self._buffer += data
        try:
            while self._ended is None and (taken := self._take()) is not None:
                self._feed(*taken)
                if self._idle is not None and self.pending_sync_command is not None:
                    self.pending_sync_command.lines.clear()
                if self._read < len(self._buffer) and self._at_the_switch():
                    self._end(Ending.INJECTED)
        except (ValueError, LookupError):
            self._end(Ending.MALFORMED)
        # Once per chunk and not per line, which would copy the rest for each.
        del self._buffer[: self._read]
        self._searched, self._read = self._searched - self._read, 0

    def _at_the_switch(self) -> bool:
        """Whether STARTTLS is answered, so that nothing more may come in the clear."""
        command = self.pending_sync_command
        return self._tls_follows and (command is None or command.result.done())

    @property
    def _total_limit(self) -> int:
        """Octets of a line with its literal."""
        at_rest = self._idle is not None or (self.greeting.done() and not self._in_flight)
        return AT_REST_LIMIT if at_rest else TOTAL_LIMIT

    def _take(self) -> tuple[bytes, Literal | None] | None:
        """Return the next line and the literal that it announces, None if it is not complete."""
        # Clients take a bare line feed for the end of a line, wherever it comes.
        end = self._buffer.find(b"\n", max(self._searched, self._read))
        line_so_far = (end if end >= 0 else len(self._buffer)) - self._read
        # None of the limits is lower than the first.
        if self._lines > LINES_LIMIT or (
            line_so_far > AT_REST_LIMIT and line_so_far > min(self._line_limit, self._total_limit)
        ):
            self._end(Ending.MALFORMED)
            return None
        if end < 0:
            self._searched = len(self._buffer)
            return None
        self._searched = end
        stop = line_stop = end + 1
        line = bytes(self._buffer[self._read : end]).removesuffix(b"\r")
        announced = literal_after(line)
        if announced is not None:
            stop += announced
            if stop - self._read > self._total_limit:
                self._end(Ending.MALFORMED)
                return None
            if len(self._buffer) < stop:
                return None
        literal = Literal(self._buffer[line_stop:stop]) if announced is not None else None
        self._read = self._searched = stop
        self._lines += 1
        return line, literal

    def _feed(self, line: bytes, literal: Literal | None) -> None:
        if self.current_command is None:
            self.notices.hear(line)
        if not self.greeting.done():
            self.greeting.set_result(line)
            return
        if self.current_command is None and _BYE.match(line):
            self.farewell = line[5:].strip()
            self._end(Ending.GOODBYE)
            return
        command = self._handle_line(line, self.current_command)
        if command is not None and literal is not None:
            command.lines.append(literal)
        # What follows a literal belongs to the same response.
        self.current_command = self.pending_sync_command if literal is not None else None

    def _handle_line(self, line: bytes, current_cmd: _Command | None) -> _Command | None:
        """The command to which a line belongs. The parent would take the first one for a greeting
        and start a task that nobody owns, and the rest of a response for a result."""
        if current_cmd is not None:
            if line:
                current_cmd.lines.append(line)
            return current_cmd
        if line.startswith(b"*"):
            return self._untagged_response(line)
        if line.startswith(b"+"):
            self._continuation(line)
        elif (ending := tagged(line)) is not None:
            self._done_with(*ending)
        elif line.partition(b" ")[0].decode("ascii", "replace").upper() in self._in_flight:
            raise ValueError("a result that is none")
        return None

    def _untagged_response(self, line: bytes) -> _Command | None:
        if _NEWS.match(line):
            self.arrivals += 1
            if self._idle is not None:
                self._idle.hears_of(self.arrivals)
        # The parent would take the mark out of the middle of the line, too.
        if self.pending_sync_command is not None:
            self.pending_sync_command.lines.append(line.removeprefix(b"* "))
        return self.pending_sync_command

    def _done_with(self, tag: str, result: str, text: bytes) -> None:
        command = self._in_flight.pop(tag)
        self.pending_sync_command = next(iter(self._in_flight.values()), None)
        command.end(result, text)

    def _continuation(self, line: bytes) -> None:
        if self.pending_sync_command is None:
            return  # nobody asks for what nobody has begun
        if self._idle is not None:
            self._idle.begun.set()
            return
        self.challenge = line[1:].strip()
        following = self._continuations.pop(0) if self._continuations else None
        if following is None or isinstance(following, bytes):
            self._go_on_with(following)
            return
        self._answering = self.loop.create_task(threads.in_thread(following, self.challenge))
        self._answering.add_done_callback(self._answer_made)

    def _answer_made(self, made: asyncio.Future[bytes]) -> None:
        if self._ended is None and not made.cancelled():
            self.unanswerable = made.exception()
            self._go_on_with(None if self.unanswerable else made.result())

    def _go_on_with(self, made: bytes | None) -> None:
        if made is not None and self.transport is not None:
            self.transport.write(made + b"\r\n")
        else:
            # Asked for more than there is: cancel the exchange (RFC 9051 section 6.2.2).
            self.send("*")

    def _lost(self, error: Exception | None) -> None:
        self.lost_by = error
        self._end(Ending.CLOSED)
        # With it go TLS buffers, which otherwise wait for the collector's oldest generation.
        self._secured, self.transport = self.secured, None
        self.conn_lost_cb = None

    def _end(self, ending: Ending) -> None:
        """Fail whatever waits, and drop the connection."""
        self._ended = self._ended or ConnectionEnded(ending)
        if not self.greeting.done():
            self.greeting.set_exception(self._ended)
            self.greeting.exception()  # seen, should nobody wait for it
        for command in self._in_flight.values():
            command.fail(self._ended)
        self.abort()

    def keep_alive(self) -> None:
        """Notice within two minutes that the other side is gone, and keep what is in between from
        forgetting the connection: a session that waits says nothing for half an hour."""
        if self.transport is None:
            return
        connection = self.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4)):
            if hasattr(socket, option):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)

    def abort(self) -> None:
        """Drop the connection at once."""
        self.greeting.cancel()
        if self.transport is not None:
            self.transport.abort()
