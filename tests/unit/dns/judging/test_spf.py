# SPDX-License-Identifier: Apache-2.0
"""SPF beyond the closed loop: what is told of limits, of others' DNS, and of required senders.

Covers: the dearest terms and the return path first where a record is too dear; what cannot be
looked up; lookups that find nothing; who is required and yet refused; advice that was asked for;
the reading of texts that are no SPF records.
"""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.findings import Finding, FixAction, Severity
from postroom.api.sendingdomain import RecordState
from postroom.dns import spf
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.judging import spf_merge
from postroom.dns.verifying.report import DomainReport
from unit.dns.domains import APEX_TXT, DOMAIN, HEALTHY, OWNED, look, record
from unit.dns.fake_zone import FakeZone, Key

OURS = "include:spf.provider.net ip4:192.0.2.7"
MANY: dict[Key, list[str]] = {
    ("big.net", "TXT"): ["v=spf1 include:a.big.net include:b.big.net include:c.big.net -all"],
    **{(f"{one}.big.net", "TXT"): ["v=spf1 ip4:203.0.113.1 -all"] for one in "abc"},
    **{(f"s{n}.net", "TXT"): ["v=spf1 ip4:203.0.113.2 -all"] for n in range(8)},
}
SMALL = " ".join(f"include:s{n}.net" for n in range(8))


def with_spf(text: str, **more: Any) -> FakeZone:
    return FakeZone({**HEALTHY, **MANY, APEX_TXT: [OWNED, text], **more.get("records", {})})


def about_spf(report: DomainReport) -> list[Finding]:
    return [finding for finding in report.findings if finding.subject == "spf"]


def test_the_dearest_terms_are_named() -> None:
    (found,) = about_spf(look(with_spf(f"v=spf1 {SMALL} include:big.net {OURS} -all")))
    assert found.code == "SPF_TOO_MANY"
    assert "takes 13 DNS lookups" in found.message
    assert "include:big.net (4), include:s0.net (1), include:s1.net (1)" in found.message


def test_the_return_path_is_the_first_advice() -> None:
    zone = with_spf(f"v=spf1 {SMALL} include:big.net -all")
    (found,) = about_spf(look(zone))
    assert "Send with a return path of its own, such as bounce.send.example.com" in found.message
    assert found.fix is not None
    assert found.fix.action is FixAction.EXTERNAL


def test_a_return_path_that_is_there_is_named() -> None:
    path = {"name": "bounce", "cname": "bounces.provider.net"}
    zone = with_spf(f"v=spf1 {SMALL} include:big.net -all")
    zone.records[f"bounce.{DOMAIN}", "CNAME"] = ["bounces.provider.net"]
    (found,) = about_spf(look(zone, returnPath=path))
    assert "the return path bounce.send.example.com" in found.message


def test_a_limit_behind_what_is_required_is_a_warning() -> None:
    report = look(with_spf(f"v=spf1 {OURS} {SMALL} include:big.net -all"))
    assert record(report, "spf").state is RecordState.VALID
    (found,) = about_spf(report)
    assert (found.code, found.severity) == ("SPF_BUDGET_WORST_CASE", Severity.WARNING)


def test_terms_of_no_use_make_room() -> None:
    text = f"v=spf1 {SMALL} a:none.net {SMALL} {OURS} -all"
    zone = with_spf(text)
    (found,) = about_spf(look(zone))
    assert (found.code, found.fix and found.fix.action) == ("SPF_TOO_MANY", FixAction.REPLACE)
    assert found.fix is not None
    zone.apply(found.fix)
    assert about_spf(look(zone)) == []


def test_a_chain_that_cannot_be_seen_leaves_it_open() -> None:
    zone = with_spf(f"v=spf1 include:s0.net {OURS} -all")
    zone.failing["s0.net"] = Outcome.SERVER_FAILURE
    report = look(zone)
    assert record(report, "spf").state is RecordState.UNKNOWN
    (found,) = about_spf(report)
    assert (found.code, found.fix and found.fix.action) == (
        "SPF_TEMPERROR_IN_CHAIN",
        FixAction.WAIT,
    )


def test_a_broken_chain_behind_what_is_required_is_a_warning() -> None:
    zone = with_spf(f"v=spf1 {OURS} include:s0.net -all")
    zone.failing["s0.net"] = Outcome.TIMEOUT
    report = look(zone)
    assert record(report, "spf").state is RecordState.VALID
    (found,) = about_spf(report)
    assert (found.code, found.severity) == ("SPF_TEMPERROR_IN_CHAIN", Severity.WARNING)


def test_names_without_addresses_of_one_family() -> None:
    hosts = {(f"h{n}.net", "A"): [f"203.0.113.{n}"] for n in range(3)}
    text = f"v=spf1 {OURS} a:h0.net a:h1.net a:h2.net ~all"
    assert [one.code for one in about_spf(look(with_spf(text, records=hosts)))] == [
        "SPF_VOID_FOR_ONE_FAMILY"
    ]


ONE_FAMILY = {(f"h{n}.net", "A"): [f"203.0.113.{n}"] for n in range(3)}
SIX = {("spf.provider.net", "TXT"): ["v=spf1 ip4:198.51.100.0/24 ip6:2001:db8::/48 -all"]}
SIX_BY_HOST = {
    ("spf.provider.net", "TXT"): ["v=spf1 ip4:198.51.100.0/24 a:out.provider.net -all"],
    ("out.provider.net", "AAAA"): ["2001:db8::"],
}


