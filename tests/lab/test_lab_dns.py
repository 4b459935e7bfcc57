# SPDX-License-Identifier: Apache-2.0
"""The lab's DNS under the tools that publish into zones: transfers, updates, signatures.

Covers: AXFR in one message and in many, signed and not; UPDATE with every kind of prerequisite and
change, all or nothing; TTLs as external-dns compares them; signatures that are wrong; and the same
with dig, kdig, nsupdate and knsupdate (Debian's bind9-dnsutils and knot-dnsutils) where they are.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.tsigkeyring
import dns.update
import dns.zone
import pytest

from loopback import own_address
from postroom.lab.dns import KEY_NAME, KEY_SECRET, LabDns
from postroom.lab.operator_process import free_port
from postroom.lab.zone_data import TTL, ZoneData

ZONE = "example.com"
ADDRESS = own_address(7)
KEYS = dns.tsigkeyring.from_text({KEY_NAME: KEY_SECRET})
LONG = "v=DKIM1; k=rsa; p=" + "AbC+/9xY" * 60
SIGNED = pytest.mark.parametrize(
    "algorithm", [None, dns.tsig.HMAC_SHA256, dns.tsig.HMAC_SHA512, dns.tsig.HMAC_SHA1], ids=str
)


class Running:
    """A server with two zones, one below the other, in a thread of its own."""

    def __init__(self) -> None:
        self.zones = ZoneData((ZONE, f"sub.{ZONE}"), "ns.lab.example.org", ADDRESS)
        self.zones.add(ZONE, "TXT", "v=spf1 -all")
        self.zones.add(f"www.{ZONE}", "CNAME", f"web.{ZONE}")
        self.zones.add(f"s1._domainkey.{ZONE}", "TXT", LONG)
        self.zones.add(f"in.sub.{ZONE}", "A", "192.0.2.9")
        self.port = free_port()
        self.server = LabDns(self.zones, ADDRESS, self.port)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self.server.start(), self._loop).result(60)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def transfer(
        self,
        apex: str = ZONE,
        algorithm: dns.name.Name | None = None,
        payload: int | None = None,
    ) -> dns.zone.Zone:
        zone = dns.zone.Zone(apex)
        query = dns.message.make_query(apex, "AXFR", payload=payload)
        if algorithm is not None:
            query.use_tsig(KEYS, algorithm=algorithm)
        dns.query.inbound_xfr(ADDRESS, zone, query=query, port=self.port, timeout=60)
        return zone

    def send(self, update: dns.message.Message, *, tcp: bool = False) -> dns.rcode.Rcode:
        ask = dns.query.tcp if tcp else dns.query.udp
        return ask(update, ADDRESS, port=self.port, timeout=60).rcode()


@pytest.fixture
def lab() -> Iterator[Running]:
    running = Running()
    running.start()
    yield running
    running.stop()


def texts(zone: dns.zone.Zone, name: str, kind: str) -> set[str]:
    found = zone.get_rdataset(name, kind)
    return set() if found is None else {rdata.to_text() for rdata in found}


@SIGNED
def test_a_zone_is_given_away_whole(lab: Running, algorithm: dns.name.Name | None) -> None:
    zone = lab.transfer(algorithm=algorithm)
    assert texts(zone, "@", "TXT") == {'"v=spf1 -all"'}
    assert texts(zone, "@", "NS") == {"ns.lab.example.org."}
    assert texts(zone, "www", "CNAME") == {"web"}
    (key,) = zone.find_rdataset("s1._domainkey", "TXT")
    assert b"".join(key.strings).decode() == LONG
    assert zone.get_soa().serial == int(lab.zones.get(ZONE, "SOA")[0].split()[2])
    # The cut is of both zones, what is behind it of one alone.
    assert texts(zone, "sub", "NS") == {"ns.lab.example.org."}
    assert zone.get_node("in.sub") is None
    assert texts(lab.transfer(f"sub.{ZONE}", algorithm), "in", "A") == {"192.0.2.9"}


@SIGNED
def test_a_large_zone_takes_several_messages(lab: Running, algorithm: dns.name.Name | None) -> None:
    for number in range(3000):
        lab.zones.add(f"h{number}.{ZONE}", "TXT", f"{number} " + "x" * 60)
    # With EDNS, as dig asks, whose size is about UDP alone.
    for payload in (None, 1232):
        zone = lab.transfer(algorithm=algorithm, payload=payload)
        assert {texts(zone, f"h{number}", "TXT") == set() for number in range(3000)} == {False}


def test_a_transfer_begins_and_ends_with_the_soa(lab: Running) -> None:
    query = dns.message.make_query(ZONE, "AXFR")
    wire = query.to_wire()
    with socket.create_connection((ADDRESS, lab.port), 60) as connection:
        connection.sendall(struct.pack("!H", len(wire)) + wire)
        (length,) = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
        reply = dns.message.from_wire(
            connection.recv(length, socket.MSG_WAITALL), one_rr_per_rrset=True
        )
    assert reply.flags & dns.flags.AA
    assert reply.answer[0].rdtype == reply.answer[-1].rdtype == dns.rdatatype.SOA
    assert sum(records.rdtype == dns.rdatatype.SOA for records in reply.answer) == 2


@pytest.mark.parametrize("kind", ["AXFR", "IXFR"])
def test_a_transfer_is_refused_where_there_is_none(lab: Running, kind: str) -> None:
    for name in (f"www.{ZONE}", "example.net", "com"):
        query = dns.message.make_query(name, kind)
        answer = dns.query.tcp(query, ADDRESS, port=lab.port, timeout=60)
        assert (answer.rcode(), answer.answer) == (dns.rcode.NOTAUTH, [])
    query = dns.message.make_query(ZONE, kind)
    answer = dns.query.udp(query, ADDRESS, port=lab.port, timeout=60)
    assert (answer.rcode(), answer.answer) == (dns.rcode.NOTIMP, [])


def update(algorithm: dns.name.Name | None = None, zone: str = ZONE) -> dns.update.UpdateMessage:
    signing: dict[str, Any] = {}
    if algorithm is not None:
        signing = {"keyring": KEYS, "keyalgorithm": algorithm}
    return dns.update.UpdateMessage(zone, **signing)


@SIGNED
def test_records_come_change_and_go(lab: Running, algorithm: dns.name.Name | None) -> None:
    serial = lab.zones.get(ZONE, "SOA")
    create = update(algorithm)
    create.add("new", 3600, "TXT", '"one" "two"')
    create.add("new", 3600, "MX", "10 mx.example.net.")
    assert lab.send(create) == dns.rcode.NOERROR
    zone = lab.transfer()
    assert texts(zone, "new", "TXT") == {'"onetwo"'}
    assert texts(zone, "new", "MX") == {"10 mx.example.net."}
    assert zone.find_rdataset("new", "TXT").ttl == 3600
    change = update(algorithm)
    change.delete("new", "TXT", '"onetwo"')
    change.add("new", 60, "TXT", '"three"')
    assert lab.send(change, tcp=True) == dns.rcode.NOERROR
    zone = lab.transfer()
    assert texts(zone, "new", "TXT") == {'"three"'}
    assert zone.find_rdataset("new", "TXT").ttl == 60
    remove = update(algorithm)
    remove.delete("new")
    assert lab.send(remove) == dns.rcode.NOERROR
    assert lab.transfer().get_node("new") is None
    assert lab.zones.get(ZONE, "SOA") != serial


def test_an_edit_is_seen_at_once_whatever_its_ttl(lab: Running) -> None:
    create = update()
    create.add("new", 86400, "A", "192.0.2.1")
    lab.send(create)
    query = dns.message.make_query(f"new.{ZONE}", "A")
    answer = dns.query.udp(query, ADDRESS, port=lab.port, timeout=60)
    assert answer.answer[0].ttl == TTL


def test_changes_happen_in_their_order(lab: Running) -> None:
    change = update()
    change.add("new", 1, "A", "192.0.2.1")
    change.delete("new", "A")
    change.add("new", 1, "A", "192.0.2.2")
    assert lab.send(change) == dns.rcode.NOERROR
    assert lab.zones.get(f"new.{ZONE}", "A") == ["192.0.2.2"]


PRESENT, ABSENT = "present", "absent"


@pytest.mark.parametrize(
    ("method", "args", "expected"),
    [
        (PRESENT, ("www",), dns.rcode.NOERROR),
        (PRESENT, ("none",), dns.rcode.NXDOMAIN),
        (PRESENT, ("_domainkey",), dns.rcode.NXDOMAIN),  # names below it are not it
        (PRESENT, ("@", "TXT"), dns.rcode.NOERROR),
        (PRESENT, ("@", "SOA"), dns.rcode.NOERROR),
        (PRESENT, ("@", "MX"), dns.rcode.NXRRSET),
        (PRESENT, ("@", "TXT", '"v=spf1 -all"'), dns.rcode.NOERROR),
        (PRESENT, ("@", "TXT", '"v=spf1 ~all"'), dns.rcode.NXRRSET),
        (PRESENT, ("@", "TXT", '"v=spf1 -all"', '"more"'), dns.rcode.NXRRSET),
        (ABSENT, ("none",), dns.rcode.NOERROR),
        (ABSENT, ("www",), dns.rcode.YXDOMAIN),
        (ABSENT, ("@", "MX"), dns.rcode.NOERROR),
        (ABSENT, ("@", "TXT"), dns.rcode.YXRRSET),
    ],
)
def test_prerequisites_decide_over_the_whole(
    lab: Running, method: str, args: tuple[str, ...], expected: dns.rcode.Rcode
) -> None:
    change = update()
    getattr(change, method)(*args)
    change.add("new", 1, "A", "192.0.2.1")
    assert lab.send(change) == expected
    assert lab.zones.get(f"new.{ZONE}", "A") == (["192.0.2.1"] if expected == 0 else [])


def test_all_is_done_or_nothing(lab: Running) -> None:
    change = update()
    change.add("new", 1, "A", "192.0.2.1")
    change.update.append(dns.rrset.from_text("new.example.net.", 1, "IN", "A", "192.0.2.1"))
    assert lab.send(change) == dns.rcode.NOTZONE
    assert lab.zones.get(f"new.{ZONE}", "A") == []


@pytest.mark.parametrize("zone", ["example.net", f"www.{ZONE}", "com"])
def test_a_zone_that_is_not_served_is_not_changed(lab: Running, zone: str) -> None:
    change = update(zone=zone)
    change.add("new", 1, "A", "192.0.2.1")
    before = list(lab.zones.records())
    assert lab.send(change) == dns.rcode.NOTAUTH
    assert list(lab.zones.records()) == before


def test_a_zone_keeps_its_soa_and_a_name_server(lab: Running) -> None:
    change = update()
    change.delete("@")
    change.delete("@", "NS")
    change.delete("@", "SOA")
    change.delete("@", "NS", "ns.lab.example.org.")
    assert lab.send(change) == dns.rcode.NOERROR
    assert lab.zones.get(ZONE, "NS") == ["ns.lab.example.org"]
    assert lab.zones.get(ZONE, "SOA")
    assert lab.zones.get(ZONE, "TXT") == []


def test_an_alias_stands_alone_and_is_replaced(lab: Running) -> None:
    change = update()
    change.add("www", 1, "A", "192.0.2.1")
    change.add("www", 1, "CNAME", "other")
    change.add("@", 1, "CNAME", "other")
    assert lab.send(change) == dns.rcode.NOERROR
    assert lab.zones.get(f"www.{ZONE}", "A") == []
    assert lab.zones.get(f"www.{ZONE}", "CNAME") == [f"other.{ZONE}"]
    assert lab.zones.get(ZONE, "CNAME") == []


def signed(name: str, secret: str, *, seconds_ago: int = 0) -> bytes:
    query = dns.message.make_query(ZONE, "AXFR")
    query.use_tsig(dns.tsigkeyring.from_text({name: secret}))
    with pytest.MonkeyPatch.context() as clock:
        then = time.time() - seconds_ago
        clock.setattr("dns.message.time.time", lambda: then)
        return query.to_wire()


@pytest.mark.parametrize(
    ("wire", "error"),
    [
        (signed("other", KEY_SECRET), dns.rcode.BADKEY),
        (signed(KEY_NAME, "d3Jvbmc="), dns.rcode.BADSIG),
        (signed(KEY_NAME, KEY_SECRET, seconds_ago=3600), dns.rcode.BADTIME),
    ],
    ids=["BADKEY", "BADSIG", "BADTIME"],
)
def test_a_wrong_signature_is_refused(lab: Running, wire: bytes, error: dns.rcode.Rcode) -> None:
    with socket.create_connection((ADDRESS, lab.port), 60) as connection:
        connection.sendall(struct.pack("!H", len(wire)) + wire)
        (length,) = struct.unpack("!H", connection.recv(2, socket.MSG_WAITALL))
        reply = dns.message.from_wire(connection.recv(length, socket.MSG_WAITALL), keyring=False)
    assert reply.answer == []
    assert reply.tsig is not None
    assert (reply.rcode(), reply.tsig[0].error) == (dns.rcode.NOTAUTH, error)


def test_an_update_with_a_wrong_signature_changes_nothing(lab: Running) -> None:
    wrong = dns.tsigkeyring.from_text({KEY_NAME: "d3Jvbmc="})
    change = dns.update.UpdateMessage(ZONE, keyring=wrong)
    change.add("new", 1, "A", "192.0.2.1")
    with pytest.raises(dns.tsig.PeerBadSignature):
        lab.send(change)
    assert lab.zones.get(f"new.{ZONE}", "A") == []


async def run(tool: str, *args: str, text: str = "") -> str:
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed (Debian: bind9-dnsutils, knot-dnsutils)")
    process = await asyncio.create_subprocess_exec(
        *(path, *args),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(text.encode()), 120)
    return out.decode()


KEY = f"hmac-sha256:{KEY_NAME}:{KEY_SECRET}"


@pytest.mark.parametrize("key", [(), ("-y", KEY)], ids=["plain", "signed"])
@pytest.mark.parametrize("tool", ["dig", "kdig"])
async def test_tools_transfer_a_zone(lab: Running, tool: str, key: tuple[str, ...]) -> None:
    said = await run(tool, f"@{ADDRESS}", "-p", str(lab.port), *key, ZONE, "AXFR")
    assert '"v=spf1 -all"' in said
    assert said.count("SOA") >= 2
    assert "fail" not in said.lower()
    assert "error" not in said.lower().replace("noerror", "")


@pytest.mark.parametrize("signs", [False, True], ids=["plain", "signed"])
@pytest.mark.parametrize("tool", ["nsupdate", "knsupdate"])
async def test_tools_update_a_zone(lab: Running, tool: str, signs: bool) -> None:
    lines = [
        f"server {ADDRESS} {lab.port}",
        f"zone {ZONE}.",
        *([f"key hmac-sha256:{KEY_NAME} {KEY_SECRET}"] * signs),
        f"prereq nxrrset new.{ZONE}. TXT",
        f'update add new.{ZONE}. 300 TXT "hello"',
        f"update delete {ZONE}. TXT",
        "send",
    ]
    said = await run(tool, text="\n".join(lines) + "\n")
    assert lab.zones.get(f"new.{ZONE}", "TXT") == ["hello"], said
    assert lab.zones.get(ZONE, "TXT") == []
    said = await run(tool, text="\n".join(lines) + "\n")
    assert "YXRRSET" in said


async def test_records_of_a_guide_are_published_as_the_guides_say(
    lab: Running, tmp_path: Path
) -> None:
    if shutil.which("nsupdate") is None:
        pytest.skip("nsupdate is not installed (Debian: bind9-dnsutils)")
    text = (Path(__file__).parents[2] / "docs" / "guides" / "README.md").read_text("utf-8")
    (block,) = re.findall(r"```console\n(\$ awk .*?nsupdate\n)```", text, re.DOTALL)
    shown = r"server 127.0.0.2 2053\n"
    assert shown in block
    block = block.replace(shown, rf"server {ADDRESS} {lab.port}\n")
    commands = " && ".join(line.removeprefix("$ ") for line in block.splitlines())
    (tmp_path / "records.zone").write_text(
        f'{ZONE}. 300 IN TXT "v=spf1 include:a.example ~all"\n{ZONE}. 300 IN TXT "proof"\n'
        f"www.{ZONE}. 300 IN CNAME other.{ZONE}.\n"
    )
    said = await run("sh", "-c", f"cd {tmp_path} && {commands}")
    assert set(lab.zones.get(ZONE, "TXT")) == {"v=spf1 include:a.example ~all", "proof"}, said
    assert lab.zones.get(f"www.{ZONE}", "CNAME") == [f"other.{ZONE}"]
    assert lab.zones.get(f"s1._domainkey.{ZONE}", "TXT") == [LONG]
