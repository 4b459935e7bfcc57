# SPDX-License-Identifier: Apache-2.0
"""What a server said before it closed, where nothing had been asked: RFC 5321 section 3.8."""

import asyncio
import re

from postroom.mail.replies import as_text

_TAIL_LIMIT = 4096
#: aiosmtplib takes no longer one.
REPLY_LIMIT = 32 * 1024
#: How a line begins: after a hyphen the reply goes on (RFC 5321 section 4.2.1).
_LINE = re.compile(rb"(\d{3})(?:(-)|(?![0-9A-Za-z]))")
#: What is handed on for a reply that is none, with why as the text: aiosmtplib reads it as -1.
#: Lines of different codes are none: who goes by the last takes them for another answer than who
#: goes by the first (RFC 5321 section 4.2.1: the code MUST be the same on each).
_NONE = "-1  {}\r\n"
AMBIGUOUS = "no one code"
#: One whole reply and nothing behind it, of one code, as nearly all come: `_LINE` line by line.
_WHOLE = re.compile(rb"(\d{3})(?:-[^\n]*\n(?:\1-[^\n]*\n)*\1)?(?![0-9A-Za-z-])[^\n]*\n")
_CLOSING = re.compile(rb"(?:\A|\n)((?:421-[^\n]*\n)*421 [^\n]*)\n?\Z")


class ClosingReply(asyncio.Protocol):
    """Hands everything on to the protocol of the client, and remembers the end of it.

    aiosmtplib drops a reply that comes between two commands, and with it the reason for which the
    connection is closed. What comes behind a reply it takes for the next one, lines of different
    codes for one reply, and the beginning of a longer number for a code; and it reads a reply from
    its beginning for each piece that comes. So it is handed one reply, when that has ended, and
    something that is no answer in place of one whose lines do not have one code.
    """

    def __init__(
        self,
        hearer: asyncio.Protocol,
        heard: bytes = b"",
        transport: asyncio.Transport | None = None,
    ) -> None:
        self._hearer, self._transport = hearer, transport
        self._tail = heard
        #: What came of the present reply, and how much of that was read.
        self._reply, self._read = bytearray(heard), 0
        #: Those of its lines; empty for one that has none.
        self._codes = set[bytes]()
        self._ended = False
        self._tls_follows = False
        #: Whether more came in the clear than the answer to STARTTLS (RFC 3207 section 4.2).
        self.injected = False

    @property
    def text(self) -> str | None:
        """The text of the 421 that came last, lines separated by line feeds; None without one."""
        found = _CLOSING.search(self._tail)
        if found is None:
            return None
        lines = as_text(found[1]).split("\n")
        return "\n".join(line[4:].strip() for line in lines)

    @property
    def line_so_far(self) -> bytes:
        """The end of what came last, where that is not the end of a line."""
        return self._tail.rpartition(b"\n")[2]

    @property
    def unsent(self) -> int:
        """Octets that wait for the other side to take them; TLS has a transport of its own above
        the one that sends, for which asyncio has no name."""
        beneath = getattr(getattr(self._transport, "_ssl_protocol", None), "_transport", None)
        waiting = beneath.get_write_buffer_size() if beneath is not None else 0
        if self._transport is not None:
            waiting += self._transport.get_write_buffer_size()
        return waiting

    @property
    def answered(self) -> bool:
        """Whether all of the reply that was expected last has come."""
        return self._ended

    def expect_reply(self) -> None:
        """From now on comes the reply to a command."""
        self._reply.clear()
        self._codes.clear()
        self._read, self._ended = 0, False

    def expect_tls(self) -> None:
        """From now on nothing may come but one reply; whoever sends more is not listened to."""
        self.expect_reply()
        self._tls_follows = True

    def data_received(self, data: bytes) -> None:
        self._tail = (self._tail + data[-_TAIL_LIMIT:])[-_TAIL_LIMIT:]
        whole, behind = b"", data
        if not (self._ended or self._reply) and len(data) <= REPLY_LIMIT and _WHOLE.fullmatch(data):
            self._ended = True
            self._hearer.data_received(data)
            return
        if not self._ended:
            self._reply += data
            if self._has_ended() or len(self._reply) > REPLY_LIMIT:
                end = self._read if self._ended else len(self._reply)
                whole = bytes(self._reply[:end])
            behind = bytes(self._reply[self._read :]) if self._ended else b""
        if behind and self._tls_follows:
            self.injected = True
            if self._transport is not None:
                self._transport.abort()
        if whole:
            self._reply.clear()
            self._read = 0
            self._hearer.data_received(self._none() or whole)

    def _has_ended(self) -> bool:
        """Whether all of a reply has come; each line is read once."""
        while not self._ended and (end := self._reply.find(b"\n", self._read)) >= 0:
            line = bytes(self._reply[self._read : end])
            self._read = end + 1
            found = _LINE.match(line)
            self._ended = found is None or found[2] is None
            self._codes.add(found[1] if found is not None else b"")
        return self._ended

    def _none(self) -> bytes:
        """What stands for the present reply where it is none; empty where it is one."""
        if len(self._codes) > 1:
            return _NONE.format(AMBIGUOUS).encode()
        return _NONE.format("").encode() if b"" in self._codes else b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport
        self._hearer.connection_made(transport)

    def eof_received(self) -> bool | None:
        return self._hearer.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        # With it go the buffers of TLS, which otherwise wait for the garbage collector.
        self._transport = None
        self._hearer.connection_lost(exc)

    def pause_writing(self) -> None:
        self._hearer.pause_writing()

    def resume_writing(self) -> None:
        self._hearer.resume_writing()