@pytest.mark.parametrize(
    ("text", "provider", "code"),
    [
        # The provider's IPv6 senders come to three hosts without an AAAA first,
        ("a:h0.net a:h1.net a:h2.net {}", SIX, "SPF_VOID"),
        ("include:hosts.net {}", SIX, "SPF_VOID"),
        ("a:h0.net a:h1.net a:h2.net {}", SIX_BY_HOST, "SPF_VOID"),
        # or they pass before that, or are none, or there are two such hosts.
        ("{} a:h0.net a:h1.net a:h2.net", SIX, "SPF_VOID_FOR_ONE_FAMILY"),
        ("a:h0.net a:h1.net a:h2.net {}", {}, "SPF_VOID_FOR_ONE_FAMILY"),
        ("a:h0.net a:h1.net {}", SIX, None),
    ],
)
def test_lookups_that_find_nothing_for_the_version_of_who_is_required(
    text: str, provider: dict[Key, list[str]], code: str | None
) -> None:
    hosts = {("hosts.net", "TXT"): ["v=spf1 a:h0.net a:h1.net a:h2.net -all"]}
    made = f"v=spf1 {text.format(OURS)} ~all"
    zone = with_spf(made, records={**ONE_FAMILY, **hosts, **provider})
    report = look(zone)
    found = next(iter(about_spf(report)), None)
    assert (found and found.code) == code
    assert (record(report, "spf").state is RecordState.VALID) is (code != "SPF_VOID")
    if found is None or code != "SPF_VOID":
        return
    assert "for IPv6 clients, so that 2001:db8::, which is required to pass, gets" in found.message
    assert found.fix is not None
    zone.apply(found.fix)
    report = look(zone)
    assert record(report, "spf").state is RecordState.VALID
    assert passing(zone, made) <= passing(zone, found.fix.value)


def test_what_is_required_may_come_to_as_many_by_itself() -> None:
    own = "v=spf1 a:h0.net a:h1.net a:h2.net ip6:2001:db8::/48 -all"
    two = {
        ("spf.provider.net", "TXT"): ["v=spf1 a:h0.net a:h1.net ip6:2001:db8:1::/48 -all"],
        ("b.net", "TXT"): ["v=spf1 a:h2.net ip6:2001:db8::/48 -all"],
    }
    spec = {"includes": ["spf.provider.net", "b.net"]}
    text = "v=spf1 include:spf.provider.net include:b.net ~all"
    zone = with_spf(text, records={**ONE_FAMILY, **two})
    report = look(zone, spf=spec)
    found = about_spf(report)[0]
    assert (found.code, record(report, "spf").state) == ("SPF_VOID", RecordState.WRONG)
    assert "No record is offered: what spec.spf requires comes to as many" in found.message
    # Of an include that lets nobody of these pass by itself nobody is required.
    alone = {**ONE_FAMILY, ("spf.provider.net", "TXT"): [own]}
    report = look(with_spf("v=spf1 include:spf.provider.net ip4:192.0.2.7 ~all", records=alone))
    assert record(report, "spf").state is RecordState.VALID


@pytest.mark.parametrize("mechanism", ["a:gone{n}.net", "mx:gone{n}.net", "exists:gone{n}.net"])
def test_lookups_that_find_nothing(mechanism: str) -> None:
    terms = " ".join(mechanism.format(n=n) for n in range(3))
    zone = with_spf(f"v=spf1 {terms} {OURS} ~all")
    (found,) = about_spf(look(zone))
    assert found.code == "SPF_VOID"
    assert found.fix is not None
    zone.apply(found.fix)
    assert about_spf(look(zone)) == []


def test_an_mx_with_too_many_exchanges() -> None:
    exchanges = {("many.net", "MX"): [f"10 m{n}.many.net" for n in range(11)]}
    zone = with_spf(f"v=spf1 mx:many.net {OURS} ~all", records=exchanges)
    (found,) = about_spf(look(zone))
    assert (found.code, "more than ten mail exchangers" in found.message) == ("SPF_TOO_MANY", True)


def test_what_a_provider_refuses_itself_is_not_required() -> None:
    own = {("spf.provider.net", "TXT"): ["v=spf1 -ip4:198.51.100.0/28 ip4:198.51.100.0/24 -all"]}
    text = f"v=spf1 -ip4:203.0.113.99 {OURS} ~all"
    assert about_spf(look(with_spf(text, records=own))) == []


def test_who_is_refused_and_by_what() -> None:
    (found,) = about_spf(look(with_spf(f"v=spf1 -ip4:198.51.100.0/24 {OURS} ~all")))
    assert found.code == "SPF_SHADOWED"
    assert "refuses 198.51.100.0, which is required to pass" in found.message
    assert "-ip4:198.51.100.0/24 stands before" in found.message


