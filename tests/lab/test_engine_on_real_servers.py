# SPDX-License-Identifier: Apache-2.0
"""The engine on real sockets against real servers: the lab's own, and Debian's Knot.

Covers, on each: a healthy domain verifies; a mistake is made by DNS UPDATE, its cause is told, the
fix is applied by DNS UPDATE as it is written, and the record is valid, with nothing else harmed.
With POSTROOM_REQUIRE_DNS_SERVER=1 the absence of Knot is a failure.
"""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import dns.asyncquery
import dns.message
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.update
import pytest

from closed_loop.loop import APEX, TRACKING, spec_of
from dnsworld.keys import rsa_public_key
from dnsworld.providers import Provider
from lab.test_zone_file_server import Knot, program
from loopback import own_address
from postroom.api.findings import Fix, FixAction, Severity
from postroom.api.sendingdomain import RecordState
from postroom.dns import planning
from postroom.dns.answers import Question, RecordType
from postroom.dns.asking.resolver import DnsAsker
from postroom.dns.asking.retrying import Timing
from postroom.dns.judging.fixes import as_removed
from postroom.dns.verifying.report import DomainReport
from postroom.dns.verifying.verify import verify
from postroom.lab.dns import LabDns
from postroom.lab.operator_process import free_port
from postroom.lab.zone_data import TTL, ZoneData, to_rdata

HOME = "mailprovider.net"
NAMESERVER = f"ns.{HOME}"
PROVIDER = Provider(
    domain=HOME,
    spf=f"_spf.{HOME}",
    address="192.0.2.25",
    dkim={"k1": f"k1.dkim.{HOME}"},
    keys={"k1": rsa_public_key(1)},
    return_path=f"bounces.{HOME}",
    exchanges=(f"mx1.{HOME}", f"mx2.{HOME}"),
)
PLAN = planning.plan(spec_of(APEX, PROVIDER), "mail", b"key", {})
#: Parents too: their servers are asked about the delegation.
ZONES = ("com", "net", HOME, APEX)

#: Name, type and value, as `postroom.dns.answers.Answer` writes it.
Record = tuple[str, str, str]

RECORDS: tuple[Record, ...] = (
    (PROVIDER.spf, "TXT", f"v=spf1 ip4:{PROVIDER.address} -all"),
    (PROVIDER.dkim["k1"], "TXT", PROVIDER.key_record("k1")),
    (PROVIDER.return_path, "MX", f"10 {PROVIDER.exchanges[0]}"),
    *((host, "A", PROVIDER.address) for host in (*PROVIDER.exchanges, TRACKING)),
    *((one.name, one.type.value, one.value) for one in PLAN.records),
)


@dataclass(frozen=True)
class Server:
    """Where a server listens that serves all zones and takes DNS UPDATE."""

    address: str
    port: int

    def asker(self) -> DnsAsker:
        """The engine's own client; the server plays the resolver too."""
        resolvers, timing = [(self.address, self.port)], Timing(question=2.0, look=4.0)
        return DnsAsker(resolvers, authoritative_port=self.port, timing=timing)

    async def there(self, name: str, kind: str) -> list[str]:
        """The values at a name."""
        asker = self.asker()
        answer = await asker.recursive(Question(name, RecordType(kind)))
        await asker.close()
        return [] if answer.aliases else list(answer.values)

    async def change(self, remove: list[Record], add: list[Record]) -> None:
        """Remove records, those without value altogether, and then add some."""
        update = dns.update.UpdateMessage(_zone_of([*remove, *add]))
        for name, kind, value in remove:
            if value:
                update.delete(f"{name}.", to_rdata(kind, value))
            else:
                update.delete(f"{name}.", kind)
        for name, kind, value in add:
            update.add(f"{name}.", TTL, to_rdata(kind, value))
        reply = await dns.asyncquery.tcp(update, self.address, timeout=60, port=self.port)
        assert reply.rcode() == dns.rcode.NOERROR, reply

    async def apply(self, fix: Fix) -> None:
        """Do what a fix says."""
        remove = list[Record]()
        for one in fix.remove:
            there = await self.there(one.name, one.type) if one.value else [""]
            gone = [value for value in there if one.value in ("", value, as_removed(value))]
            assert gone, f"{one} is not there"
            remove += [(one.name, one.type, value) for value in gone]
        adds = fix.action is not FixAction.DELETE and bool(fix.value)
        add = [(fix.name, fix.type, fix.value)] if adds else []
        if fix.presentation:
            written = dns.rdata.from_text(dns.rdataclass.IN, fix.type, fix.presentation)
            assert written == to_rdata(fix.type, fix.value)
        assert remove or add
        await self.change(remove, add)


def _zone_of(records: list[Record]) -> str:
    """The one zone that holds all records."""
    zones = {
        max((zone for zone in ZONES if f".{name}".endswith(f".{zone}")), key=len)
        for name, _, _ in records
    }
    (zone,) = zones
    return f"{zone}."


@asynccontextmanager
async def lab_server() -> AsyncIterator[Server]:
    """The lab's own server with the healthy zones."""
    address = own_address(21)
    zones = ZoneData(ZONES, NAMESERVER, address)
    for record in RECORDS:
        zones.add(*record)
    port = free_port()
    server = LabDns(zones, address, port)
    await server.start()
    try:
        yield Server(address, port)
    finally:
        await server.stop()


