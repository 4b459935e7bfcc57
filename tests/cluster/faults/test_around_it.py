# SPDX-License-Identifier: Apache-2.0
"""What is around the operator fails: DNS, mail servers, credentials, its disk, its memory, time."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from cluster.api_client import merge
from cluster.faults.scene import SMTP, Keeper, Place, assert_all_is_well
from cluster.objects import eventually
from cluster.post_office import PostOffice
from postroom.api.names import Kind
from postroom.lab.lab import SUBMISSION_PORT

#: It asks for the memory and the descriptors of one.
OPERATORS_ARE_REAL = True
#: What is asked for a look at while it cannot be had.
STANDING = ((Kind.SENDING_DOMAIN, "standing"), (Kind.MAIL_SERVER, "smtp"))
#: Each look is acknowledged by a write of its own.
LOOKED_AT = {name: 2 for _, name in STANDING}

#: A name server's answer to a query, in place of the one that it should be; None: silence.
Answers = Callable[[bytes, Callable[[bytes], bytes | None]], bytes | None]


def dead(query: bytes, honest: Callable[[bytes], bytes | None]) -> bytes | None:
    return None


def slow(query: bytes, honest: Callable[[bytes], bytes | None]) -> bytes | None:
    time.sleep(0.3)
    return honest(query)


def servfail(query: bytes, honest: Callable[[bytes], bytes | None]) -> bytes | None:
    reply = dns.message.make_response(dns.message.from_wire(query))
    reply.set_rcode(dns.rcode.SERVFAIL)
    return reply.to_wire()


def lying(query: bytes, honest: Callable[[bytes], bytes | None]) -> bytes | None:
    """A resolver that says of every text that there is none; the zone's own servers are asked
    without recursion, and know better."""
    asked = dns.message.from_wire(query)
    texts = asked.question and asked.question[0].rdtype == dns.rdatatype.TXT
    if not texts or not asked.flags & dns.flags.RD:
        return honest(query)
    reply = dns.message.make_response(asked)
    reply.set_rcode(dns.rcode.NXDOMAIN)
    return reply.to_wire()


@contextmanager
def answers(office: PostOffice, script: Answers) -> Iterator[None]:
    """Have the lab's DNS answer so, over UDP and TCP."""
    server = office.lab.dns
    honest = server.respond

    def respond(wire: bytes) -> bytes | None:
        return script(wire, honest)

    def converse(wire: bytes) -> Iterator[bytes]:
        reply = respond(wire)
        if reply is not None:
            yield reply

    server.respond, server.converse = respond, converse  # type: ignore[method-assign]
    try:
        yield
    finally:
        del server.respond, server.converse


def look(place: Place) -> None:
    """Have what stands looked at, and wait until that was tried."""
    for kind, name in STANDING:
        place.ask(kind, name)

    def tried() -> bool:
        return all(place.answered(kind, name) for kind, name in STANDING)

    eventually(tried, "what stands is looked at")


@pytest.mark.parametrize("script", [dead, slow, servfail, lying], ids=lambda each: each.__name__)
def test_dns_is(script: Answers, place: Place, office: PostOffice, keeper: Keeper) -> None:
    with answers(office, script):
        look(place)
    place.busy()
    assert_all_is_well(place, keeper, bystanders=LOOKED_AT)


def test_mail_servers_come_and_go(place: Place, office: PostOffice, keeper: Keeper) -> None:
    for _ in range(4):
        office.call(office.lab.smtp.stop)
        place.ask(Kind.MAIL_SERVER, "smtp")
        time.sleep(0.3)
        office.call(office.lab.smtp.start)
        time.sleep(0.7)
    place.busy()
    eventually(lambda: place.answered(Kind.MAIL_SERVER, "smtp"), "the server is looked at")
    assert_all_is_well(place, keeper, bystanders={"smtp": 5})