def test_a_neutral_end_that_was_asked_for_is_no_matter() -> None:
    spec = {"spf": {"includes": ["spf.provider.net"], "all": "Neutral"}}
    zone = with_spf("v=spf1 include:spf.provider.net ?all")
    assert about_spf(look(zone, **spec)) == []
    assert [one.code for one in about_spf(look(zone, spf={"includes": ["spf.provider.net"]}))] == [
        "SPF_NEUTRAL_ALL"
    ]


def test_several_records_keep_what_each_admits() -> None:
    zone = with_spf("v=spf1 include:s0.net -all")
    zone.records[APEX_TXT].append("v=spf1 include:s1.net ?all")
    (found,) = about_spf(look(zone))
    assert found.fix is not None
    for part in ("include:s0.net", "include:s1.net", "include:spf.provider.net", "?all"):
        assert part in found.fix.value
    assert len(found.fix.remove) == 2


def test_two_records_in_one_text_become_one_that_keeps_what_each_admits() -> None:
    zone = with_spf("v=spf1 include:s0.net -all v=spf1 ip4:203.0.113.9 ~all")
    (found,) = about_spf(look(zone))
    assert found.fix is not None
    assert found.fix.value.lower().count("v=spf1") == 1
    for part in ("include:s0.net", "ip4:203.0.113.9", "include:spf.provider.net"):
        assert part in found.fix.value
    assert "~all" in found.message.partition("Change TXT")[0]


def test_what_a_second_record_names_without_being_looked_up_is_no_reason_to_offer_nothing() -> None:
    zone = with_spf("v=spf1 include:s0.net -all v=spf1 include:s1.net ~all")
    (found,) = about_spf(look(zone))
    assert found.fix is not None
    assert found.fix.value.startswith("v=spf1 include:s0.net include:spf.provider.net ip4:")
    assert "include:s0.net" in found.fix.value.partition(" -all ")[0]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("SPF v=spf1 mx \u2013all", "mx -all"),
        ("v=spf1 mx \u02dcall", "mx ~all"),
        ("v=spf1+mx+ip4:1.2.3.4+~all", "+mx ip4:1.2.3.4 ~all"),
        ("v=spf1%20mx%20ip4:1.2.3.4%20-all", "mx ip4:1.2.3.4 -all"),
        ("v=spf1 mx+a+ip4:1.2.3.4 -all", "mx a ip4:1.2.3.4 -all"),
        ("v=spf1 mx ip4:1.2.3.4 -all\\n", "mx ip4:1.2.3.4 -all"),
    ],
)
def test_marks_and_spaces_that_became_others_lose_no_term(text: str, terms: str) -> None:
    zone = with_spf(text.encode().decode("latin-1"))
    found = next(one for one in about_spf(look(zone)) if one.fix is not None)
    assert found.fix is not None
    offered = [one.lstrip("+") for one in found.fix.value.split()]
    assert [one.lstrip("+") for one in terms.split()] == [
        one for one in offered[1:] if one not in ("include:spf.provider.net", "ip4:192.0.2.7")
    ]
    assert "leaves out" not in found.message


def test_a_damaged_text_never_takes_the_place_of_a_record() -> None:
    zone = with_spf("v=spf1 include:s0.net -all")
    zone.records[APEX_TXT].append('"v=spf1 a -all"')
    (found,) = about_spf(look(zone))
    assert found.code == "SPF_MISSING_INCLUDE"
    assert found.fix is not None
    assert "include:s0.net" in found.fix.value


@pytest.mark.parametrize(
    ("text", "code", "record"),
    [
        ("spf1 a ~all", "SPF_SYNTAX", "v=spf1 a ~all"),
        ("v=spf1; a ~all", "SPF_SYNTAX", "v=spf1 a ~all"),
        ("v = spf1 a -all", "SPF_SYNTAX", "v=spf1 a -all"),
        ("v=spf1a -all", "SPF_JOINED_TERMS", "v=spf1 a -all"),
        ("v=spf1include:a.net", "SPF_JOINED_TERMS", "v=spf1 include:a.net"),
        ('"v=spf1 a -all"', "VALUE_QUOTED", "v=spf1 a -all"),
        ("\xef\xbb\xbfv=spf1 a -all", "VALUE_BOM_NBSP", "v=spf1 a -all"),
        ("TXT v=spf1 a -all", "VALUE_INCLUDES_NAME", "v=spf1 a -all"),
        ("spf=v=spf1 a -all", "VALUE_INCLUDES_NAME", "v=spf1 a -all"),
        ("v=v=spf1 a -all", "SPF_SYNTAX", "v=spf1 a -all"),
        ("SPF v=spf1 a -all", "VALUE_INCLUDES_NAME", "v=spf1 a -all"),
        ("SPF: v=spf1 a -all", "VALUE_INCLUDES_NAME", "v=spf1 a -all"),
        ("v=spf1.0 a -all", "SPF_SYNTAX", "v=spf1 a -all"),
        ("v=spf1.a -all", "SPF_SYNTAX", "v=spf1 a -all"),
    ],
)
def test_what_a_text_was_meant_as(text: str, code: str, record: str) -> None:
    assert spf_merge.meant(text) == (code, record)


@pytest.mark.parametrize(
    "text", ["v=spf1 -all", "spf2.0/pra a -all", "google-site-verification=spf1", "", "spf" * 9000]
)
def test_what_was_not_meant_as_one_is_left_alone(text: str) -> None:
    assert spf_merge.meant(text) is None


