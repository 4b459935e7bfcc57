# SPDX-License-Identifier: Apache-2.0
"""Hands messages to a stream of NATS JetStream; which server and stream, its administrator says.

A message is handed over when the stream has acknowledged it, and not before. Its id is that of the
event, so that a stream drops what it got a moment ago. What is larger than the server or the stream
takes goes into an Object Store, and the event tells where (CloudEvents extension dataref): whoever
writes a large message holds no mailbox up.

nats-py, which this needs, is an extra of the package: it is imported where it is used.
"""

import asyncio
import base64
import hashlib
import io
import ssl
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from postroom.concurrency import threads
from postroom.concurrency.shortage import shortage_in
from postroom.delivery import events
from postroom.delivery.answers import Answer
from postroom.delivery.sinks import nats_credentials, nats_troubles
from postroom.delivery.sinks.nats_troubles import NotTaken
from postroom.delivery.spool import SpooledMessage
from postroom.mail.connect.tls import build_context

if TYPE_CHECKING:
    from nats.aio.client import Client

#: What every subject begins with.
PREFIX = "postroom.mail"
_TAKEN = Answer(200)
#: Octets that are kept free for the header of what the server takes as a message.
_HEADER = 16 * 1024
#: Octets of a piece of an object, at most: as many as nats-py takes by itself.
_PIECE = 128 * 1024
#: Messages that are in memory at a time, because the server takes them only whole.
_AT_A_TIME = 8
#: Octets beyond which a message is the only one: servers may take 64 MiB, and as a document it is
#: there twice.
_ALONE = 2 * 1024 * 1024
#: Complaints of the server that are kept.
_COMPLAINTS = 10
#: Seconds for a connection to end.
_CLOSING = 1.0


@dataclass(frozen=True, slots=True)
class Server:
    """What an administrator gave; `object_store` is the bucket for large messages, if any."""

    url: str
    stream: str
    object_store: str = ""
    credentials: Path | None = None
    ca_file: Path | None = None

    @property
    def is_secure(self) -> bool:
        """Whether the connection is encrypted, and the server proven."""
        return self.url.startswith("tls:")


