# SPDX-License-Identifier: Apache-2.0
"""Resolve once, judge every address, connect to a judged one: rebinding cannot win."""

import asyncio
import errno
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import zip_longest

from postroom.api.finding_texts import in_full
from postroom.api.hosts import AliasedAddresses
from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import Reason
from postroom.concurrency.acting import party
from postroom.concurrency.bounded import BoundedMap
from postroom.concurrency.flights import Flights
from postroom.concurrency.patience import PeerDeadline
from postroom.concurrency.shortage import Shortage, shortage_in
from postroom.concurrency.slots import Slots
from postroom.concurrency.threads import Threads
from postroom.mail.connect import services
from postroom.mail.connect.guard import DialPolicy, judge_addresses, judge_port
from postroom.mail.presets.identify import by_whole_name, identify
from postroom.mail.report import Endpoint

#: host -> its addresses; empty: it has none; None: that could not be looked up now. Raises
#: `Shortage`.
Resolve = Callable[[str], Awaitable[tuple[str, ...] | None]]
_Addresses = tuple[str, ...] | None

_STAGGER = 0.25
#: Answers of the system that say that there is nothing; all others say that it could not look.
_NOT_FOUND = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", None)}
_ADDRESS_LIMIT = 8
#: Seconds after which a name counts as slow, and how many such names are remembered.
_SLOW = 2.0
_SLOW_NAMES = 1024


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
    """A probe's end: the stage, the reason, what is wrong and what to do, as its report will carry
    them.

    All but `stage` and `code` as in `postroom.mail.report.ProbeReport`.
    """

    stage: ProbeStage
    reason: Reason
    wrong: str
    conclusive: bool = True
    code: int | None = None
    enhanced_code: str | None = None
    retry_after: timedelta | None = None
    cause: str | None = None
    fix: str = ""
    needs_someone: bool = False
    unclear: bool = False

    @property
    def message(self) -> str:
        """What is wrong and what to do, in one text."""
        return in_full(self.wrong, self.fix)


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
            tenant = endpoint.services_of or endpoint.namespace
            denied = judge_addresses(endpoint.host, addresses, tenant, self._policy)
        if denied is not None:
            raise Failure(ProbeStage.GUARD, denied.reason, denied.wrong, fix=denied.fix)
        return await self._connect(interleaved(addresses)[:_ADDRESS_LIMIT], endpoint)

    async def _addresses(self, host: str) -> tuple[str, ...]:
        try:
            async with PeerDeadline(self.deadlines.resolve):
                found = await self._resolve(host)
        except TimeoutError:
            found = None
        except Shortage as lack:
            raise starved(ProbeStage.RESOLVE, lack) from None
        if found:
            return found
        if found is None:
            message = f"The addresses of {host} could not be looked up now; the look is repeated."
            raise Failure(ProbeStage.RESOLVE, Reason.LOOKUP_FAILED, message, conclusive=False)
        provider, wrong = by_whole_name(host), f"{host} has no address in DNS"
        if identify(host) is None:
            fix = "correct the name of the host."
        elif provider is None:
            fix = "correct the name of the host, or what it is made of, such as the region."
        else:
            # A host that is a provider's for certain is no misspelling.
            wrong = f"{wrong} as it is seen from here, yet it is a host of {provider}"
            fix = "look at the resolver and the network that postroom uses."
        raise Failure(ProbeStage.RESOLVE, Reason.HOST_NOT_FOUND, f"{wrong}:", fix=fix)

    async def _connect(self, addresses: Sequence[str], endpoint: Endpoint) -> socket.socket:
        """Try the addresses one after the other, a little apart (RFC 8305); the first wins."""
        attempts: set[asyncio.Task[socket.socket]] = set()
        errors: list[BaseException] = []
        queue = list(addresses)
        try:
            async with PeerDeadline(self.deadlines.connect):
                if len(queue) == 1:
                    # Nothing goes on beside it, and a task for it would cost as much as itself.
                    return await _open(queue.pop(), endpoint.port)
                while queue or attempts:
                    if queue:
                        attempts.add(asyncio.create_task(_open(queue.pop(0), endpoint.port)))
                    await asyncio.wait(
                        attempts,
                        timeout=_STAGGER if queue else None,
                        return_when=asyncio.FIRST_COMPLETED,
                    )
                    for done in [attempt for attempt in attempts if attempt.done()]:
                        attempts.remove(done)
                        error = done.exception()
                        if error is None:
                            return done.result()
                        errors.append(error)
        except (OSError, MemoryError) as error:
            errors.append(error)
        finally:
            for attempt in attempts:
                attempt.cancel()
                # Not awaited: who cancels us in that moment must not make us lose a socket.
                attempt.add_done_callback(_close_result)
        raise unreachable(errors, f"{endpoint.host}:{endpoint.port}")