HOSTS: dict[Key, list[str]] = {
    (DOMAIN, "A"): ["192.0.2.99"],
    (DOMAIN, "MX"): ["10 mx.provider.net", "20 mx2.provider.net"],
    ("mx.provider.net", "A"): ["192.0.2.1"],
    ("mx2.provider.net", "A"): ["203.0.113.130"],
    ("mx2.provider.net", "AAAA"): ["2001:db8:2::2"],
}


@pytest.mark.parametrize(
    ("terms", "wanted"),
    [
        ("mx", {"ip4": ["192.0.2.1", "203.0.113.130"]}),
        ("mx", {"ip6": ["2001:db8:2::2"]}),
        ("mx//48", {"ip6": ["2001:db8:2::/48"]}),
        (f"mx:{DOMAIN}/25", {"ip4": ["203.0.113.128/25"]}),
        ("a", {"ip4": ["192.0.2.99"]}),
        ("a/24", {"ip4": ["192.0.2.0/25", "192.0.2.128/25"]}),
        ("a:mx2.provider.net", {"ip4": ["203.0.113.130"], "ip6": ["2001:db8:2::2"]}),
        ("ip4:203.0.113.0/25 ip4:203.0.113.128/25", {"ip4": ["203.0.113.0/24"]}),
        ("redirect=s0.net", {"ip4": ["203.0.113.2"]}),
        ("ip4:198.51.100.0/25 ip4:198.51.100.128/25", {"includes": ["spf.provider.net"]}),
    ],
)
def test_what_passes_by_other_terms_needs_no_change(terms: str, wanted: dict[str, Any]) -> None:
    end = "" if "redirect" in terms else " -all"
    report = look(with_spf(f"v=spf1 {terms}{end}", records=HOSTS), spf=wanted)
    assert record(report, "spf").state is RecordState.VALID
    # Nor does the merge beside another record add what passes.
    zone = with_spf(f"v=spf1 {terms}{end}", records=HOSTS)
    zone.records[APEX_TXT].append("v=spf1 ip4:192.0.2.200 -all")
    (found,) = about_spf(look(zone, spf=wanted))
    assert found.fix is not None
    made = {*terms.replace("redirect=", "include:").split(), "ip4:192.0.2.200", "-all", "v=spf1"}
    assert set(found.fix.value.split()) == made


def test_an_exchange_that_cannot_be_looked_up_leaves_it_open() -> None:
    zone = with_spf("v=spf1 mx -all", records=HOSTS)
    zone.failing["mx2.provider.net"] = Outcome.SERVER_FAILURE
    report = look(zone, spf={"ip4": ["203.0.113.130"]})
    assert record(report, "spf").state is RecordState.UNKNOWN
    (found,) = about_spf(report)
    assert found.code == "SPF_TEMPERROR_IN_CHAIN"
    assert "the addresses of mx2.provider.net" in found.message


def test_a_refusal_of_a_part_is_told() -> None:
    """Not only of the network's first address."""
    (found,) = about_spf(look(with_spf(f"v=spf1 -ip4:198.51.100.128/25 {OURS} ~all")))
    assert found.code == "SPF_SHADOWED"
    assert "refuses 198.51.100.128, which is required to pass" in found.message
    assert found.fix is not None
    assert found.fix.value.startswith("v=spf1 include:spf.provider.net")


@pytest.mark.parametrize(
    ("slip", "told"),
    [
        ("ip4:host", "ip4:host, which needs a colon and an IPv4 address or network:"),
        ("ip4:a-b", "ip4:a-b, which needs"),
        ("include:gone.net", "include:gone.net, which leads to no single valid SPF record:"),
        ("foo bar", "foo, which is not a mechanism of SPF; bar, which is not a mechanism of SPF:"),
        (
            " ".join(f"foo{n}" for n in range(9)),
            "foo0, foo1, foo2, foo3, foo4, foo5 and 3 more:",
        ),
    ],
)
def test_what_the_fix_leaves_out_is_named(slip: str, told: str) -> None:
    (found,) = about_spf(look(with_spf(f"v=spf1 {OURS} {slip}")))
    assert f"The fix leaves out {told}" in found.message
    assert "who was to pass by that alone does not." in found.message


@pytest.mark.parametrize(
    ("slip", "term"),
    [
        ("includes:s1.net", "include:s1.net"),
        ("include:https://s1.net/", "include:s1.net"),
        ("include: s1.net", "include:s1.net"),
        ("ip4:203.0.113.0 /24", "ip4:203.0.113.0/24"),
        ("a:mail.s1.net/24/64", "a:mail.s1.net/24//64"),
    ],
)
def test_who_was_plainly_meant_passes_and_nobody_needs_to_be_named(slip: str, term: str) -> None:
    """Also where the name is looked up only because of the mending."""
    (found,) = about_spf(look(with_spf(f"v=spf1 {OURS} {slip} -all")))
    assert found.fix is not None
    assert found.fix.value == f"v=spf1 {OURS} {term} -all"
    assert "leaves out" not in found.message


