# SPDX-License-Identifier: Apache-2.0
"""Hands one message to a Service of the cluster: a signed POST, by address, without redirects.

The address is the Service's own, as the API server gave it out: no name is resolved, so that none
can lead elsewhere between a look and a call.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.concurrency import threads
from postroom.concurrency.kept_connections import KeepingConnector
from postroom.concurrency.shortage import shortage_in
from postroom.delivery import events, signing
from postroom.delivery.answers import Answer, retry_after
from postroom.delivery.sinks import troubles
from postroom.delivery.spool import SpooledMessage
from postroom.mail.connect.dial import Failure
from postroom.mail.connect.tls import TrustStore

#: Up to so many octets a body is read once, and sent in one piece; and with its head, which fits
#: into the buffers of a connection together, so that nobody need wait for it to be taken.
_AT_ONCE, _WITH_HEAD = 256 * 1024, 64 * 1024
#: How often a message is posted at once on another connection, where the application had ended the
#: one that was kept: each time one less is kept.
_KEPT_ENDED = 4
#: Octets that buffers between us and an application hold at most.
_ON_THE_WAY = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Destination:
    """A Service's address, and the name by which it is asked and proven."""

    address: str
    port: int
    name: str
    path: str
    secure: bool = False
    ca_bundle: str | None = None

    @property
    def url(self) -> URL:
        """Where to post; the path as it was written."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        scheme = "https" if self.secure else "http"
        return URL(f"{scheme}://{host}:{self.port}{self.path}", encoded=True)

    @property
    def host(self) -> str:
        """The header field Host (RFC 9110 section 7.2): without the port where it is the usual."""
        usual = 443 if self.secure else 80
        return self.name if self.port == usual else f"{self.name}:{self.port}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: for the connection with its TLS, for each piece to be taken and for the answer after
    the last of them, and for a whole message besides what its size allows."""

    connect: float = 5.0
    silence: float = 60.0
    total: float = 120.0
    #: Octets a second that an application must take, so that a slow one does not hold room for
    #: ever.
    slowest: int = 64 * 1024


def open_session() -> aiohttp.ClientSession:
    """A session for all sinks: it takes no cookies, no proxy from the environment, resolves no
    name, leaves compressed bodies as they are, and has no bound on connections, since each account
    has one at most and none shall wait for those of others."""
    return aiohttp.ClientSession(
        connector=_Connector(resolver=_NoNames(), use_dns_cache=False, limit=0),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type"),
        headers={"User-Agent": "postroom"},
        trust_env=False,
    )


