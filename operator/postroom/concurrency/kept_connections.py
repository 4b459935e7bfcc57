# SPDX-License-Identifier: Apache-2.0
"""Connections that are kept between requests over HTTP, and what was said on them meanwhile."""

from typing import Any
from weakref import WeakSet

import aiohttp

from postroom.concurrency.unread import is_anything_unread


class KeepingConnector(aiohttp.TCPConnector):
    """Keeps connections, but none on which something was said unasked: it would be taken for the
    answer to what is sent next. Some servers say so that they are about to end it (408)."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
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


def _something_was_said(protocol: aiohttp.client_proto.ResponseHandler) -> bool:
    """Whether anything came since the last answer, read or not; of TLS it may be no more than a
    ticket, for which a connection too many is given up."""
    transport = protocol.transport
    return protocol.should_close or (transport is not None and is_anything_unread(transport))