@pytest.mark.parametrize(
    ("slip", "told"),
    [
        ("~-all", "reads ~-all as ~all: the former has several qualifiers"),
        ("a:s1.net/ -all", "reads a:s1.net/ as a:s1.net: the former lacks its prefix length"),
        ("ip4:mail.s1.net -all", "reads ip4:mail.s1.net as a:mail.s1.net: the former names a host"),
        ("+all", "It ends in ~all, so that not everyone may send."),
    ],
)
def test_what_is_read_as_something_else_is_told(slip: str, told: str) -> None:
    (found,) = about_spf(look(with_spf(f"v=spf1 {OURS} {slip}")))
    assert told in found.message


def test_an_all_that_was_joined_to_a_name_is_kept() -> None:
    (found,) = about_spf(look(with_spf(f"v=spf1 {OURS} include:s1.net-all")))
    assert found.fix is not None
    assert found.fix.value == f"v=spf1 {OURS} include:s1.net -all"


def test_the_end_of_several_records_is_told() -> None:
    zone = with_spf(f"v=spf1 {OURS} -all")
    zone.records[APEX_TXT].append("v=spf1 mx ~all")
    (found,) = about_spf(look(zone))
    assert "The records end in ~all and -all; the one in ~all." in found.message


def test_a_long_message_keeps_its_end() -> None:
    """What to do comes last, and is never cut off."""
    terms = " ".join(f"a:{n}{'x' * 40}.s1.net/ foo{n}{'y' * 200}" for n in range(10))
    (found,) = about_spf(look(with_spf(f"v=spf1 {OURS} {terms} ~-all")))
    assert len(found.message) <= 1024
    assert " and 4 more: who was to pass" in found.message
    assert found.message.endswith(f" to: v=spf1 {OURS} ~all")


def test_a_merge_is_a_change() -> None:
    (found,) = about_spf(look(with_spf("v=spf1 include:s1.net -all")))
    said = "Change TXT send from v=spf1 include:s1.net -all to: v=spf1 include:s1.net "
    assert found.message.endswith(f"{said}{OURS} -all")
    assert "Delete" not in found.message


def test_several_records_become_one_by_a_change() -> None:
    zone = with_spf("v=spf1 include:s0.net -all")
    zone.records[APEX_TXT].append("v=spf1 include:s1.net -all")
    (found,) = about_spf(look(zone))
    gone = "Delete TXT send.example.com (v=spf1 include:s1.net -all), and change TXT send from "
    assert f"{gone}v=spf1 include:s0.net -all to: v=spf1 include:s0.net" in found.message


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ((f"_spf.{DOMAIN}", "TXT"), "SPF_WRONG_NAME"),
        ((DOMAIN, "SPF"), "TYPE_SPF99"),
    ],
)
def test_a_policy_at_a_wrong_place_loses_nothing_unsaid(key: Key, code: str) -> None:
    zone = with_spf("", records={key: [f"v=spf1 {OURS} ipv4:203.0.113.9 foo -all"]})
    zone.records[APEX_TXT] = [OWNED]
    (found,) = about_spf(look(zone))
    assert found.code == code
    assert found.fix is not None
    assert found.fix.value == f"v=spf1 {OURS} ip4:203.0.113.9 -all"
    assert "The fix leaves out foo, which is not a mechanism of SPF:" in found.message


@pytest.mark.parametrize("label", ["_spf", "spf", "_spf1"])
def test_a_policy_that_others_may_include_stays_where_it_is(label: str) -> None:
    place = f"{label}.{DOMAIN}"
    zone = with_spf("", records={(place, "TXT"): [f"v=spf1 {OURS} ip4:203.0.113.9 -all"]})
    zone.records[APEX_TXT] = [OWNED]
    (found,) = about_spf(look(zone))
    assert found.code == "SPF_WRONG_NAME"
    assert found.fix is not None
    assert (found.fix.action, found.fix.remove) == (FixAction.CREATE, [])
    assert found.fix.value == f"v=spf1 {OURS} ip4:203.0.113.9 -all"
    assert f"what stands at {place} stays" in found.message


def test_a_damaged_text_loses_nothing_unsaid() -> None:
    zone = with_spf(f'"v=spf1 {OURS} include:s1.net include:gone.net -all"')
    (found,) = about_spf(look(zone))
    assert found.code == "VALUE_QUOTED"
    assert found.fix is not None
    assert found.fix.value == f"v=spf1 {OURS} include:s1.net -all"
    assert "The fix leaves out include:gone.net, which leads to no" in found.message


def test_a_record_that_ends_at_255_characters_keeps_its_last_term() -> None:
    terms = " ".join(f"ip4:203.0.113.{n}" for n in range(100, 113))
    text = f"v=spf1 {terms} "
    text += f"a:{'h' * (255 - len(text) - len('a:') - len('.s1.net'))}.s1.net"
    assert len(text) == 255
    (found,) = about_spf(look(with_spf(text)))
    assert found.fix is not None
    assert text.split()[-1] in found.fix.value.split()


@pytest.mark.parametrize("name", ["%{d}", "%{o}", "%{d3}", "%{D}"])
@pytest.mark.parametrize("term", ["include:_spf.{} -all", "redirect=_spf.{}"])
def test_a_macro_of_the_domain_admits_what_its_name_does(term: str, name: str) -> None:
    zone = with_spf(f"v=spf1 {term.format(name)}")
    zone.records[f"_spf.{DOMAIN}", "TXT"] = [f"v=spf1 {OURS} -all"]
    report = look(zone)
    assert record(report, "spf").state is RecordState.VALID
    assert about_spf(report) == []


