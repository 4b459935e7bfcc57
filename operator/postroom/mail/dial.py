# SPDX-License-Identifier: Apache-2.0
"""Resolve once, judge every address, connect to a judged one: rebinding cannot win."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.guard import DialPolicy, judge_addresses, judge_port
from postroom.mail.report import Endpoint

#: host -> its addresses; empty: it has none; None: that could not be looked up now.
Resolve = Callable[[str], Awaitable[tuple[str, ...] | None]]

_STAGGER = 0.25
_ADDRESS_LIMIT = 8


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How many seconds each stage may take, and all together."""

    resolve: float = 5
    connect: float = 5
    tls: float = 8
    greeting: float = 15
    command: float = 10
    auth: float = 20
    total: float = 45


@dataclass(eq=False)
class Failure(Exception):
    """A probe's end: the stage, the reason and the sentence that its report will carry."""

    stage: ProbeStage
    reason: Reason
    message: str
    conclusive: bool = True
    code: int | None = None
    enhanced_code: str | None = None


class Dialler:
    """Connects to endpoints as far as the policy allows."""

    def __init__(self, policy: DialPolicy, resolve: Resolve, deadlines: Deadlines) -> None:
        self._policy = policy
        self._resolve = resolve
        self.deadlines = deadlines

    async def dial(self, endpoint: Endpoint) -> socket.socket:
        """Return a connected socket; raises `Failure`."""
        denied = judge_port(endpoint.port, self._policy)
        if denied is None:
            addresses = await self._addresses(endpoint.host)
            denied = judge_addresses(endpoint.host, addresses, endpoint.namespace, self._policy)
        if denied is not None:
            raise Failure(ProbeStage.GUARD, denied.reason, denied.sentence)
        return await self._connect(addresses[:_ADDRESS_LIMIT], endpoint)

    async def _addresses(self, host: str) -> tuple[str, ...]:
        try:
            async with asyncio.timeout(self.deadlines.resolve):
                found = await self._resolve(host)
        except TimeoutError:
            found = None
        if found:
            return found
        if found is not None:
            message = f"{host} has no address in DNS: correct the name of the host."
            raise Failure(ProbeStage.RESOLVE, Reason.HOST_NOT_FOUND, message)
        message = f"The addresses of {host} could not be looked up now; the look is repeated."
        raise Failure(ProbeStage.RESOLVE, Reason.LOOKUP_FAILED, message, conclusive=False)

    async def _connect(self, addresses: Sequence[str], endpoint: Endpoint) -> socket.socket:
        """Try the addresses one after the other, a little apart (RFC 8305); the first wins."""
        place = f"{endpoint.host}:{endpoint.port}"
        attempts: set[asyncio.Task[socket.socket]] = set()
        errors: list[BaseException] = []
        queue = list(addresses)
        try:
            async with asyncio.timeout(self.deadlines.connect):
                while queue or attempts:
                    if queue:
                        attempts.add(asyncio.ensure_future(_open(queue.pop(0), endpoint.port)))
                    wait = _STAGGER if queue else None
                    done, attempts = await asyncio.wait(
                        attempts, timeout=wait, return_when=asyncio.FIRST_COMPLETED
                    )
                    winners = [one for one in done if one.exception() is None]
                    for loser in winners[1:]:
                        loser.result().close()
                    if winners:
                        return winners[0].result()
                    errors += [error for one in done if (error := one.exception())]
        except TimeoutError:
            errors.append(TimeoutError())
        finally:
            await _give_up(attempts)
        if all(isinstance(one, ConnectionRefusedError) for one in errors):
            message = f"Nothing listens at {place}: correct host and port, or start the server."
            raise Failure(ProbeStage.CONNECT, Reason.CONNECTION_REFUSED, message)
        message = (
            f"{place} does not answer: a firewall or NetworkPolicy may be in the way; many clouds "
            "block ports 25 and 465, try 587."
        )
        raise Failure(ProbeStage.CONNECT, Reason.CONNECTION_TIMEOUT, message)


async def _open(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.setblocking(False)
        await asyncio.get_running_loop().sock_connect(opened, (address, port))
    except BaseException:
        opened.close()
        raise
    return opened


async def _give_up(attempts: set[asyncio.Task[socket.socket]]) -> None:
    """Cancel what still tries, and close what connected in the meantime."""
    for one in attempts:
        one.cancel()
    for result in await asyncio.gather(*attempts, return_exceptions=True):
        if isinstance(result, socket.socket):
            result.close()


class SystemResolver:
    """getaddrinfo in threads of its own: dead names must not block other work of the process."""

    def __init__(self, threads: int = 32) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="resolve")

    async def __call__(self, host: str) -> tuple[str, ...] | None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(
                self._threads, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            )
        except socket.gaierror as error:
            return None if error.errno == socket.EAI_AGAIN else ()
        return tuple(dict.fromkeys(str(one[4][0]) for one in found))
