# SPDX-License-Identifier: Apache-2.0
"""The resolver's point of view: asked afresh, shared as long as TTLs say, and who is asked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import dns.resolver
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from dnsworld.clock import run
from dnsworld.world import World
from postroom.dns.answers import Outcome, Question, RecordType
from postroom.dns.asking import recursion
from postroom.dns.asking.https import HttpsServer
from postroom.dns.asking.recursion import resolvers_of
from postroom.dns.asking.transport import ServerAddress
from unit.dns.asking.views import Views

ASKED = Question("example.com", RecordType.TXT)
MISSING = Question("none.example.com", RecordType.TXT)


def world() -> World:
    made = World()
    made.register("example.com", ttl=300, minimum=60).add("example.com", "TXT", "x")
    return made


async def questions(question: Question, *waits: float, shared: bool = True) -> list[int]:
    """How many questions the resolver got, at once and after each wait."""
    there = world()
    view = Views(there).resolver
    counts = list[int]()
    for wait in (0.0, *waits):
        await asyncio.sleep(wait)
        await (view.shared(question) if shared else view.answer(question))
        counts.append(there.transport.count(there.resolver_address.address))
    return counts


@pytest.mark.parametrize(("question", "kept"), [(ASKED, 300), (MISSING, 60)])
def test_what_is_shared_is_kept_as_long_as_its_ttl(question: Question, kept: int) -> None:
    assert run(questions(question, kept - 1, 2)) == [1, 1, 2]


def test_what_is_looked_at_now_is_never_answered_from_memory() -> None:
    assert run(questions(ASKED, 0, 0, shared=False)) == [1, 2, 3]


async def failing(wait: float) -> tuple[Outcome, Outcome]:
    there = world()
    there.resolver.dead = True
    view = Views(there).resolver
    first = await view.shared(ASKED)
    there.resolver.dead = False
    await asyncio.sleep(wait)
    return first.outcome, (await view.shared(ASKED)).outcome


def test_a_failure_is_kept_for_seconds() -> None:
    assert run(failing(4)) == (Outcome.TIMEOUT, Outcome.TIMEOUT)
    assert run(failing(6)) == (Outcome.TIMEOUT, Outcome.FOUND)


def test_equal_questions_of_one_moment_are_asked_once() -> None:
    async def story() -> int:
        there = world()
        view = Views(there).resolver
        found = await asyncio.gather(*(view.answer(ASKED) for _ in range(9)))
        assert {answer.values for answer in found} == {("x",)}
        return there.transport.count(there.resolver_address.address)

    assert run(story()) == 1


def test_what_is_forgotten_is_asked_again() -> None:
    async def story() -> int:
        there = world()
        view = Views(there).resolver
        await view.shared(ASKED)
        view.forget(ASKED)
        await view.shared(ASKED)
        return there.transport.count(there.resolver_address.address)

    assert run(story()) == 2


def test_the_second_resolver_is_asked_where_the_first_is_silent() -> None:
    there = world()
    second = there.add_resolver()
    there.resolver.dead = True
    found = run(Views(there).resolver.answer(ASKED))
    assert (found.values, found.authoritative) == (("x",), False)
    assert found.server == second.addresses[0]


def test_a_resolver_is_an_address_or_a_url() -> None:
    url = "https://resolver.example/dns-query"
    assert resolvers_of([("192.0.2.1", 53), (url, 443), ("::1", 5353)]) == (
        ServerAddress("192.0.2.1", 53),
        HttpsServer(url),
        ServerAddress("::1", 5353),
    )


@pytest.mark.parametrize("given", [None, []])
def test_without_settings_the_system_decides(given: list[tuple[str, int]] | None) -> None:
    found = resolvers_of(given)
    assert found
    assert all(isinstance(one, ServerAddress) and one.port == 53 for one in found)


def configured(text: str | None, directory: Path) -> list[str]:
    """Whom a system asks with this resolv.conf."""
    file = directory / "resolv.conf"
    file.unlink(missing_ok=True)
    if text is not None:
        file.write_bytes(text.encode("latin-1"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recursion, "_CONFIGURATION", file)
        return [one.address for one in resolvers_of(None) if isinstance(one, ServerAddress)]


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        (None, ["127.0.0.1"]),
        ("", ["127.0.0.1"]),
        ("search example.com\noptions ndots:5\n", ["127.0.0.1"]),
        ("nameserver 10.96.0.10\nsearch mail.svc.cluster.local\noptions ndots:5\n", ["10.96.0.10"]),
        ("nameserver 192.0.2.1\n nameserver\t2001:db8::1  # x\r\n", ["192.0.2.1", "2001:db8::1"]),
        ("nameserver fe80::1%eth0\n", ["fe80::1%eth0"]),
        ("#nameserver 192.0.2.1\n;nameserver 192.0.2.2\n", ["127.0.0.1"]),
        ("nameserver\nnameserver localhost\nnameservers 192.0.2.1\n\xff\n", ["127.0.0.1"]),
    ],
)
def test_the_system_says_in_resolv_conf_whom_to_ask(
    text: str | None, asked: list[str], tmp_path: Path
) -> None:
    assert configured(text, tmp_path) == asked


LINES = st.lists(
    st.tuples(
        st.sampled_from(
            ["nameserver ", "nameserver\t", " nameserver ", "# nameserver ", "search "]
        ),
        st.ip_addresses().map(str),
        st.sampled_from(["", " ", " ; later", "\r"]),
    ).map("".join),
    max_size=5,
)


@drawn(lines=LINES)
def test_resolv_conf_is_read_as_dnspython_reads_it(
    lines: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = "\n".join(lines)
    directory = tmp_path_factory.mktemp("etc")
    ours = configured(text, directory)
    try:
        theirs = dns.resolver.Resolver(str(directory / "resolv.conf")).nameservers
    except dns.resolver.NoResolverConfiguration:
        theirs = ["127.0.0.1"]
    assert ours == theirs