LISTS = "exists:%{i}.a.net exists:%{l}.b.net exists:%{h}.c.net"


@pytest.mark.parametrize(
    ("text", "who"),
    [
        (f"{LISTS} {OURS}", "That may meet what this spec requires, such as 192.0.2.7,"),
        (f"a:none.net ptr exists:%{{i}}.a.net {OURS}", "That may meet what this spec requires"),
        (f"include:lists.net {OURS}", "That may meet what this spec requires"),
        (f"{OURS} {LISTS}", "What this spec requires passes before that"),
        (f"{OURS} include:lists.net", "What this spec requires passes before that"),
    ],
)
def test_lookups_that_may_find_nothing_are_a_warning_that_says_for_whom(
    text: str, who: str
) -> None:
    zone = with_spf(f"v=spf1 {text} -all")
    zone.records["lists.net", "TXT"] = [f"v=spf1 {LISTS} -all"]
    # The domains are there, whatever they list.
    zone.records |= {(name, "SOA"): ["there"] for name in ("a.net", "b.net", "c.net")}
    report = look(zone)
    assert record(report, "spf").state is RecordState.VALID
    (found,) = [one for one in about_spf(report) if one.code == "SPF_BUDGET_WORST_CASE"]
    assert found.severity is Severity.WARNING
    assert who in found.message
    assert "exists:%{" in found.message or "ptr" in found.message


@pytest.mark.parametrize("lists", [LISTS, "ptr exists:%{i}.a.net a:none.net"])
@pytest.mark.parametrize("first", [True, False])
def test_of_two_required_includes_the_one_behind_such_lookups_is_named(
    lists: str, first: bool
) -> None:
    """Whether a lookup finds nothing depends on the message, and that receivers count those that do
    is a SHOULD (RFC 7208 section 4.6.4): that mail fails would be a guess, that it may is none."""
    spec = {"includes": ["spf.provider.net", "vendor.net"]}
    inner = ["include:vendor.net", lists] if first else [lists, "include:vendor.net"]
    zone = with_spf(f"v=spf1 include:spf.provider.net {' '.join(inner)} -all")
    zone.records["vendor.net", "TXT"] = ["v=spf1 ip4:203.0.113.0/28 -all"]
    zone.records |= {(name, "SOA"): ["there"] for name in ("a.net", "b.net", "c.net")}
    report = look(zone, spf=spec)
    assert record(report, "spf").state is RecordState.VALID
    (found,) = [one for one in about_spf(report) if one.code == "SPF_BUDGET_WORST_CASE"]
    assert ("such as 203.0.113.0, where those names" in found.message) is not first
    assert ("What this spec requires passes before that" in found.message) is first


@pytest.mark.parametrize("text", ["exists:%{i}.a.net exists:%{l}.b.net", "a:none.net ptr"])
def test_two_lookups_may_find_nothing(text: str) -> None:
    report = look(with_spf(f"v=spf1 {text} {OURS} -all"))
    assert "SPF_BUDGET_WORST_CASE" not in {one.code for one in about_spf(report)}


VENDOR_TOO = {"includes": ["spf.provider.net", "vendor.net"], "ip4": ["192.0.2.7"]}
VENDOR: dict[Key, list[str]] = {
    ("vendor.net", "TXT"): [
        "v=spf1 ip4:203.0.113.0/28 include:dead.vendor.net ip4:203.0.113.64/28 -all"
    ],
}


@pytest.mark.parametrize("more", ["", " a:mx.provider.net"])
def test_a_dead_include_of_others_is_put_behind_who_works(more: str) -> None:
    text = f"v=spf1 include:vendor.net {OURS}{more} ~all"
    zone = with_spf(text, records=VENDOR)
    (found,) = about_spf(look(zone))
    assert (found.code, found.severity) == ("SPF_DEAD_INCLUDE", Severity.ERROR)
    assert "to the record of vendor.net, which includes dead.vendor.net" in found.message
    assert "Only who runs vendor.net can mend that" in found.message
    assert found.fix is not None
    assert found.fix.value == f"v=spf1 {OURS}{more} include:vendor.net ~all"
    zone.apply(found.fix)
    report = look(zone)
    (after,) = about_spf(report)
    assert record(report, "spf").state is RecordState.VALID
    assert (after.code, after.severity) == ("SPF_DEAD_IN_CHAIN", Severity.WARNING)
    assert passing(zone, text) <= passing(zone, found.fix.value)
    # Once it is mended by whose it is, nothing is left to say.
    zone.records["dead.vendor.net", "TXT"] = ["v=spf1 ip4:192.0.2.200 -all"]
    assert about_spf(look(zone)) == []


CIRCLE: dict[Key, list[str]] = {
    ("vendor.net", "TXT"): ["v=spf1 ip4:203.0.113.0/28 include:b.vendor.net -all"],
    ("b.vendor.net", "TXT"): ["v=spf1 ip4:203.0.113.64/28 include:vendor.net -all"],
}


