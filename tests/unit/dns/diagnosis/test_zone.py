# SPDX-License-Identifier: Apache-2.0
"""Causes in the way to the zone: servers, versions, delegation, DNSSEC, other zones, parking."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.sendingdomain import Purpose
from postroom.dns.answers import (
    EDNS_NOT_UNDERSTOOD,
    TCP_FAILED,
    Answer,
    Delegation,
    Outcome,
    Question,
    RecordType,
    ServerAnswer,
    Zone,
)
from postroom.dns.diagnosis import answering, nameservers, resolving
from postroom.dns.diagnosis.parking import Disuse, disuse, parking_nameservers, seems_disused
from postroom.dns.diagnosis.zone import ZoneView, findings, root_cause
from postroom.dns.findings import question
from postroom.dns.judging.seen import Seen
from postroom.dns.requirements import DomainPlan, PlannedRecord, TextWanted

APEX = "example.com"
ZONE = Zone(APEX, ("ns1.host.net", "ns2.host.net"))
SOA = Question(APEX, RecordType.SOA)
PUBLIC = "ns1.host.net hostmaster.host.net 7 7200 900 1209600 300"
PRIVATE = "dc1.corp.example admin.corp.example 9 7200 900 1209600 300"


def _served(name: str, value: str = "7", errors: tuple[int, ...] = ()) -> ServerAnswer:
    answer = Answer(SOA, Outcome.FOUND, (value,), authoritative=True, server="192.0.2.1")
    return ServerAnswer(name, replace(answer, errors=errors))


def _failed(name: str, outcome: Outcome, server: str | None = None) -> ServerAnswer:
    return ServerAnswer(name, Answer(SOA, outcome, server=server))


def _both(value: str = "7") -> tuple[ServerAnswer, ...]:
    return tuple(_served(name, value) for name in ZONE.nameservers)


def _codes(view: ZoneView) -> list[str]:
    return [finding.code for finding in findings(view)]


def _root(view: ZoneView, *outcomes: Outcome) -> str | None:
    root = root_cause(view, outcomes or {Outcome.FOUND})
    return root.finding.code if root else None


def _delegation(
    *names: str, signed: bool | None = False, servers: tuple[ServerAnswer, ...] = ()
) -> Delegation:
    return Delegation("com", names or ZONE.nameservers, signed, servers)


def test_nothing_is_said_of_a_sound_zone() -> None:
    view = ZoneView(APEX, ZONE, _both(), delegation=_delegation())
    assert (_root(view), _codes(view)) == (None, [])


# Servers ------------------------------------------------------------------------------------------


def test_the_servers_with_the_older_version_are_named() -> None:
    serials = (_served("ns1.host.net", "8"), _served("ns2.host.net", "7"))
    (found,) = findings(ZoneView(APEX, ZONE, serials))
    assert found.code == "NS_INCONSISTENT"
    assert found.message.startswith("ns2.host.net has another, older version")
    assert "7" not in found.message and "8" not in found.message


def test_serials_wrap_around() -> None:
    serials = (_served("new", "3"), _served("old", str(2**32 - 2)))
    assert nameservers.older(serials) == (("new",), ("old",))


@given(st.dictionaries(st.text(min_size=1), st.integers(0, 2**32 - 1), max_size=6))
def test_every_server_is_ahead_or_behind(serials: dict[str, int]) -> None:
    served = [_served(name, str(serial)) for name, serial in serials.items()]
    ahead, behind = nameservers.older(served)
    assert sorted((*ahead, *behind)) == sorted(serials)
    assert len({serials[one] for one in ahead}) <= 1


def test_two_dns_hosts_are_told_by_name() -> None:
    serials = (_served("ada.ns.cloudflare.com", "9"), _served("ns01.domaincontrol.com", "7"))
    (found,) = findings(ZoneView(APEX, ZONE, serials))
    assert "Cloudflare" in found.message and "GoDaddy" in found.message


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.SERVER_FAILURE])
def test_a_lame_server_is_named(outcome: Outcome) -> None:
    serials = (_served("ns1.host.net"), _failed("ns2.host.net", outcome, "192.0.2.2"))
    (found,) = findings(ZoneView(APEX, ZONE, serials))
    assert (found.code, found.message.split()[0]) == ("LAME", "ns2.host.net")


def test_a_server_only_at_the_parent_may_be_lame() -> None:
    servers = (*_both(PUBLIC), _failed("ns9.old.net", Outcome.REFUSED, "192.0.2.9"))
    names = (*ZONE.nameservers, "ns9.old.net")
    view = ZoneView(APEX, ZONE, _both(), delegation=_delegation(*names, servers=servers))
    assert _codes(view) == ["LAME", "DELEGATION_MISMATCH"]


@pytest.mark.parametrize(
    ("silent", "families", "said"),
    [
        (_failed("ns2.host.net", Outcome.TIMEOUT), {}, "ns2.host.net is silent"),
        (_failed("ns2.host.net", Outcome.SERVER_FAILURE), {}, "ns2.host.net has no address"),
        (
            _failed("ns2.host.net", Outcome.TIMEOUT),
            {"ns2.host.net": frozenset({RecordType.AAAA})},
            "only IPv6",
        ),
    ],
)
def test_a_server_that_is_not_reached_is_named_with_the_reason(
    silent: ServerAnswer, families: dict[str, frozenset[RecordType]], said: str
) -> None:
    view = ZoneView(APEX, ZONE, (_served("ns1.host.net"), silent), families=families)
    (found,) = findings(view)
    assert found.code == "NS_UNREACHABLE"
    assert said in found.message


def test_silence_of_all_says_nothing_where_the_way_may_be_blocked() -> None:
    silent = tuple(_failed(name, Outcome.TIMEOUT) for name in ZONE.nameservers)
    view = ZoneView(APEX, ZONE, silent)
    assert (_root(view), _codes(view)) == (None, [])


def test_silence_of_all_is_a_cause_where_others_answer() -> None:
    silent = tuple(_failed(name, Outcome.TIMEOUT) for name in ZONE.nameservers)
    assert _root(ZoneView(APEX, ZONE, silent, delegation=_delegation())) == "NS_UNREACHABLE"
    lame = tuple(_failed(name, Outcome.REFUSED, "192.0.2.1") for name in ZONE.nameservers)
    assert _root(ZoneView(APEX, ZONE, lame)) == "LAME"


def test_broken_edns_is_told() -> None:
    serials = (_served("ns1.host.net"), _served("ns2.host.net", errors=(EDNS_NOT_UNDERSTOOD,)))
    assert _codes(ZoneView(APEX, ZONE, serials)) == ["EDNS_BROKEN"]


def test_a_delegation_that_differs_names_what_differs() -> None:
    view = ZoneView(APEX, ZONE, _both(), delegation=_delegation("ns1.host.net", "ns3.host.net"))
    (found,) = findings(view)
    assert found.code == "DELEGATION_MISMATCH"
    assert "ns3.host.net" in found.message and "ns2.host.net" in found.message


def test_the_parent_no_longer_knows_the_zone() -> None:
    denied = Answer(Question(APEX, RecordType.NS), Outcome.NX_DOMAIN, authoritative=True)
    assert _codes(ZoneView(APEX, ZONE, _both(), delegation=denied)) == ["DOMAIN_NXDOMAIN"]


# Domains ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("apex", ["com", "co.uk"])
def test_a_registry_that_denies_everything_has_no_such_domain(apex: str) -> None:
    view = ZoneView(f"shop.{apex}", Zone(apex, ("a.nic.example",)))
    assert _root(view, Outcome.NX_DOMAIN) == "DOMAIN_NXDOMAIN"
    assert _root(view, Outcome.NX_DOMAIN, Outcome.FOUND) is None


def test_missing_records_below_an_own_zone_do_not_deny_the_domain() -> None:
    view = ZoneView("mail.example.com", ZONE, _both())
    assert _root(view, Outcome.NX_DOMAIN) is None


def test_a_public_suffix_is_told() -> None:
    zone = Zone("co.uk", ("ns1.host.net",))
    view = ZoneView("co.uk", zone, delegation=Delegation("uk", zone.nameservers, None))
    assert _codes(view) == ["PUBLIC_SUFFIX"]


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("ns1.sedoparking.com", "ns2.sedoparking.com"), Disuse.PARKING),
        (("ns1.sedoparking.com", "ns1.host.net"), None),
        (("ns1.domainhasexpired.com", "ns1.host.net"), Disuse.EXPIRED),
        (("failed-whois-verification.namecheap.com", "x.namecheap.com"), Disuse.HELD),
        (("ns1.pendingrenewaldeletion.com", "ns2.pendingrenewaldeletion.com"), Disuse.EXPIRED),
        (("ns1.renewyourname.net", "ns2.renewyourname.net"), Disuse.EXPIRED),
        (("ns1.renewyourdomain.net", "ns2.renewyourdomain.net"), Disuse.EXPIRED),
        (("ns1.renewyourdomain.at.domainname.com",), Disuse.EXPIRED),
        (("01.onamae-expired.com", "02.onamae-expired.com"), Disuse.EXPIRED),
        (("expired1.namebrightdns.com", "expired2.namebrightdns.com"), Disuse.EXPIRED),
        (("expirens3.hichina.com", "expirens4.hichina.com"), Disuse.EXPIRED),
        (("verify-contact-details.namecheap.com",), Disuse.HELD),
        # The registrars' own DNS serves domains that are in use.
        (("nsg1.namebrightdns.com", "nsg2.namebrightdns.com"), None),
        (("dns7.hichina.com", "dns8.hichina.com"), None),
        (("dns1.registrar-servers.com",), None),
        (("ns1.host.net",), None),
        ((), None),
    ],
)
def test_domains_out_of_use(names: tuple[str, ...], why: Disuse | None) -> None:
    assert disuse(names) is why
    view = ZoneView(APEX, ZONE, _both(), delegation=_delegation(*names)) if names else None
    if view is not None:
        assert (_root(view) == "DOMAIN_PARKED") is (why is not None)


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("ns1.expired-names.net", "ns2.expired-names.net"), Disuse.EXPIRED),
        (("expiredns1.registrar.net", "expiredns2.registrar.net"), Disuse.EXPIRED),
        (("ns1.renewyouraddress.org",), Disuse.EXPIRED),
        (("ns1.pendingdelete.net",), Disuse.EXPIRED),
        (("ns1.domain-expired.net",), Disuse.EXPIRED),
        (("ns1.whois-verification.net",), Disuse.HELD),
        (("ns1.expired-names.net", "ns1.host.net"), None),
        (("ns1.unexpired.net",), None),
        (("ns1.experience.net",), None),
        (("ns1.renewables.net",), None),
        (("ns1.verify.net",), None),
    ],
)
def test_names_like_those_of_disused_domains_take_no_other_finding_away(
    names: tuple[str, ...], why: Disuse | None
) -> None:
    """A likeness is told first, as what it is, but proves nothing."""
    assert seems_disused(names) is why
    view = ZoneView(APEX, ZONE, _both(), delegation=_delegation(*names))
    root = root_cause(view, {Outcome.FOUND})
    if why is None:
        assert root is None or root.finding.code != "DOMAIN_PARKED"
        return
    assert root is not None
    assert (root.finding.code, root.moot) == ("DOMAIN_PARKED", frozenset())
    assert "named like" in root.finding.message


def test_every_parking_row_has_a_source() -> None:
    assert all(row.source.startswith("https://") for row in parking_nameservers().values())


# The resolver -------------------------------------------------------------------------------------

_SERVFAIL = Answer(SOA, Outcome.SERVER_FAILURE)
_HAS = Answer(SOA, Outcome.FOUND, (PUBLIC,))


@pytest.mark.parametrize("error", [6, 7, 9, 10])
def test_the_resolver_says_what_is_wrong_with_dnssec(error: int) -> None:
    failed = Answer(SOA, Outcome.SERVER_FAILURE, errors=(error,))
    assert _root(ZoneView(APEX, ZONE, _both(), resolver=failed)) == "DNSSEC_BOGUS"


def test_what_is_there_without_checking_fails_the_check() -> None:
    view = ZoneView(
        APEX,
        ZONE,
        _both(),
        delegation=_delegation(signed=True),
        resolver=_SERVFAIL,
        unvalidated=_HAS,
    )
    assert _root(view) == "DNSSEC_BOGUS"


def test_without_a_ds_nothing_is_checked() -> None:
    assert resolving.bogus(APEX, _SERVFAIL, _HAS, _delegation(signed=False)) is None


def test_a_resolver_that_fails_otherwise_is_told_with_its_reason() -> None:
    failed = Answer(SOA, Outcome.SERVER_FAILURE, errors=(23,))
    root = root_cause(ZoneView(APEX, ZONE, _both(), resolver=failed), {Outcome.FOUND})
    assert root is not None
    assert root.finding.code == "SERVFAIL_OTHER"
    assert "cannot reach" in root.finding.message


def test_a_zone_that_cannot_be_found_is_not_missing() -> None:
    lost = Answer(SOA, Outcome.TIMEOUT)
    assert _root(ZoneView(APEX, lost)) == "LOOKUP_FAILED"


def test_the_resolver_has_another_zone_beside_the_public_one() -> None:
    private = Answer(SOA, Outcome.FOUND, (PRIVATE,))
    view = ZoneView(APEX, ZONE, _both(), versions=_both(PUBLIC), resolver=private)
    root = root_cause(view, {Outcome.FOUND})
    assert root is not None
    assert (root.finding.code, root.blinds) == ("SPLIT_HORIZON", False)


def test_a_private_zone_decides_nothing() -> None:
    private = Answer(SOA, Outcome.FOUND, (PRIVATE,))
    public = tuple(_served(name, PUBLIC) for name in ("a.public.net", "b.public.net"))
    view = ZoneView(
        APEX,
        ZONE,
        _both(),
        versions=_both(PRIVATE),
        delegation=_delegation("a.public.net", "b.public.net", servers=public),
        resolver=private,
    )
    root = root_cause(view, {Outcome.FOUND})
    assert root is not None
    assert (root.finding.code, root.blinds, root.moot) == ("SPLIT_HORIZON", True, None)


def test_another_serial_is_no_other_zone() -> None:
    older = Answer(SOA, Outcome.FOUND, (PUBLIC.replace(" 7 ", " 6 ", 1),))
    assert resolving.split(ZONE, older, _both(PUBLIC), None) is None


# Answers ------------------------------------------------------------------------------------------


def _seen(*answers: Answer) -> list[str]:
    plan = DomainPlan(APEX, ())
    seen = Seen({answer.question: answer for answer in answers})
    return [finding.code for finding in answering.findings(plan, seen, (), all_valid=False)]


def _own(name: str, outcome: Outcome, server: str = "192.0.2.1") -> Answer:
    values = ("text",) if outcome is Outcome.FOUND else ()
    question = Question(name, RecordType.TXT)
    return Answer(question, outcome, values, authoritative=True, server=server)


def test_a_server_that_denies_what_has_names_below() -> None:
    above = _own(f"_domainkey.{APEX}", Outcome.NX_DOMAIN)
    below = _own(f"s1._domainkey.{APEX}", Outcome.FOUND)
    assert _seen(above, below) == ["ENT_NXDOMAIN_BROKEN"]
    assert _seen(above, _own(below.question.name, Outcome.FOUND, "192.0.2.2")) == []
    assert _seen(_own(above.question.name, Outcome.NO_DATA), below) == []


def _text(name: str) -> PlannedRecord:
    return PlannedRecord(
        "text", Purpose.OWNERSHIP, name, RecordType.TXT, "x", required=True, wanted=TextWanted("x")
    )


def _told(answer: Answer, *, all_valid: bool) -> list[str]:
    plan = DomainPlan(APEX, (_text(answer.question.name),))
    found = answering.findings(plan, Seen({answer.question: answer}), (), all_valid=all_valid)
    return [one.code for one in found]


def test_what_tcp_lost_is_told() -> None:
    lost = Answer(Question(APEX, RecordType.TXT), Outcome.TIMEOUT, errors=(TCP_FAILED,))
    assert _told(lost, all_valid=False) == ["TCP_BLOCKED"]
    assert _told(replace(lost, errors=()), all_valid=False) == []


def test_what_is_kept_for_days_is_told_while_something_is_to_change() -> None:
    kept = replace(_own(APEX, Outcome.NX_DOMAIN), ttl=86401)
    assert _told(kept, all_valid=False) == ["TTL_HIGH"]
    assert _told(kept, all_valid=True) == []
    assert _told(replace(kept, ttl=86400), all_valid=False) == []


# What follows, and what to do ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "type", "zone", "cached", "asked"),
    [
        ("_dmarc.example.com", "TXT", ZONE, False, "dig +norecurse TXT _dmarc.example.com @"),
        ("example.com", "MX", ZONE, False, "dig +norecurse MX example.com @"),
        ("_dmarc.example.com", "TXT", ZONE, True, "dig TXT _dmarc.example.com"),
        ("_dmarc.example.com", "TXT", None, False, "dig TXT _dmarc.example.com"),
        ("k1.provider.net", "TXT", ZONE, False, "dig TXT k1.provider.net"),
        # Nothing that a shell would read otherwise.
        ("a$(reboot).example.com", "TXT", ZONE, False, ""),
        ("a;b.example.com", "TXT", ZONE, False, ""),
        ("b'\\195.example.com", "TXT", ZONE, False, ""),
        # What it would, but in quotes does not.
        ("b\\195.example.com", "TXT", ZONE, False, "dig +norecurse TXT 'b\\195.example.com' @"),
        ("*.example.com", "MX", ZONE, False, "dig +norecurse MX '*.example.com' @"),
    ],
)
def test_the_question_that_shows_a_finding(
    name: str, type: str, zone: Zone | None, cached: bool, asked: str
) -> None:
    made = question(name, RecordType(type), zone, cached=cached)
    assert made == (f"{asked}{min(ZONE.nameservers)}" if asked.endswith("@") else asked)


def test_what_is_wrong_with_servers_ends_with_what_to_do() -> None:
    lame = (_served("ns1.host.net"), _failed("ns2.host.net", Outcome.REFUSED, "192.0.2.2"))
    (found,) = findings(ZoneView(APEX, ZONE, lame))
    assert found.message.endswith("out of the name servers at the registrar and in the zone.")
    assert found.ask == "dig +norecurse SOA example.com @ns2.host.net"
    lagging = (_served("ns1.host.net", "8"), _served("ns2.host.net", "7"))
    (found,) = findings(ZoneView(APEX, ZONE, lagging))
    assert "Wait for the transfer; if that does not end it, mend" in found.message
    two = (_served("ada.ns.cloudflare.com", "9"), _served("ns01.domaincontrol.com", "7"))
    (found,) = findings(ZoneView(APEX, ZONE, two))
    assert "Take those of the host that is no longer used out" in found.message
    # Of two hosts with a zone of their own each, nobody knows which is the older.
    assert "older" not in found.message


def test_two_zones_of_one_name_end_with_what_to_do() -> None:
    seen = Answer(SOA, Outcome.FOUND, (PRIVATE,))
    versions = tuple(_served(name, PUBLIC) for name in ZONE.nameservers)
    apart = resolving.split(ZONE, seen, versions, None)
    assert apart is not None
    assert (
        "have postroom ask a resolver that does, or publish the records in both." in apart.message
    )
    servers = (_served("ns1.real.net", PUBLIC),)
    delegation = _delegation("ns1.real.net", servers=servers)
    private = resolving.split(ZONE, seen, (), delegation)
    assert private is not None
    assert "Publish the records at the latter" in private.message