@contextmanager
def silence(office: PostOffice) -> Iterator[None]:
    """Have the submission server take connections and say nothing, while DNS answers."""
    servers = list[asyncio.Server]()

    async def hears(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def begin() -> None:
        await office.lab.smtp.stop()
        server = await asyncio.start_server(hears, office.reach.address, SUBMISSION_PORT)
        servers.append(server)

    async def end() -> None:
        servers[0].close()
        await office.lab.smtp.start()

    office.call(begin)
    try:
        yield
    finally:
        office.call(end)


def test_a_mail_server_is_silent(place: Place, office: PostOffice, keeper: Keeper) -> None:
    """What stands is looked at once, to its last deadline: silence counts after the second time."""
    with silence(office):
        look(place)
        place.assert_nothing_flipped()
    place.busy()
    eventually(lambda: place.answered(Kind.MAIL_SERVER, "smtp"), "the server is looked at")
    assert_all_is_well(place, keeper, bystanders={**LOOKED_AT, "smtp": 5})


def test_the_lab_is_stopped_and_goes_on(place: Place, office: PostOffice, keeper: Keeper) -> None:
    """Whoever stands still takes connections, and says nothing."""
    office.hold(8.0)
    place.busy()
    look(place)
    assert_all_is_well(place, keeper, more_writes=3, bystanders=LOOKED_AT, silent=True)


def test_a_secret_is_rotated_while_it_is_tried(
    place: Place, office: PostOffice, keeper: Keeper
) -> None:
    """The server knows the new password, the Secret still the old one, until it is refused: that is
    final at once, of that version of the Secret and of no other."""
    accounts, changed = office.lab.accounts, list[str]()
    accounts.open(place.address, "new")
    honest = accounts.authenticate

    def authenticate(address: str, password: str) -> object:
        if address == place.address and password != "new":
            changed.append(password)
            path = f"/api/v1/namespaces/{place.name}/secrets/login"
            merge(place.plane, path, {"stringData": {"password": "new"}})
        return honest(address, password)

    accounts.authenticate = authenticate  # type: ignore[method-assign, assignment]
    try:
        place.ask(Kind.MAIL_SERVER, "smtp")
        eventually(lambda: bool(changed), "the old password is tried")
        eventually(lambda: place.answered(Kind.MAIL_SERVER, "smtp"), "the server is looked at")
        look(place)
        eventually(place.stands, "it is Ready with the new password")
        place.busy()
        allowed = {"smtp": 5, "standing": 1}
        assert_all_is_well(place, keeper, more_writes=4, bystanders=allowed)
        assert changed == [place.name], "the password that was refused was sent once"
    finally:
        del accounts.authenticate


# -- the process ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Limit:
    """A limit on a running process; `value` from what it uses now."""

    kind: int
    value: Callable[[int], int]


def _mapped(pid: int) -> int:
    """Octets of address space that a process has."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * resource.getpagesize()


def _highest(pid: int) -> int:
    """The highest descriptor that a process has."""
    return max(int(each.name) for each in Path(f"/proc/{pid}/fd").iterdir())


LIMITS = {
    # No file can be written, not even the log: as on a disk that is full, or read-only.
    "disk full or read-only": Limit(resource.RLIMIT_FSIZE, lambda pid: 0),
    "memory nearly used up": Limit(resource.RLIMIT_AS, lambda pid: _mapped(pid) + 2**20),
    # What is open stays so: the connections to the API server.
    "descriptors used up": Limit(resource.RLIMIT_NOFILE, lambda pid: _highest(pid) + 1),
}


@pytest.mark.parametrize("limit", LIMITS.values(), ids=LIMITS)
def test_there_is_no_more(limit: Limit, place: Place, keeper: Keeper) -> None:
    ended, pid = keeper.ends, keeper.operator.pid
    before = resource.prlimit(pid, limit.kind)
    resource.prlimit(pid, limit.kind, (limit.value(pid), before[1]))
    try:
        for number in range(30):
            place.create(Kind.MAIL_SERVER, f"more-{number}", **SMTP)
        place.busy()
        time.sleep(3)
    finally:
        if keeper.operator.exit_code() is None:
            resource.prlimit(pid, limit.kind, before)
    more = {f"more-{number}": 4 for number in range(30)}
    starved = limit.kind != resource.RLIMIT_FSIZE
    assert_all_is_well(
        place, keeper, more_writes=2, bystanders=more, tracebacks=starved, silent=starved
    )
    assert keeper.ends - ended <= starved, keeper.operator.tail()


def test_the_operator_is_stopped_and_goes_on(place: Place, keeper: Keeper) -> None:
    """Alone, without a Lease to lose; with one, cluster/test_fencing.py has what becomes of it."""
    os.kill(keeper.operator.pid, signal.SIGSTOP)
    try:
        place.busy()
        time.sleep(6)
    finally:
        os.kill(keeper.operator.pid, signal.SIGCONT)
    assert_all_is_well(place, keeper)
