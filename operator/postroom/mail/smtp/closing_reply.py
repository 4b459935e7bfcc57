# SPDX-License-Identifier: Apache-2.0
"""What a server said before it closed, where nothing had been asked: RFC 5321 section 3.8."""

import asyncio
import re

_TAIL_LIMIT = 4096
#: aiosmtplib takes no longer one.
_REPLY_LIMIT = 64 * 1024
#: A whole reply of one line or several, and what follows it.
_REPLY = re.compile(rb"(?:\d{3}-[^\n]*\n)*\d{3}(?:[ \r][^\n]*)?\n(.*)", re.DOTALL)
#: Lines of one reply with different codes, which is none (RFC 5321 section 4.2.1).
_MIXED = re.compile(rb"(?:\A|\n)(\d{3})-[^\n]*\n(?!\1)\d{3}")
_CLOSING = re.compile(rb"(?:\A|\n)((?:421-[^\n]*\n)*421 [^\n]*)\n?\Z")


class ClosingReply(asyncio.Protocol):
    """Hands everything on to the protocol of the client, and remembers the end of it.

    aiosmtplib drops a reply that comes between two commands, and with it the reason for which the
    connection is closed.
    """

    def __init__(
        self,
        hearer: asyncio.Protocol,
        heard: bytes = b"",
        transport: asyncio.Transport | None = None,
    ) -> None:
        self._hearer, self._transport = hearer, transport
        self._tail = heard
        self._reply = b""
        self._before_tls: bytes | None = None
        #: Whether more came in the clear than the answer to STARTTLS (RFC 3207 section 4.2).
        self.injected = False

    @property
    def text(self) -> str | None:
        """The text of the 421 that came last, lines separated by line feeds; None without one."""
        found = _CLOSING.search(self._tail)
        if found is None:
            return None
        lines = found[1].decode("utf-8", "replace").split("\n")
        return "\n".join(line[4:].strip() for line in lines)

    @property
    def line_so_far(self) -> bytes:
        """The end of what came last, where that is not the end of a line."""
        return self._tail.rpartition(b"\n")[2]

    @property
    def mixes_codes(self) -> bool:
        """Whether lines of the last reply have different codes: it says both, and so nothing."""
        return _MIXED.search(self._reply) is not None

    def expect_reply(self) -> None:
        """From now on comes the reply to a command."""
        self._reply = b""

    def expect_tls(self) -> None:
        """From now on nothing may come but one reply; whoever sends more is not listened to."""
        self._before_tls = b""

    def data_received(self, data: bytes) -> None:
        if self._before_tls is not None:
            self._before_tls = (self._before_tls + data)[:_TAIL_LIMIT]
            found = _REPLY.match(self._before_tls)
            if found is not None and found[1]:
                self.injected = True
                if self._transport is not None:
                    self._transport.abort()
        self._reply = (self._reply + data)[:_REPLY_LIMIT]
        self._tail = (self._tail + data[-_TAIL_LIMIT:])[-_TAIL_LIMIT:]
        self._hearer.data_received(data)

    def eof_received(self) -> bool | None:
        return self._hearer.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._hearer.connection_lost(exc)

    def pause_writing(self) -> None:
        self._hearer.pause_writing()

    def resume_writing(self) -> None:
        self._hearer.resume_writing()
