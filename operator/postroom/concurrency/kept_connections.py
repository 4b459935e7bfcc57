# SPDX-License-Identifier: Apache-2.0
"""Connections that are kept between requests over HTTP, and what was said on them meanwhile."""

from functools import partial
from typing import Any, cast
from weakref import WeakSet

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import BadStatusLine

from postroom.concurrency.unread import is_anything_unread

#: Interim answers (RFC 9110 section 15.2) that are heard before the one that counts.
INTERIM_LIMIT = 64


class KeepingConnector(aiohttp.TCPConnector):
    """Keeps connections, but none on which something was said unasked: it would be taken for the
    answer to what is sent next. Some servers say so that they are about to end it (408)."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = cast("Any", partial(_Bounded, loop=self._loop))
        self._known: WeakSet[Any] = WeakSet()

    async def connect(self, *arguments: Any, **options: Any) -> aiohttp.connector.Connection:
        """A connection as aiohttp makes or keeps it."""
        while True:
            connection = await super().connect(*arguments, **options)
            protocol = connection.protocol
            is_kept = protocol in self._known
            if is_kept and protocol is not None and _something_was_said(protocol):
                connection.close()
                continue
            self._known.add(protocol)
            self.handed_out(kept=is_kept)
            return connection

    def handed_out(self, *, kept: bool) -> None:
        """Called for whoever asked for a connection, who may want to know whether it is new."""


class _Bounded(ResponseHandler):
    """Hears no more than `INTERIM_LIMIT` interim answers to a request: aiohttp hears them without
    end, and each costs CPU, for as long as the request may last."""

    _interim = 0

    async def read(self) -> Any:
        """The next answer, interim or not."""
        answer = await super().read()
        is_interim = 100 <= answer[0].code <= 199 and answer[0].code != 101
        self._interim = self._interim + 1 if is_interim else 0
        if self._interim > INTERIM_LIMIT:
            raise BadStatusLine("interim answers without end")
        return answer


def _something_was_said(protocol: ResponseHandler) -> bool:
    """Whether anything came since the last answer, read or not; of TLS it may be no more than a
    ticket, for which a connection too many is given up."""
    transport = protocol.transport
    return protocol.should_close or (transport is not None and is_anything_unread(transport))
