# SPDX-License-Identifier: Apache-2.0
"""A scripted server for every misbehaviour: it plays a list of steps to whoever connects."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import ssl
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Answers:
    """Read lines, and play for each what is set for the word in it, up to the one for `until`."""

    steps: Mapping[bytes, Sequence[Step]]
    until: bytes


#: A step: bytes to send; what to send after the line that was read last; or what to do, one of
#: "read" (a line), "content" (of a message, up to its final dot), "tls", "close", "reset", "stall",
#: "end" (to close with TLS's closure alert, if there is TLS) and "endless" (a line).
Step = bytes | str | Callable[[bytes], bytes] | Answers


class Hostile:
    """Listens on a free port; `context` is for "tls" steps or, if `implicit`, for all.

    `received` holds the lines read and, when a script is over, all that still came.
    """

    def __init__(
        self,
        *steps: Step,
        context: ssl.SSLContext | None = None,
        implicit: bool = False,
    ) -> None:
        self._steps = steps
        self._context = context
        self._implicit = implicit
        self._server: asyncio.Server | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.received: list[bytes] = []
        self.connections = 0

    async def __aenter__(self) -> Self:
        context = self._context if self._implicit else None
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def narrow(self) -> None:
        """Have connections to come take little before it is read."""
        assert self._server is not None
        for listening in self._server.sockets:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        await asyncio.sleep(0.05)  # connections that were accepted in the last moment
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = asyncio.current_task()
        assert talk is not None
        self._talks.add(talk)
        self.connections += 1
        try:
            for step in self._steps:
                await self._play(step, reader, writer)
            if rest := await reader.read(65536):
                self.received.append(rest)
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            pass  # the end of the test, which asyncio's streams would report as an error
        finally:
            writer.transport.abort()
            self._talks.discard(talk)

    async def _play(
        self, step: Step, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if isinstance(step, Answers):
            await self._answer(step, reader, writer)
            return
        if callable(step):
            step = step(self.received[-1])
        if isinstance(step, bytes):
            writer.write(step)
            await writer.drain()
            return
        match step:
            case "read":
                self.received.append(await reader.readline())
            case "content":
                self.received.append(await reader.readuntil(b"\r\n.\r\n"))
            case "tls":
                assert self._context is not None
                await writer.start_tls(self._context)
            case "stall":
                await asyncio.sleep(3600)
            case "endless":
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()
                    # A lost TLS connection takes everything, and lets nobody else have a turn.
                    await asyncio.sleep(0)
                    if writer.transport.is_closing():
                        raise ConnectionAbortedError
            case "close":
                raise ConnectionAbortedError
            case "end":
                writer.close()
                await writer.wait_closed()
            case "reset":
                raw: socket.socket | None = writer.get_extra_info("socket")
                if raw is not None:  # whom the client has not left
                    linger = struct.pack("ii", 1, 0)
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                raise ConnectionAbortedError
            case _:
                raise AssertionError(f"unknown step {step}")

    async def _answer(
        self, answers: Answers, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        asked = b""
        while asked != answers.until:
            await self._play("read", reader, writer)
            words = self.received[-1].upper().split()
            asked = next((one for one in answers.steps if one in words), b"")
            if not words or not asked:
                raise ConnectionAbortedError
            for step in answers.steps[asked]:
                await self._play(step, reader, writer)


def smtp_until_auth(*offers: bytes, after: Sequence[Step] = ()) -> tuple[Step, ...]:
    """Greet, answer EHLO with these extensions, then play the rest."""
    lines = [b"250-hostile", *(b"250-" + offer for offer in offers), b"250 HELP"]
    return (b"220 hostile\r\n", "read", b"\r\n".join(lines) + b"\r\n", *after)


def imap_until_login(*capabilities: bytes, after: Sequence[Step] = ()) -> tuple[Step, ...]:
    """Greet, answer CAPABILITY with IMAP4rev1 and these, then play the rest."""
    words = b" ".join([b"IMAP4rev1", *capabilities])
    return (b"* OK hostile\r\n", "read", answer(b"OK done", b"CAPABILITY " + words), *after)


def answer(result: bytes, *untagged: bytes) -> Step:
    """Answer the last command of an IMAP client with its tag, after untagged responses."""

    def made(command: bytes) -> bytes:
        lines = [b"* " + one for one in untagged]
        tag = (command.split() or [b"*"])[0]  # whoever is gone has said nothing
        return b"".join(line + b"\r\n" for line in [*lines, tag + b" " + result])

    return made


def packed(document: Mapping[str, object] | str) -> bytes:
    """An error challenge as servers send it: JSON, or any text, in base64."""
    text = document if isinstance(document, str) else json.dumps(document)
    return base64.b64encode(text.encode())


def judge(message: str, accepts: bytes, refuses: bytes) -> Step:
    """Answer by whether the last word of the client is this message in base64."""
    expected = base64.b64encode(message.encode())

    def made(command: bytes) -> bytes:
        words = command.split()
        said = accepts if words and words[-1] == expected else refuses
        return said.replace(b"TAG", words[0] if words else b"")

    return made