@dataclass(frozen=True, slots=True)
class Subject:
    """Where an account's messages go; nobody else's go there."""

    namespace: str
    account: str

    @property
    def name(self) -> str:
        """Four tokens: names of objects have dots, which part tokens, but no underscores."""
        return f"{PREFIX}.{self.namespace}.{self.account.replace('.', '_')}"


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds: for a connection, for an acknowledgement, and between two attempts to connect."""

    connect: float = 5.0
    acknowledge: float = 10.0
    pause: float = 1.0


class Connection:
    """The one connection of all accounts: made when it is needed, and made anew when it is gone.

    nats-py's own attempts to connect again are not used: what they meet with could not be told.
    """

    def __init__(self, server: Server, limits: Limits | None = None) -> None:
        self.server, self.limits = server, limits or Limits()
        self.places, self.alone = asyncio.Semaphore(_AT_A_TIME), asyncio.Lock()
        self._client: Client | None = None
        self._tls: ssl.SSLContext | None = None
        self._connecting = asyncio.Lock()
        self._failed: tuple[float, str] | None = None
        #: What the server has complained of beside answers, such as a subject that is not allowed:
        #: how often, and the last of it.
        self.complained = 0
        self._complaints: deque[str] = deque(maxlen=_COMPLAINTS)

    async def client(self) -> "Client":
        """The client, connected; raises `NotTaken`."""
        async with self._connecting:
            client = self._client
            if client is not None and client.is_connected:
                return client
            if self._failed is not None and time.monotonic() < self._failed[0]:
                raise NotTaken(self._failed[1])  # one that is raised again keeps all who met it
            await self._end()
            try:
                self._client = await self._connected()
            except NotTaken as trouble:
                self._failed = (time.monotonic() + self.limits.pause, str(trouble))
                raise
            self._failed = None
            return self._client

    def heard_since(self, complained: int) -> list[str]:
        """What the server has complained of since it had so often; no more than is kept."""
        new = min(self.complained - complained, len(self._complaints))
        return list(self._complaints)[-new:] if new else []

    async def close(self) -> None:
        """End the connection."""
        async with self._connecting:
            await self._end()

    async def _end(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await _close(client)

    async def _connected(self) -> "Client":
        server = self.server
        client = _new_client(server)
        met = list[Exception]()

        async def complained(error: Exception) -> None:
            met.append(error)
            self.complained += 1
            self._complaints.append(str(error))

        options: dict[str, Any] = {}
        try:
            if server.is_secure:
                options["tls"] = await self._trust()
            if server.credentials is not None:
                user = await threads.to_its_end(nats_credentials.read, server.credentials)
                options |= {"user_jwt_cb": user.jwt, "signature_cb": user.sign}
            async with asyncio.timeout(self.limits.connect):
                await client.connect(
                    server.url,
                    name="postroom deliver",
                    error_cb=complained,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=int(self.limits.connect) or 1,
                    **options,
                )
        except BaseException as error:
            await _close(client)
            if not isinstance(error, Exception):
                raise
            lack = next(filter(None, map(shortage_in, [*met, error])), None)
            raise lack or nats_troubles.of_connecting(
                [*met, error], wants_certificate=client.wants_certificate
            ) from None
        connected: Client = client
        return connected

    async def _trust(self) -> ssl.SSLContext:
        if self._tls is None:
            path = self.server.ca_file
            bundle = await threads.to_its_end(path.read_text) if path is not None else None
            self._tls = await threads.to_its_end(build_context, bundle)
        return self._tls


class JetStreamSink:
    """Implements `postroom.delivery.contract.Sink` for one account's subject."""

    def __init__(
        self,
        connection: Connection,
        subject: Subject,
        written_as: events.Format = events.Format.RAW,
    ) -> None:
        self._connection, self._subject, self._format = connection, subject, written_as

    async def send(self, told: Mapping[str, str], message: SpooledMessage | None) -> Answer:
        """Publish an event and wait until the stream has it; never raises for what NATS does, but
        for what we lack."""
        connection = self._connection
        try:
            async with connection.places:
                client = await connection.client()
                complained = connection.complained
                try:
                    await self._publish(client, told, message)
                except Exception as error:
                    heard = connection.heard_since(complained)
                    lack = shortage_in(error)
                    raise (
                        lack or nats_troubles.of_publishing(error, self._subject.name, heard)
                    ) from None
        except NotTaken as trouble:
            return Answer(None, trouble=str(trouble))
        return _TAKEN

    async def _publish(
        self, client: "Client", told: Mapping[str, str], message: SpooledMessage | None
    ) -> None:
        written = self._written(told, message)
        if message is None or written.size + _HEADER <= client.max_payload:
            try:
                await self._acknowledged(client, told["id"], written)
                return
            except Exception as error:
                if message is None or not nats_troubles.is_too_large(error):
                    raise
        stored = await self._stored(client, told, message)
        # Where there is nowhere to store it, the stream hears of it all the same.
        written = self._written(
            {**told, "dataref": stored} if stored else {**told, "type": events.OVERSIZED}, None
        )
        if stored and self._format is events.Format.RAW:
            written.header["ce-datacontenttype"] = events.RAW
        await self._acknowledged(client, told["id"], written)

    async def _acknowledged(self, client: "Client", event_id: str, written: "_Written") -> None:
        """Publish what is written, and see that it is our stream that has it."""
        connection = self._connection
        context = client.jetstream(timeout=connection.limits.acknowledge)
        async with connection.alone if written.size > _ALONE else nullcontext():
            acknowledged = await context.publish(
                self._subject.name,
                await threads.to_its_end(written.whole),
                stream=connection.server.stream,
                headers={**written.header, "Nats-Msg-Id": event_id},
            )
        # Anybody could answer: only a stream has a place for it, and only ours has its name.
        if acknowledged.stream != connection.server.stream or not acknowledged.seq:
            raise ValueError("no acknowledgement of the stream")

    async def _stored(
        self, client: "Client", told: Mapping[str, str], message: SpooledMessage
    ) -> str | None:
        """Put a message into the Object Store under its id; the reference to it, if there is a
        store. One that is there stays: whoever heard of it a moment ago may be reading it."""
        from nats.js.api import ObjectMeta, ObjectMetaOptions

        bucket = self._connection.server.object_store
        if not bucket:
            return None
        context = client.jetstream(timeout=self._connection.limits.acknowledge)
        try:
            store = await context.object_store(bucket)
            if not await _holds(store, told["id"], message):
                # In pieces that the server takes.
                options = ObjectMetaOptions(max_chunk_size=min(_PIECE, client.max_payload))
                with io.BufferedReader(_Octets(message)) as octets:
                    await store.put(told["id"], octets, ObjectMeta(options=options))
        except Exception as error:
            raise nats_troubles.NotStored(error) from error
        return f"nats-object:{bucket}/{told['id']}"

    def _written(self, told: Mapping[str, str], message: SpooledMessage | None) -> "_Written":
        """An event as NATS has it (CloudEvents NATS protocol binding 1.0.3)."""
        if self._format is events.Format.CLOUD_EVENT:
            pieces = message.pieces if message is not None else None
            size = 4 * ((message.size + 2) // 3) if message is not None else 0
            return _Written(
                {"content-type": events.STRUCTURED},
                size,
                lambda: b"".join(events.as_json(told, pieces)),
            )
        header = events.as_headers(told)
        if message is None:
            return _Written(header, 0, bytes)
        header |= {"ce-datacontenttype": events.RAW, "content-type": events.RAW}
        return _Written(header, message.size, lambda: b"".join(message.pieces()))


async def _holds(store: Any, name: str, message: SpooledMessage) -> bool:
    """Whether the Object Store has this very message; it tells of an object when it is whole."""
    from nats.js.errors import NotFoundError

    try:
        info = await store.get_info(name)
    except NotFoundError:
        return False
    if info.size != message.size:
        return False

    def digest() -> str:
        found = hashlib.sha256()
        for piece in message.pieces():
            found.update(piece)
        return f"SHA-256={base64.urlsafe_b64encode(found.digest()).decode()}"

    return bool(info.digest == await threads.to_its_end(digest))


@dataclass(frozen=True, slots=True)
class _Written:
    """The header of a message to NATS, about how large its body is, and the body."""

    header: dict[str, str]
    size: int
    whole: Callable[[], bytes]


class _Octets(io.RawIOBase):
    """A spooled message as a file."""

    def __init__(self, message: SpooledMessage) -> None:
        super().__init__()
        self._pieces, self._left = message.pieces(), memoryview(b"")

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill a buffer as far as the next piece goes."""
        self._left = self._left or memoryview(next(self._pieces, b""))
        taken = self._left[: len(buffer)]
        buffer[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)


async def _close(client: "Client") -> None:
    """End a connection, whatever its state: after a handshake that failed, that would take ever."""
    with suppress(Exception):
        async with asyncio.timeout(_CLOSING):
            await client.close()


def _new_client(server: Server) -> Any:
    """A client that tells nobody anything who does not begin with TLS where it is asked for.

    nats-py leaves that to the server, which says so in the clear. `wants_certificate` of it tells
    whether the server said before TLS that it takes no client without one.
    """
    from nats.aio.client import Client

    greeted = False

    async def process_info(self: Any, info: dict[str, Any], *rest: Any, **more: Any) -> None:
        nonlocal greeted
        greeted = True
        self.wants_certificate = bool(info.get("tls_verify"))
        if server.is_secure and not info.get("tls_required"):
            raise NotTaken(nats_troubles.PLAIN)
        await Client._process_info(self, info, *rest, **more)

    def connect_command(self: Any) -> Any:
        if not greeted:
            raise NotTaken(nats_troubles.PLAIN)
        return Client._connect_command(self)

    own = {
        "_process_info": process_info,
        "_connect_command": connect_command,
        "wants_certificate": False,
    }
    return type("Proving", (Client,), own)()