def test_a_circle_of_others_is_put_behind_who_works_and_not_taken_out() -> None:
    text = f"v=spf1 include:vendor.net {OURS} ~all"
    zone = with_spf(text, records=CIRCLE)
    (found,) = about_spf(look(zone))
    assert (found.code, found.severity) == ("SPF_LOOP", Severity.ERROR)
    assert "includes vendor.net, so that it leads in a circle" in found.message
    assert found.fix is not None
    assert found.fix.value == f"v=spf1 {OURS} include:vendor.net ~all"
    before = passing(zone, text)
    # By both records of the circle somebody passes.
    assert {"203.0.113.1", "203.0.113.65"} <= before
    zone.apply(found.fix)
    report = look(zone)
    assert record(report, "spf").state is RecordState.VALID
    assert [one.code for one in about_spf(report)] == ["SPF_DEAD_IN_CHAIN"]
    assert before <= passing(zone, found.fix.value)


def test_a_circle_of_others_that_is_required_is_theirs_to_break() -> None:
    text = f"v=spf1 {OURS} include:vendor.net ~all"
    (found,) = about_spf(look(with_spf(text, records=CIRCLE), spf=VENDOR_TOO))
    assert found.code == "SPF_LOOP"
    assert found.fix is not None
    assert found.fix.action is FixAction.EXTERNAL
    assert "can mend that" in found.message


ADDRESSES = ("192.0.2.7", "198.51.100.1", "203.0.113.1", "203.0.113.65", "203.0.113.200")


def passing(zone: FakeZone, text: str) -> set[str]:
    """Who of some senders passes by a record."""

    def of(name: str, kind: RecordType) -> Answer:
        there = [text] if (name, kind) == (DOMAIN, "TXT") else zone.records.get((name, kind), [])
        outcome = Outcome.FOUND if there else Outcome.NX_DOMAIN
        return Answer(Question(name, kind), outcome, tuple(there))

    checked = ((ip, spf.check_host_with(ip, f"u@{DOMAIN}", DOMAIN, of)) for ip in ADDRESSES)
    return {ip for ip, found in checked if found.result is spf.ResultCode.PASS}


@pytest.mark.parametrize(
    ("terms", "spec", "meanwhile"),
    [
        # What is required is the very record.
        (f"{OURS} include:vendor.net", {"spf": VENDOR_TOO}, False),
        (f"include:vendor.net {OURS}", {"spf": VENDOR_TOO}, True),
    ],
)
def test_a_dead_include_that_only_others_can_mend_is_said_to_be_theirs(
    terms: str, spec: dict[str, Any], meanwhile: bool
) -> None:
    (found,) = about_spf(look(with_spf(f"v=spf1 {terms} ~all", records=VENDOR), **spec))
    assert found.code == "SPF_DEAD_INCLUDE"
    assert found.fix is not None
    assert found.fix.action is FixAction.EXTERNAL
    assert "Only who runs vendor.net can mend that" in found.message
    assert ("put it last meanwhile" in found.message) is meanwhile


MORE = {
    "a term that refuses": (
        f"include:vendor.net -ip4:203.0.113.0/30 {OURS} ~all",
        # Behind that one, who passes now might not.
        f"{OURS} include:vendor.net -ip4:203.0.113.0/30 ~all",
    ),
    "nothing of what is required": (
        "include:vendor.net ip4:203.0.113.200 ~all",
        f"{OURS} ip4:203.0.113.200 include:vendor.net ~all",
    ),
    "nothing and a redirect to it": (
        "ip4:203.0.113.200 redirect=vendor.net",
        f"{OURS} ip4:203.0.113.200 redirect=vendor.net",
    ),
    "a slip": (
        f"include:vendor.net {OURS} ipv4:203.0.113.200 ~all",
        f"{OURS} ip4:203.0.113.200 include:vendor.net ~all",
    ),
    "everybody": (f"{OURS} include:vendor.net +all", f"{OURS} include:vendor.net ~all"),
    "what is required behind it alone": (
        "include:vendor.net include:whole.net ~all",
        f"{OURS} include:vendor.net include:whole.net ~all",
    ),
}


BACK: dict[Key, list[str]] = {
    ("vendor.net", "TXT"): [f"v=spf1 ip4:203.0.113.0/28 include:{DOMAIN} -all"]
}
CROWD: dict[Key, list[str]] = {
    ("crowd.net", "MX"): [f"10 mx{number}.crowd.net" for number in range(11)],
    **{(f"mx{number}.crowd.net", "A"): [f"192.0.2.{100 + number}"] for number in range(11)},
}
OVERFULL = CROWD | {("vendor.net", "TXT"): ["v=spf1 ip4:203.0.113.0/28 mx:crowd.net -all"]}


