# SPDX-License-Identifier: Apache-2.0
"""Dialling: names are looked up once, all addresses are judged, the first that answers wins, and
no socket is lost, whoever gives up when. Connects to loopback only."""

from __future__ import annotations

import asyncio
import errno
import gc
import ipaddress
import socket
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.hosts import AliasedAddresses
from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.api.reasons import Reason
from postroom.concurrency.acting import acting_for
from postroom.concurrency.shortage import Shortage
from postroom.mail.connect import dial
from postroom.mail.connect.dial import (
    Deadlines,
    Dialler,
    Failure,
    Resolve,
    SystemResolver,
    completing,
    interleaved,
    unreachable,
)
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.report import Endpoint

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """A port on 127.0.0.1, and on no other address of loopback."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    yield server.sockets[0].getsockname()[1]
    server.close()
    await asyncio.sleep(0.01)
    gc.collect()  # a lost socket would warn here


def names(*addresses: str) -> Resolve:
    asked = 0

    async def resolve(host: str) -> tuple[str, ...] | None:
        nonlocal asked
        asked += 1
        assert asked == 1, "a name is looked up once"
        return addresses

    return resolve


def dialler(port: int, resolve: Resolve, connect: float = 0.5) -> Dialler:
    policy = DialPolicy(LOOPBACK, frozenset({port}))
    return Dialler(policy, resolve, Deadlines(resolve=0.1, connect=connect))


def endpoint(port: int) -> Endpoint:
    return Endpoint("mail.example.com", port, TLSMode.NONE, "mail.example.com", None, "mail")


async def failure(dialler: Dialler, port: int) -> Failure:
    with pytest.raises(Failure) as caught:
        await dialler.dial(endpoint(port))
    return caught.value


async def test_the_judged_address_is_dialled(port: int) -> None:
    opened = await dialler(port, names("127.0.0.1")).dial(endpoint(port))
    assert opened.getpeername() == ("127.0.0.1", port)
    assert not opened.getblocking()
    opened.close()


async def test_the_next_address_is_tried_where_one_refuses(port: int) -> None:
    opened = await dialler(port, names("127.0.0.9", "127.0.0.1")).dial(endpoint(port))
    assert opened.getpeername()[0] == "127.0.0.1"
    opened.close()


async def test_all_refuse(port: int) -> None:
    found = await failure(dialler(port, names("127.0.0.9", "127.0.0.8")), port)
    assert (found.stage, found.reason) == (ProbeStage.CONNECT, Reason.CONNECTION_REFUSED)


@pytest.fixture
async def full() -> AsyncIterator[tuple[str, int]]:
    """A listener whose queue is full: it answers nothing more."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.7", 0))
        listening.listen(0)
        place = listening.getsockname()
        waiting = []
        for _ in range(4):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(place)
            waiting.append(one)
        await asyncio.sleep(0.05)
        yield place
        for one in waiting:
            one.close()


async def test_an_address_that_does_not_answer(full: tuple[str, int]) -> None:
    address, port = full
    found = await failure(dialler(port, names(address), connect=0.2), port)
    assert (found.stage, found.reason) == (ProbeStage.CONNECT, Reason.CONNECTION_TIMEOUT)
    gc.collect()


async def test_a_cancelled_dial_loses_no_socket(full: tuple[str, int]) -> None:
    address, port = full
    task = asyncio.create_task(dialler(port, names(address)).dial(endpoint(port)))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gc.collect()


@pytest.mark.parametrize("turns", range(8))
async def test_a_dial_cancelled_at_any_moment_loses_no_socket(port: int, turns: int) -> None:
    resolve = names("127.0.0.1", "127.0.0.9")
    task = asyncio.create_task(dialler(port, resolve).dial(endpoint(port)))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    (result,) = await asyncio.gather(task, return_exceptions=True)
    if isinstance(result, socket.socket):
        result.close()
    await asyncio.sleep(0.01)
    gc.collect()


async def test_a_name_that_takes_too_long() -> None:
    async def resolve(host: str) -> tuple[str, ...] | None:
        await asyncio.sleep(60)
        return None

    found = await failure(dialler(587, resolve), 587)
    assert (found.stage, found.reason) == (ProbeStage.RESOLVE, Reason.LOOKUP_FAILED)
    assert not found.conclusive


