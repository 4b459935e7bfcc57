# SPDX-License-Identifier: Apache-2.0
"""Causes at the zone's name servers.

Covers: old versions by RFC 1982; two DNS hosts; lame and silent servers; EDNS; the delegation.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.answers import (
    EDNS_NOT_UNDERSTOOD,
    Answer,
    Outcome,
    Question,
    RecordType,
    ServerAnswer,
)
from postroom.dns.diagnosis import nameservers
from postroom.dns.diagnosis.zone import ZoneView, findings
from unit.dns.zone_looks import APEX, PUBLIC, ZONE, both, codes, delegated, failed, served


def test_the_servers_with_the_older_version_are_named() -> None:
    serials = (served("ns1.host.net", "8"), served("ns2.host.net", "7"))
    (found,) = findings(ZoneView(APEX, ZONE, serials))
    assert found.code == "NS_INCONSISTENT"
    assert found.message.startswith("ns2.host.net has another, older version")
    assert "7" not in found.message and "8" not in found.message


def test_serials_wrap_around() -> None:
    serials = (served("new", "3"), served("old", str(2**32 - 2)))
    assert nameservers.older(serials) == (("new",), ("old",))


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 2**32 - 1), max_size=6))
def test_every_server_is_ahead_or_behind(serials: dict[str, int]) -> None:
    servers = [served(name, str(serial)) for name, serial in serials.items()]
    ahead, behind = nameservers.older(servers)
    assert sorted((*ahead, *behind)) == sorted(serials)
    assert len({serials[one] for one in ahead}) <= 1


def test_two_dns_hosts_are_told_by_name() -> None:
    serials = (served("ada.ns.cloudflare.com", "9"), served("ns01.domaincontrol.com", "7"))
    (found,) = findings(ZoneView(APEX, ZONE, serials))
    assert "Cloudflare" in found.message and "GoDaddy" in found.message


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.SERVER_FAILURE])
def test_a_lame_server_is_named(outcome: Outcome) -> None:
    serials = (served("ns1.host.net"), failed("ns2.host.net", outcome, "192.0.2.2"))
    (found,) = findings(ZoneView(APEX, ZONE, serials))
    assert (found.code, found.message.split()[0]) == ("LAME", "ns2.host.net")


def test_a_server_only_at_the_parent_may_be_lame() -> None:
    servers = (*both(PUBLIC), failed("ns9.old.net", Outcome.REFUSED, "192.0.2.9"))
    names = (*ZONE.nameservers, "ns9.old.net")
    view = ZoneView(APEX, ZONE, both(), delegation=delegated(*names, servers=servers))
    assert codes(view) == ["LAME", "DELEGATION_MISMATCH"]


@pytest.mark.parametrize(
    ("silent", "families", "said"),
    [
        (failed("ns2.host.net", Outcome.TIMEOUT), {}, "ns2.host.net is silent"),
        (failed("ns2.host.net", Outcome.SERVER_FAILURE), {}, "ns2.host.net has no address"),
        (
            failed("ns2.host.net", Outcome.TIMEOUT),
            {"ns2.host.net": frozenset({RecordType.AAAA})},
            "only IPv6",
        ),
    ],
)
def test_a_server_that_is_not_reached_is_named_with_the_reason(
    silent: ServerAnswer, families: dict[str, frozenset[RecordType]], said: str
) -> None:
    view = ZoneView(APEX, ZONE, (served("ns1.host.net"), silent), families=families)
    (found,) = findings(view)
    assert found.code == "NS_UNREACHABLE"
    assert said in found.message


def test_broken_edns_is_told() -> None:
    serials = (served("ns1.host.net"), served("ns2.host.net", errors=(EDNS_NOT_UNDERSTOOD,)))
    assert codes(ZoneView(APEX, ZONE, serials)) == ["EDNS_BROKEN"]


def test_a_delegation_that_differs_names_what_differs() -> None:
    view = ZoneView(APEX, ZONE, both(), delegation=delegated("ns1.host.net", "ns3.host.net"))
    (found,) = findings(view)
    assert found.code == "DELEGATION_MISMATCH"
    assert "ns3.host.net" in found.message and "ns2.host.net" in found.message


def test_the_parent_no_longer_knows_the_zone() -> None:
    denied = Answer(Question(APEX, RecordType.NS), Outcome.NX_DOMAIN, authoritative=True)
    assert codes(ZoneView(APEX, ZONE, both(), delegation=denied)) == ["DOMAIN_NXDOMAIN"]


def test_what_is_wrong_with_servers_ends_with_what_to_do() -> None:
    lame = (served("ns1.host.net"), failed("ns2.host.net", Outcome.REFUSED, "192.0.2.2"))
    (found,) = findings(ZoneView(APEX, ZONE, lame))
    assert found.message.endswith("out of the name servers at the registrar and in the zone.")
    assert found.ask == "dig +norecurse SOA example.com @ns2.host.net"
    lagging = (served("ns1.host.net", "8"), served("ns2.host.net", "7"))
    (found,) = findings(ZoneView(APEX, ZONE, lagging))
    assert "Wait for the transfer; if that does not end it, mend" in found.message
    two = (served("ada.ns.cloudflare.com", "9"), served("ns01.domaincontrol.com", "7"))
    (found,) = findings(ZoneView(APEX, ZONE, two))
    assert "Take those of the host that is no longer used out" in found.message
    # Of two hosts with a zone of their own each, nobody knows which is the older.
    assert "older" not in found.message