CONFIGURATION = """\
server:
    rundir: "{directory}"
    listen: {address}@{port}
log:
  - target: stderr
    any: warning
database:
    storage: "{directory}"
acl:
  - id: users
    address: 127.0.0.0/8
    action: update
template:
  - id: default
    storage: "{directory}"
    file: "%s.zone"
    zonefile-sync: -1
    acl: users
zone:
"""


def zone_text(apex: str, address: str) -> str:
    """The zone file of one of the healthy zones, with what stands at its delegations."""
    nameserver = f"{NAMESERVER}."
    lines = [
        f"{apex}. {TTL} SOA {nameserver} hostmaster.{apex}. 1 60 60 3600 {TTL}",
        f"{apex}. {TTL} NS {nameserver}",
        *(f"{one}. {TTL} NS {nameserver}" for one in ZONES if one.endswith(f".{apex}")),
    ]
    if NAMESERVER.endswith(f".{apex}"):
        lines.append(f"{nameserver} {TTL} A {address}")
    for name, kind, value in RECORDS:
        if name == apex or (name.endswith(f".{apex}") and apex in (HOME, APEX)):
            lines.append(f"{name}. {TTL} {kind} {to_rdata(kind, value).to_text()}")
    return "\n".join(lines) + "\n"


@contextmanager
def knot_server(directory: Path) -> Iterator[Server]:
    """A real Knot with the same zones."""
    address = own_address(22)
    port = free_port()
    for zone in ZONES:
        (directory / f"{zone}.zone").write_text(zone_text(zone, address))
    configuration, log = directory / "knot.conf", directory / "log"
    configuration.write_text(
        CONFIGURATION.format(directory=directory, address=address, port=port)
        + "".join(f"  - domain: {zone}\n" for zone in ZONES)
    )
    knotd = program("knotd", "knot")
    with log.open("wb") as stream:
        process = subprocess.Popen([knotd, "-c", str(configuration)], stdout=stream, stderr=stream)
    try:
        Knot(process, log, address, port).wait()
        yield Server(address, port)
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.fixture(params=["lab", pytest.param("knot", marks=pytest.mark.real_server)])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Server]:
    if request.param == "lab":
        async with lab_server() as running:
            yield running
    else:
        with knot_server(tmp_path) as running:
            yield running


@dataclass(frozen=True)
class Mistake:
    """What a user did to one record: it is gone unless `kept`, and these were added."""

    record: str
    code: str
    added: tuple[Record, ...] = ()
    kept: bool = False


def _of(id: str) -> planning.PlannedRecord:
    return next(record for record in PLAN.records if record.id == id)


S1, K1, MX1 = "dkim-s1", "dkim-k1", f"mx-{PROVIDER.exchanges[0]}"
MISTAKES = {
    "zone doubled": Mistake(
        S1, "NAME_ZONE_DOUBLED", ((f"{_of(S1).name}.{APEX}", "TXT", _of(S1).value),)
    ),
    "two spf": Mistake("spf", "SPF_MULTIPLE", ((APEX, "TXT", "v=spf1 mx ~all"),), kept=True),
    "truncated key": Mistake(S1, "VALUE_TRUNCATED", ((_of(S1).name, "TXT", _of(S1).value[:255]),)),
    "wrong cname": Mistake(
        K1, "CNAME_TARGET_WRONG", ((_of(K1).name, "CNAME", PROVIDER.exchanges[1]),)
    ),
    "no dmarc": Mistake("dmarc", "DMARC_MISSING"),
    "null mx": Mistake(MX1, "MX_NULL_MIXED", ((APEX, "MX", "0 ."),), kept=True),
    "quoted": Mistake(
        "ownership",
        "VALUE_QUOTED",
        ((_of("ownership").name, "TXT", f'"{_of("ownership").value}"'),),
    ),
    "txt for cname": Mistake(K1, "TYPE_TXT_FOR_CNAME", ((_of(K1).name, "TXT", _of(K1).value),)),
    "misspelt spf": Mistake(
        "spf", "SPF_SYNTAX", ((APEX, "TXT", f"v=spf1 include={PROVIDER.spf} ~all"),)
    ),
}


async def look(server: Server) -> DomainReport:
    asker = server.asker()
    report = await verify(PLAN, asker)
    await asker.close()
    return report


def not_valid(report: DomainReport) -> set[str]:
    return {record.id for record in report.records if record.state is not RecordState.VALID}


async def test_a_healthy_domain_verifies(server: Server) -> None:
    report = await look(server)
    assert not_valid(report) == set(), report
    assert (report.zone, report.nameservers) == (APEX, (NAMESERVER,))
    assert not report.resolver_only
    assert [finding for finding in report.findings if finding.severity is Severity.ERROR] == []


@pytest.mark.parametrize("name", sorted(MISTAKES))
async def test_the_cause_is_told_and_its_fix_works(server: Server, name: str) -> None:
    mistake = MISTAKES[name]
    one = _of(mistake.record)
    gone = [] if mistake.kept else [(one.name, one.type.value, one.value)]
    await server.change(gone, list(mistake.added))
    before = await look(server)
    assert mistake.record in not_valid(before)
    root = next(found for found in before.findings if found.subject == mistake.record)
    assert root.code == mistake.code, root
    assert root.fix is not None
    await server.apply(root.fix)
    after = await look(server)
    assert not_valid(after) == set(), after.findings