async def test_one_denied_address_denies_the_name(port: int) -> None:
    found = await failure(dialler(port, names("127.0.0.1", "169.254.169.254")), port)
    assert (found.stage, found.reason) == (ProbeStage.GUARD, Reason.ADDRESS_DENIED)


async def test_a_denied_port_is_not_even_looked_up() -> None:
    async def resolve(host: str) -> tuple[str, ...] | None:
        raise AssertionError("looked up")

    found = await failure(dialler(587, resolve), 6443)
    assert (found.stage, found.reason) == (ProbeStage.GUARD, Reason.PORT_DENIED)


@pytest.mark.parametrize(
    ("numbers", "reason", "word"),
    [
        ([errno.ECONNREFUSED], Reason.CONNECTION_REFUSED, "Nothing listens"),
        ([errno.ECONNREFUSED, errno.ETIMEDOUT], Reason.CONNECTION_TIMEOUT, "does not answer"),
        ([errno.ENETUNREACH], Reason.CONNECTION_TIMEOUT, "no route"),
        ([errno.ENETUNREACH, errno.ECONNREFUSED], Reason.CONNECTION_REFUSED, "Nothing listens"),
        ([errno.ECONNRESET], Reason.CONNECTION_REFUSED, "resets the connection at once"),
        ([errno.ETIMEDOUT, errno.ENETUNREACH], Reason.CONNECTION_TIMEOUT, "does not answer"),
    ],
)
def test_what_errors_mean(numbers: list[int], reason: Reason, word: str) -> None:
    found = unreachable([OSError(number, "x") for number in numbers], "mail.example.com:587")
    assert found.reason is reason
    assert word in found.message


@given(st.lists(st.ip_addresses().map(str), max_size=12))
def test_interleaving_loses_and_invents_nothing(addresses: list[str]) -> None:
    found = interleaved(addresses)
    assert sorted(found) == sorted(addresses)
    assert found[:1] == addresses[:1]


def test_ip_versions_take_turns() -> None:
    found = interleaved(["2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2", "192.0.2.3"])
    assert found == ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2", "192.0.2.3"]


