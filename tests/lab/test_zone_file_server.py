# SPDX-License-Identifier: Apache-2.0
"""The zone files of `postroom records -o bind` in real servers: Knot serves what BIND accepts.

Knot is asked for every single record. The servers are Debian's (packages knot and bind9-utils);
with POSTROOM_REQUIRE_DNS_SERVER=1 their absence is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rdatatype
import dns.rrset
import pytest

from loopback import own_address
from postroom.api.sendingdomain import Purpose
from postroom.dns.answers import RecordType
from postroom.dns.publishing.records import PublishedRecord, ZoneRecords, record_sets
from postroom.dns.publishing.zone_file import zone_file
from postroom.lab.operator_process import free_port

pytestmark = pytest.mark.real_server

ZONE = "example.com"
SEND = "send.example.com"
KEY = "MIIBIjANBgkqhkiG9w0B" + "AbC+/9xY" * 45 + "IDAQAB"
LONG_SPF = " ".join(["v=spf1", *(f"ip4:192.0.2.{number}" for number in range(60)), "~all"])


def record(name: str, kind: RecordType, value: str) -> PublishedRecord:
    return PublishedRecord(name, kind, value, ttl=300, purpose=Purpose.DKIM, comment='a; "b"')


RECORDS = (
    record(SEND, RecordType.TXT, LONG_SPF),
    record(SEND, RecordType.TXT, 'provider-verify="a;b" \\ $ORIGIN @ (c)'),
    record(SEND, RecordType.TXT, "".join(map(chr, range(256)))),
    record(SEND, RecordType.TXT, " "),
    record(SEND, RecordType.MX, "10 mx.example.net"),
    record(SEND, RecordType.MX, "20 mx.example.com"),
    record(ZONE, RecordType.MX, "0 ."),
    record(ZONE, RecordType.TXT, "v=spf1 -all"),
    record(f"s1._domainkey.{SEND}", RecordType.TXT, f"v=DKIM1; k=rsa; p={KEY}"),
    record(f"k1._domainkey.{SEND}", RecordType.CNAME, "k1.domainkey.example.net"),
    record(f"_dmarc.{SEND}", RecordType.TXT, "v=DMARC1; p=none; rua=mailto:a@example.com"),
    record("_domainkey.news.example.com", RecordType.NS, "ns.provider.example.net"),
    record("mx.example.com", RecordType.A, "192.0.2.1"),
    record("mx.example.com", RecordType.AAAA, "2001:db8::1"),
    record("_25._tcp.mx.example.com", RecordType.TLSA, "3 1 1 " + "ab" * 32),
)
PARTS = [ZoneRecords(ZONE, RECORDS)]
NAMESERVER = "ns1.example.net"
CONFIGURATION = """\
server:
    rundir: "{directory}"
    listen: {address}@{port}
log:
  - target: stderr
    any: warning
database:
    storage: "{directory}"
zone:
  - domain: {zone}
    storage: "{directory}"
    file: "{file}"
    zonefile-sync: -1
"""


def program(name: str, package: str) -> str:
    """Find a server's program, or skip; a failure where the variable demands it."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        reason = f"{name} is not installed (Debian package {package})"
        if os.environ.get("POSTROOM_REQUIRE_DNS_SERVER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


class Knot:
    """A running Knot that serves one zone file."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, address: str, port: int):
        self.process, self.log = process, log
        self.address, self.port = address, port

    def ask(self, name: str, kind: str) -> dns.message.Message:
        question = dns.message.make_query(f"{name}.", kind)
        return dns.query.tcp(question, self.address, port=self.port, timeout=60)

    def wait(self) -> None:
        """Wait until the zone is served; fail with the server's own words."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if self.ask(ZONE, "SOA").answer:
                    return
            except (OSError, dns.exception.DNSException):
                pass
            time.sleep(0.05)
        pytest.fail(f"Knot does not serve the zone: {self.log.read_text()}")


def serve(directory: Path, file: Path) -> Knot:
    address = own_address(7)
    port = free_port()
    configuration, log = directory / "knot.conf", directory / "log"
    configuration.write_text(
        CONFIGURATION.format(directory=directory, address=address, port=port, zone=ZONE, file=file)
    )
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [program("knotd", "knot"), "-c", str(configuration)], stdout=stream, stderr=stream
        )
    return Knot(process, log, address, port)


@pytest.fixture(params=["whole", "included"])
def knot(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Knot]:
    """Knot with our zone file: a whole zone, or included into the zone of somebody else."""
    file = tmp_path / "zone"
    if request.param == "whole":
        file.write_text(zone_file(PARTS, [NAMESERVER]))
    else:
        (tmp_path / "mail").write_text(zone_file(PARTS))
        file.write_text(
            f"{ZONE}. 3600 SOA {NAMESERVER}. hostmaster.{ZONE}. 7 3600 600 86400 300\n"
            f"{ZONE}. 3600 NS {NAMESERVER}.\n$INCLUDE {tmp_path / 'mail'}\n"
        )
    running = serve(tmp_path, file)
    try:
        running.wait()
        yield running
    finally:
        running.process.terminate()
        running.process.wait(timeout=60)


def values(rrset: dns.rrset.RRset) -> set[str]:
    """What a server answers, in the form of a published record's value."""
    if rrset.rdtype == dns.rdatatype.TXT:
        return {b"".join(one.strings).decode("latin-1") for one in rrset}
    plain = (" ".join(str(one).split(" ")) for one in rrset)
    return {one if one.endswith(" .") else one.removesuffix(".") for one in plain}


def test_knot_serves_every_record(knot: Knot) -> None:
    for wanted in record_sets(RECORDS):
        reply = knot.ask(wanted.name, wanted.type.value)
        # A delegation is answered by a referral.
        section = reply.authority if wanted.type is RecordType.NS else reply.answer
        assert len(section) == 1, wanted
        assert str(section[0].name) == f"{wanted.name}."
        assert section[0].ttl == 300
        assert values(section[0]) == set(wanted.values)


def test_bind_accepts_the_zone(tmp_path: Path) -> None:
    file, checked = tmp_path / "zone", tmp_path / "checked"
    file.write_text(zone_file(PARTS, [NAMESERVER]))
    checker = program("named-checkzone", "bind9-utils")
    ran = subprocess.run(
        [checker, "-i", "local", "-k", "fail", "-D", "-o", str(checked), ZONE, str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "OK"), ran
    # Without SOA and NS, and with the comments gone.
    assert len(checked.read_text().splitlines()) == len(RECORDS) + 2


def test_without_the_server_the_variable_makes_it_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("POSTROOM_REQUIRE_DNS_SERVER", raising=False)
    with pytest.raises(pytest.skip.Exception, match="Debian package knot"):
        program("no-such-server", "knot")
    monkeypatch.setenv("POSTROOM_REQUIRE_DNS_SERVER", "1")
    with pytest.raises(pytest.fail.Exception, match="Debian package knot"):
        program("no-such-server", "knot")
