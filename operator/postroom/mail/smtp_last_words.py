# SPDX-License-Identifier: Apache-2.0
"""What a server said before it closed, where nothing had been asked: RFC 5321 section 3.8."""

from __future__ import annotations

import asyncio
import re

_TAIL_LIMIT = 4096
_FAREWELL = re.compile(rb"(?:\A|\n)((?:421-[^\n]*\n)*421 [^\n]*)\n?\Z")


class LastWords(asyncio.Protocol):
    """Hands everything on to the protocol of the client, and remembers the end of it.

    aiosmtplib drops a reply that comes between two commands, and with it the reason for which the
    connection is closed.
    """

    def __init__(self, hearer: asyncio.Protocol, heard: bytes = b"") -> None:
        self._hearer = hearer
        self._tail = heard

    @property
    def farewell(self) -> str | None:
        """The text of the 421 that came last, lines separated by line feeds; None without one."""
        found = _FAREWELL.search(self._tail)
        if found is None:
            return None
        lines = found[1].decode("utf-8", "replace").split("\n")
        return "\n".join(line[4:].strip() for line in lines)

    def data_received(self, data: bytes) -> None:
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