async def test_the_system_is_asked_in_threads_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    asked_in = []

    def lookup(*_: object, **__: object) -> list[tuple[object, ...]]:
        asked_in.append(threading.current_thread().name)
        return [(0, 0, 0, "", ("192.0.2.1", 0)), (0, 0, 0, "", ("192.0.2.1", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert await SystemResolver(1)("mail.example.com") == ("192.0.2.1",)
    assert asked_in[0].startswith("resolve")


@pytest.mark.parametrize(
    ("host", "named", "aliased"),
    [
        ("postfix.mail.svc", "postfix.mail.svc.cluster.local", False),
        ("postfix.mail.svc.cluster.local.", "Postfix.mail.svc.cluster.local", False),
        ("postfix.mail.svc", "", False),
        ("postfix.mail.svc", "intranet.example.com", True),
        ("postfix.mail.svc", "postfix.mail.svc.evil.example", True),
        ("postfix.mail.svc", "redis.other.svc.cluster.local", True),
    ],
)
async def test_an_alias_is_told_from_a_name_that_was_completed(
    monkeypatch: pytest.MonkeyPatch, host: str, named: str, aliased: bool
) -> None:
    def lookup(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, named, ("10.0.0.7", 0)), (0, 0, 0, "", ("10.0.0.8", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    found = await SystemResolver(1)(host)
    assert found == ("10.0.0.7", "10.0.0.8")
    assert isinstance(found, AliasedAddresses) is aliased


async def test_a_search_list_may_complete_a_service_by_another_domain(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lookup(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(0, 0, 0, "postfix.mail.svc.k8s.corp", ("10.0.0.7", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    for domains, aliased in ((("k8s.corp",), False), (("cluster.local",), True)):
        found = await SystemResolver(1, cluster_domains=domains)("postfix.mail.svc")
        assert isinstance(found, AliasedAddresses) is aliased


@pytest.mark.parametrize(
    ("host", "known", "found", "asked"),
    [
        ("a.mail.svc", {"a.mail.svc.k8s.corp": ("10.0.0.7",)}, ("10.0.0.7",), 1),
        ("a.mail.svc", {"a.mail.svc.k8s.corp": None, "a.mail.svc": ("1.1.1.1",)}, None, 1),
        ("a.mail.svc", {"a.mail.svc": ("1.1.1.1",)}, ("1.1.1.1",), 2),
        ("a.mail.svc", {}, (), 2),
        ("a.mail.svc.k8s.corp", {"a.mail.svc.k8s.corp": ("10.0.0.7",)}, ("10.0.0.7",), 1),
        ("mx.example.com", {"mx.example.com": ("1.1.1.1",)}, ("1.1.1.1",), 1),
    ],
)
async def test_services_are_looked_up_by_their_names_in_full(
    host: str,
    known: dict[str, tuple[str, ...] | None],
    found: tuple[str, ...] | None,
    asked: int,
) -> None:
    looks = []

    async def resolve(name: str) -> tuple[str, ...] | None:
        looks.append(name)
        return known.get(name, ())

    assert await completing(resolve, ("k8s.corp", "cluster.local"))(host) == found
    assert len(looks) == asked


async def test_an_external_name_leads_nowhere_inside() -> None:
    """A Service of type ExternalName is answered for with a CNAME: judged as outside."""
    host = "postfix.mail.svc.cluster.local"

    async def resolve(name: str) -> tuple[str, ...]:
        return AliasedAddresses(["10.0.0.7"])

    with pytest.raises(Failure) as caught:
        made = Dialler(DialPolicy(), resolve, Deadlines())
        await made.dial(Endpoint(host, 25, TLSMode.NONE, host, None, "mail"))
    assert caught.value.reason is Reason.ADDRESS_DENIED
    assert "(private)" in caught.value.message


@pytest.mark.parametrize(
    ("number", "found"),
    [(socket.EAI_AGAIN, None), (socket.EAI_NONAME, ()), (socket.EAI_FAIL, None)],
)
async def test_names_that_the_system_does_not_find(
    monkeypatch: pytest.MonkeyPatch, number: int, found: tuple[str, ...] | None
) -> None:
    def lookup(*_: object, **__: object) -> list[tuple[object, ...]]:
        raise socket.gaierror(number, "x")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert await SystemResolver(1)("mail.example.com") == found


BLACKHOLE = "2001:db8::1"


@pytest.fixture
def black_hole(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Packets to `BLACKHOLE` are lost; returns what was dialled."""
    dialled = []
    really = dial._open

    async def opened(address: str, port: int) -> socket.socket:
        dialled.append(address)
        if address == BLACKHOLE:
            await asyncio.sleep(3600)
        return await really(address, port)

    monkeypatch.setattr(dial, "_open", opened)
    return dialled


async def test_a_network_that_loses_ipv6_costs_a_quarter_of_a_second(
    port: int, black_hole: list[str]
) -> None:
    policy = DialPolicy((*LOOPBACK, ipaddress.ip_network("2001:db8::/32")), frozenset({port}))
    deadlines = Deadlines(connect=5)
    began = asyncio.get_running_loop().time()
    opened = await Dialler(policy, names(BLACKHOLE, "127.0.0.1"), deadlines).dial(endpoint(port))
    took = asyncio.get_running_loop().time() - began
    assert opened.getpeername()[0] == "127.0.0.1"
    opened.close()
    assert black_hole == [BLACKHOLE, "127.0.0.1"]
    assert 0.2 <= took < 2


async def test_a_refused_address_does_not_wait_for_its_turn(port: int) -> None:
    began = asyncio.get_running_loop().time()
    opened = await dialler(port, names("127.0.0.9", "127.0.0.1")).dial(endpoint(port))
    opened.close()
    assert asyncio.get_running_loop().time() - began < 0.2


class System:
    """Stands for getaddrinfo: dead names answer when `answer` is called."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self._answers = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", self._look_up)

    def _look_up(self, host: str, *_: object, **__: object) -> list[tuple[object, ...]]:
        self.asked.append(host)
        if host.startswith("dead"):
            self._answers.wait(10)
        return [(0, 0, 0, "", ("192.0.2.1", 0))]

    def answer(self) -> None:
        self._answers.set()

    async def has_asked(self, count: int) -> None:
        """Wait until so many names were looked up; threads begin when they are let."""
        async with asyncio.timeout(20):
            while len(self.asked) < count:  # noqa: ASYNC110 - threads tell nobody
                await asyncio.sleep(0.01)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> Iterator[System]:
    made = System(monkeypatch)
    yield made
    made.answer()


async def give_up(resolver: SystemResolver, host: str) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await resolver(host)


async def test_a_name_is_looked_up_once_at_a_time(system: System) -> None:
    resolver = SystemResolver(4)
    waiting = [
        asyncio.create_task(resolver(one)) for one in ("dead.example.com", "DEAD.Example.com")
    ]
    await system.has_asked(1)
    waiting[0].cancel()
    await asyncio.sleep(0)
    system.answer()
    assert await waiting[1] == ("192.0.2.1",)
    assert system.asked == ["dead.example.com"]
    await resolver("dead.example.com")
    assert len(system.asked) == 2, "an answer is not kept"


async def test_who_gives_up_and_comes_back_takes_no_second_thread(system: System) -> None:
    resolver = SystemResolver(4)
    first = asyncio.create_task(resolver("dead.example.com"))
    await system.has_asked(1)
    first.cancel()
    for _ in range(3):
        await give_up(resolver, "dead.example.com")
    assert system.asked == ["dead.example.com"]


async def test_what_nobody_waits_for_any_more_is_not_begun(system: System) -> None:
    resolver = SystemResolver(1)
    first = asyncio.create_task(resolver("dead1.example.com"))
    await system.has_asked(1)
    first.cancel()
    for number in range(2, 6):
        await give_up(resolver, f"dead{number}.example.com")
    system.answer()
    assert await resolver("mail.example.com") == ("192.0.2.1",)
    assert system.asked == ["dead1.example.com", "mail.example.com"]


async def test_slow_names_leave_threads_to_the_others(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "_SLOW", 0.02)
    resolver = SystemResolver(2, 1)

    def look() -> list[asyncio.Task[tuple[str, ...] | None]]:
        return [asyncio.create_task(resolver(f"dead{one}.example.com")) for one in range(2)]

    slow = look()
    await system.has_asked(2)
    await asyncio.sleep(0.05)
    system.answer()
    await asyncio.gather(*slow)
    system._answers.clear()
    # Both are known to be slow now: one waits for the other, and for nobody else.
    slow = look()
    await system.has_asked(3)
    async with asyncio.timeout(5):
        assert await resolver("mail.example.com") == ("192.0.2.1",)
    assert len(system.asked) == 4
    system.answer()
    await asyncio.gather(*slow)


async def test_slow_names_are_forgotten_in_time(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial, "_SLOW", 0.0)
    monkeypatch.setattr(dial, "_SLOW_NAMES", 10)
    resolver = SystemResolver(2, 1)
    for number in range(30):
        await resolver(f"mail{number}.example.com")
    await asyncio.sleep(0)
    assert len(resolver._slow_names) == 10
    assert list(resolver._looks) == []


async def test_dead_names_of_one_party_leave_threads_to_another(system: System) -> None:
    resolver = SystemResolver(2)
    with acting_for("a"):
        dead = [asyncio.create_task(resolver(f"dead{number}.example.com")) for number in range(50)]
    await system.has_asked(2)
    with acting_for("b"):
        async with asyncio.timeout(5):
            assert await resolver("mail.example.com") == ("192.0.2.1",)
    assert len(system.asked) == 3
    for look in dead:
        look.cancel()
    system.answer()
    await asyncio.gather(*dead, return_exceptions=True)


async def test_a_name_that_another_party_waits_for_is_looked_up_at_once(system: System) -> None:
    resolver = SystemResolver(1)
    with acting_for("a"):
        busy = [
            asyncio.create_task(resolver(name)) for name in ("dead.example.com", "mail.example.com")
        ]
    await system.has_asked(1)
    with acting_for("b"):
        async with asyncio.timeout(5):
            assert await resolver("mail.example.com") == ("192.0.2.1",)
    system.answer()
    await asyncio.gather(*busy)


async def test_a_system_without_descriptors_could_not_look(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(*_: object, **__: object) -> list[tuple[object, ...]]:
        raise OSError(errno.EMFILE, "x")

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(Shortage, match="short of descriptors"):
        await SystemResolver(1)("mail.example.com")