def unreachable(errors: Sequence[BaseException], place: str) -> Failure:
    """The end of a probe none of whose attempts to connect came through, by what they met.

    Where one of them met a want of ours, its address might have answered.
    """
    for lack in filter(None, map(shortage_in, errors)):
        return starved(ProbeStage.CONNECT, lack)
    numbers = {error.errno if isinstance(error, OSError) else None for error in errors}
    reason = Reason.CONNECTION_TIMEOUT
    without_route = {errno.ENETUNREACH, errno.EHOSTUNREACH}
    if numbers & {errno.ECONNRESET, errno.ECONNABORTED}:
        reason, wrong = Reason.CONNECTION_REFUSED, f"{place} resets the connection at once:"
        fix = (
            "see that the server is the one that listens there, and that it lets this address in; "
            "its log tells more."
        )
    elif errno.ECONNREFUSED in numbers and numbers <= {errno.ECONNREFUSED, *without_route}:
        reason, wrong = Reason.CONNECTION_REFUSED, f"Nothing listens at {place}:"
        fix = "correct host and port, or start the server."
    elif numbers <= without_route:
        wrong = f"There is no route to {place}:"
        fix = (
            "check the network, and whether the host has only addresses of an IP version that the "
            "network lacks."
        )
    else:
        wrong = f"{place} does not answer:"
        fix = (
            "a firewall or NetworkPolicy may be in the way; many clouds block ports 25 and 465, "
            "try 587."
        )
    return Failure(ProbeStage.CONNECT, reason, wrong, fix=fix)


def starved(stage: ProbeStage, lack: Shortage) -> Failure:
    """The end of a probe that we had not the means for: no verdict."""
    return Failure(stage, Reason.RESOURCES_EXHAUSTED, lack.wrong, conclusive=False, fix=lack.fix)


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


def _close_result(attempt: asyncio.Task[socket.socket]) -> None:
    """Close what an attempt that was cancelled may have connected in the meantime."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()


def interleaved(addresses: Sequence[str]) -> list[str]:
    """Alternate the IP versions, beginning with the first one's (RFC 8305 section 4)."""
    first_is_v6 = bool(addresses) and ":" in addresses[0]
    first = [address for address in addresses if (":" in address) is first_is_v6]
    second = [address for address in addresses if (":" in address) is not first_is_v6]
    pairs = zip_longest(first, second)
    return [address for pair in pairs for address in pair if address is not None]


def completing(resolve: Resolve, cluster_domains: Sequence[str]) -> Resolve:
    """Look the names of Services up in full, and only then as they are."""

    async def resolve_in_full(host: str) -> tuple[str, ...] | None:
        full = services.in_full(host, cluster_domains)
        found = await resolve(full) if full is not None else ()
        return await resolve(host) if found == () else found

    return resolve_in_full


class _Lane:
    """Threads for looks: so many for one party, and twice as many for all together."""

    def __init__(self, threads: int, name: str, cluster_domains: Sequence[str]) -> None:
        self._domains = cluster_domains
        self._turns = Slots(2 * threads, threads)
        self._threads = Threads(2 * threads, thread_name_prefix=name)

    async def look(self, host: str, awaited: Callable[[], bool]) -> tuple[bool, _Addresses]:
        """Whether the system took long, and what it said; not begun where nobody waits for it."""
        async with self._turns.slot(party()):
            if not awaited():
                raise asyncio.CancelledError
            begun = time.monotonic()
            # Nothing ends a thread: its place is given back when it has ended by itself.
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._threads, _look_up, host, self._domains)
            return time.monotonic() - begun >= _SLOW, found


class SystemResolver:
    """getaddrinfo in threads of its own: dead names must not block other work of the process.

    A party looks a name up once at a time, and has a part of the `threads` of all. A name that was
    slow before waits for one of `slow_threads`, so that the others remain for names that answer.
    A search list completes the name of a Service by one of the `cluster_domains`.
    """

    def __init__(
        self,
        threads: int = 16,
        slow_threads: int = 8,
        cluster_domains: Sequence[str] = (services.USUAL_DOMAIN,),
    ) -> None:
        self._fast = _Lane(threads, "resolve", cluster_domains)
        self._slow = _Lane(slow_threads, "resolve-slow", cluster_domains)
        self._slow_names: BoundedMap[str, None] = BoundedMap(_SLOW_NAMES)
        self._looks: Flights[tuple[str, str], _Addresses] = Flights()

    async def __call__(self, host: str) -> tuple[str, ...] | None:
        """Return the addresses of a host, empty: it has none, None: it cannot be looked up now."""
        key = party(), host.lower()
        return await self._looks.join(key, lambda: self._look(*key))

    async def _look(self, whose: str, name: str) -> _Addresses:
        lane = self._slow if name in self._slow_names else self._fast
        slow, found = await lane.look(name, lambda: self._looks.waiters((whose, name)) > 0)
        if slow:
            self._slow_names.put(name, None)
        else:
            self._slow_names.pop(name)
        return found


def _look_up(host: str, cluster_domains: Sequence[str]) -> tuple[str, ...] | None:
    try:
        asked = socket.AI_CANONNAME
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=asked)
    except socket.gaierror as error:
        if (lack := shortage_in(error)) is not None:
            raise lack from None
        return () if error.errno in _NOT_FOUND else None
    except UnicodeError:
        return ()  # no such name can exist
    except OSError as error:
        if (lack := shortage_in(error)) is not None:
            raise lack from None
        return None
    addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
    names = {str(entry[3]).lower().rstrip(".") for entry in found} - {""}
    # Anything else than the completed name of a Service is another name.
    bare = host.rstrip(".")
    itself = {bare, *(f"{bare}.{domain}" for domain in cluster_domains)}
    return addresses if names <= itself else AliasedAddresses(addresses)