class HttpSink:
    """Implements `postroom.delivery.contract.Sink` for one destination."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        destination: Destination,
        keys: Sequence[Masked],
        now: Callable[[], datetime],
        written_as: events.Format = events.Format.RAW,
        trusts: TrustStore | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._session, self._destination = session, destination
        self._url, self._host = destination.url, destination.host
        self._keys, self._now, self._format = keys, now, written_as
        self._trusts, self._limits = trusts or TrustStore(), limits or Limits()

    async def send(self, told: Mapping[str, str], message: SpooledMessage | None) -> Answer:
        """POST an event, with its message if there is one; never raises for what others do, but
        for what we lack."""
        headers, body = self._written(told, message)
        stamp = int(self._now().timestamp())
        if message is None or message.in_memory:
            letter = _read(body, self._keys, told["id"], stamp)
        else:
            letter = await threads.to_its_end(_read, body, self._keys, told["id"], stamp)
        headers |= {
            "Host": self._host,
            "Content-Length": str(letter.size),
            "webhook-id": told["id"],
            "webhook-timestamp": str(stamp),
            "webhook-signature": letter.signatures,
        }
        answer = Answer(None, trouble=troubles.ENDS)
        for _ in range(_KEPT_ENDED):
            kept = _Kept()
            _asked_by.set(kept)
            answer = await self._post(headers, letter)
            if answer.trouble != troubles.ENDS or not kept.connection:
                break
        return answer

    async def _post(self, headers: Mapping[str, str], letter: "_Letter") -> Answer:
        limits = self._limits
        sending = _Sending(letter, limits)
        try:
            if letter.whole is not None and letter.size <= _WITH_HEAD:
                # It is on its way as soon as there is a connection: one time bounds all of it.
                sending.left = 0
                return await self._asked(
                    headers, letter.whole or None, sending, limits.connect + limits.silence
                )
            async with asyncio.timeout(limits.connect + limits.silence) as silence:
                total = limits.total + letter.size / limits.slowest
                return await self._asked(headers, sending.pieces(silence), sending, total)
        except Failure as failure:
            if failure.reason is Reason.RESOURCES_EXHAUSTED:
                raise
            return Answer(None, trouble=troubles.of_bundle(failure.message))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            if (lack := shortage_in(error)) is not None:
                raise lack from None
            taken = not sending.left
            return Answer(None, trouble=troubles.of_http(error, self._destination.name, taken))

    async def _asked(
        self,
        headers: Mapping[str, str],
        body: bytes | AsyncIterator[bytes] | None,
        sending: "_Sending",
        total: float,
    ) -> Answer:
        to = self._destination
        trust: ssl.SSLContext | bool = True
        if to.secure:
            trust = await self._trusts.context(to.ca_bundle, common_name=False)
        async with self._session.post(
            self._url,
            headers=headers,
            data=body,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=total, sock_connect=self._limits.connect),
            ssl=trust,
            # Over HTTP, too: connections are kept by it. One that is kept leads to whom the address
            # had been given when it was opened.
            server_hostname=to.name,
        ) as answer:
            if sending.left and 200 <= answer.status < 300:
                return Answer(None, trouble=troubles.TOO_EARLY)
            asked = answer.headers.get("Retry-After")
            return Answer(answer.status, retry_after(asked, self._now()) if asked else None)

    def _written(
        self, told: Mapping[str, str], message: SpooledMessage | None
    ) -> tuple[dict[str, str], Callable[[], Iterator[bytes]]]:
        if self._format is events.Format.CLOUD_EVENT:
            pieces = message.pieces if message is not None else None
            return {"Content-Type": events.STRUCTURED}, lambda: events.as_json(told, pieces)
        headers = events.as_headers(told)
        if message is None:
            return headers, lambda: iter(())
        return {**headers, "Content-Type": events.RAW}, message.pieces


@dataclass(frozen=True, slots=True)
class _Letter:
    """A body that was read once: its size and signatures, and all of it where it is small."""

    size: int
    signatures: str
    body: Callable[[], Iterator[bytes]]
    whole: bytes | None = None


def _read(
    body: Callable[[], Iterator[bytes]], keys: Sequence[Masked], event_id: str, stamp: int
) -> _Letter:
    pieces, begun = body(), b""
    while len(begun) <= _AT_ONCE and (piece := next(pieces, None)) is not None:
        begun = begun + piece if begun else piece
    if len(begun) <= _AT_ONCE:
        signatures = signing.signatures(keys, event_id, stamp, begun)
        return _Letter(len(begun), signatures, lambda: iter((begun,) if begun else ()), begun)
    size = 0

    def counted() -> Iterator[bytes]:
        nonlocal size
        for piece in chain((begun,), pieces):
            size += len(piece)
            yield piece

    signatures = signing.signatures(keys, event_id, stamp, counted())
    return _Letter(size, signatures, body)


class _Sending:
    """One body on its way: how much of it is left, and that it goes on."""

    def __init__(self, letter: _Letter, limits: Limits) -> None:
        self._letter, self._limits = letter, limits
        self.left = letter.size

    def pieces(self, silence: asyncio.Timeout) -> AsyncIterator[bytes] | None:
        """The body piece by piece, read beside the event loop; each puts the end of `silence` off.

        None where there is none.
        """
        return self._pieces(silence) if self.left else None

    async def _pieces(self, silence: asyncio.Timeout) -> AsyncIterator[bytes]:
        limits, size = self._limits, self._letter.size
        body = self._letter.body()
        while self.left:
            piece = next(body) if size <= _AT_ONCE else await threads.to_its_end(next, body)
            # Whoever answers after this may have read it.
            self.left -= len(piece)
            yield piece
            if silence.expired():
                return
            # What the last pieces fill on the way, the application has still to read.
            on_the_way = 0 if self.left else min(size, _ON_THE_WAY) / limits.slowest
            wait = limits.silence + on_the_way
            silence.reschedule(asyncio.get_running_loop().time() + wait)


class _Kept:
    """Whether a connection was kept from before."""

    connection = False


#: Who asks for a connection. aiohttp's own way to learn it, a trace, costs as much as a request.
_asked_by: ContextVar[_Kept | None] = ContextVar("asked_by", default=None)


class _Connector(KeepingConnector):
    """Tells whoever asks whether a connection was kept."""

    def handed_out(self, *, kept: bool) -> None:
        """See `KeepingConnector`."""
        if (asked_by := _asked_by.get()) is not None:
            asked_by.connection = kept


class _NoNames(AbstractResolver):
    """Resolves nothing: a sink knows addresses."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """See `aiohttp.abc.AbstractResolver`."""
        raise OSError("no name is resolved")

    async def close(self) -> None:
        """Nothing to close."""