@pytest.mark.parametrize(
    "there", [VENDOR, CIRCLE, BACK, OVERFULL], ids=["dead", "circle", "back", "overfull"]
)
@pytest.mark.parametrize(("text", "made"), MORE.values(), ids=MORE)
def test_another_mistake_beside_an_end_of_others_is_mended_and_takes_nobody_away(
    there: dict[Key, list[str]], text: str, made: str
) -> None:
    whole = {("whole.net", "TXT"): [f"v=spf1 include:vendor.net {OURS} -all"]}
    text, made = f"v=spf1 {text}", f"v=spf1 {made}"
    zone = with_spf(text, records=there | whole)
    found = about_spf(look(zone))[0]
    assert found.fix is not None
    assert found.fix.value == made
    before = passing(zone, text) - (set(ADDRESSES[-1:]) if "+all" in text else set())
    zone.apply(found.fix)
    report = look(zone)
    assert record(report, "spf").state is RecordState.VALID
    code = "SPF_BUDGET_WORST_CASE" if there is OVERFULL else "SPF_DEAD_IN_CHAIN"
    assert code in [one.code for one in about_spf(report)]
    assert before <= passing(zone, made)
    assert "vendor.net can mend that" in found.message


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (f"mx:crowd.net {OURS} ~all", f"{OURS} mx:crowd.net ~all"),
        ("mx:crowd.net ip4:203.0.113.200 -all", f"{OURS} ip4:203.0.113.200 mx:crowd.net -all"),
    ],
)
def test_an_mx_of_too_many_exchanges_is_put_behind_who_works(text: str, made: str) -> None:
    zone = with_spf(f"v=spf1 {text}", records=CROWD)
    found = about_spf(look(zone))[0]
    assert found.fix is not None
    assert found.fix.value == f"v=spf1 {made}"
    assert "an mx for crowd.net, which has more than ten mail exchangers" in found.message
    zone.apply(found.fix)
    report = look(zone)
    (told,) = about_spf(report)
    assert (record(report, "spf").state, told.code) == (
        RecordState.VALID,
        "SPF_BUDGET_WORST_CASE",
    )
    assert "more than ten mail exchangers" in told.message
    assert "ip4 and ip6 instead" in told.message


@pytest.mark.parametrize(
    ("terms", "name", "state"),
    [
        ("include:crowded.net", "crowded.net", RecordState.UNKNOWN),
        ("a:crowded.net", "crowded.net", RecordState.UNKNOWN),
        # Whatever stands there, what is required passes before it.
        (f"{OURS} include:crowded.net", "crowded.net", RecordState.VALID),
        (OURS, "spf.provider.net", RecordState.UNKNOWN),
    ],
)
def test_a_name_with_too_much_to_be_read_is_no_passing_trouble(
    terms: str, name: str, state: RecordState
) -> None:
    zone = with_spf(f"v=spf1 {terms} ~all")
    zone.failing[name] = Outcome.TOO_LARGE
    report = look(zone)
    (found,) = [one for one in report.findings if one.subject == "spf"]
    assert (record(report, "spf").state, found.code) == (state, "TOO_MANY_RECORDS")
    assert found.fix is not None
    assert found.fix.action is FixAction.EXTERNAL
    assert name in found.message
    assert "now" not in found.message


def test_several_records_are_united_before_an_end_of_others() -> None:
    zone = with_spf("v=spf1 include:vendor.net ~all", records=CIRCLE)
    zone.records[APEX_TXT].append(f"v=spf1 {OURS} -all")
    found = about_spf(look(zone))[0]
    assert (found.code, found.fix and found.fix.value) == (
        "SPF_MULTIPLE",
        f"v=spf1 {OURS} include:vendor.net ~all",
    )


def test_an_own_dead_include_is_told_before_that_of_others() -> None:
    zone = with_spf(f"v=spf1 include:vendor.net include:gone.net {OURS} ~all", records=VENDOR)
    (found,) = about_spf(look(zone))
    assert found.code == "SPF_DEAD_INCLUDE"
    assert "includes gone.net, which has no single" in found.message
    assert found.fix is not None
    # What is dead goes, and what leads there stays behind all others.
    assert found.fix.value == f"v=spf1 {OURS} include:vendor.net ~all"


@pytest.mark.parametrize(
    ("term", "code"),
    [
        ("include:%{i}.nowhere.invalid", "SPF_DEAD_INCLUDE"),
        ("include:%{ir}.%{v}._spf.nowhere.invalid", "SPF_DEAD_INCLUDE"),
        ("redirect=%{l}.nowhere.invalid", "SPF_DEAD_INCLUDE"),
        ("exists:%{i}.nowhere.invalid", "SPF_UNUSED_HOST"),
    ],
)
def test_names_that_can_be_there_for_no_message_are_told(term: str, code: str) -> None:
    end = "" if term.startswith("redirect") else " ~all"
    zone = with_spf(f"v=spf1 {OURS} {term}{end}")
    (found,) = about_spf(look(zone))
    assert found.code == code
    if found.fix is not None:
        assert term not in found.fix.value
        zone.apply(found.fix)
        assert record(look(zone), "spf").state is RecordState.VALID
    # What a domain that is there makes up for each message is not known, whatever it denies.
    zone.records[APEX_TXT] = [OWNED, f"v=spf1 {OURS} {term}{end}"]
    zone.records["nowhere.invalid", "A"] = ["192.0.2.9"]
    assert code not in {one.code for one in about_spf(look(zone))}


def test_names_of_the_client_that_are_not_there_may_meet_who_is_required() -> None:
    (found,) = about_spf(look(with_spf(f"v=spf1 ptr:a.net ptr:b.net ptr:c.net {OURS} ~all")))[:1]
    assert found.code == "SPF_BUDGET_WORST_CASE"
    assert "That may meet what this spec requires" in found.message
