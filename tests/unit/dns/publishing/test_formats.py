# SPDX-License-Identifier: Apache-2.0
"""Every format denotes the same records: each is read back by a parser that is not ours.

Also that what a tool cannot take is refused in a sentence, never cut or bent.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from postroom.api.sendingdomain import Purpose
from postroom.dns.answers import RecordType
from postroom.dns.publishing.dns_endpoint import dns_endpoints
from postroom.dns.publishing.octodns import natural_order, octodns
from postroom.dns.publishing.records import PublishedRecord, ZoneRecords, record_sets
from postroom.dns.publishing.terraform import TerraformProvider, terraform
from postroom.dns.publishing.zone_file import zone_file
from postroom.dns.texts.presentation import CannotPublish
from unit.dns.publishing_readers import (
    Fact,
    facts,
    from_cloudflare,
    from_dns_endpoints,
    from_google,
    from_octodns,
    from_route53,
    from_zone_file,
    resources,
)

ZONE = "example.com"
LABELS = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,8}[a-z0-9])?", fullmatch=True)
TARGETS = st.lists(LABELS, min_size=1, max_size=3).map(lambda labels: ".".join([*labels, "net"]))
BYTES = st.characters(max_codepoint=255)
#: Signs that some format gives a meaning to, more often than chance would bring them.
TRICKY = st.text(alphabet='"\\; $%{}\n@()#', max_size=12)
TEXTS = st.one_of(
    st.text(alphabet=BYTES, min_size=1, max_size=600),
    TRICKY.filter(bool),
    st.text(alphabet="aB+/= ", min_size=250, max_size=1200),
    st.just("v=DKIM1; k=rsa; p=" + "MIIBIjANBgkqhkiG9w0B" * 20),
)


def record(name: str, kind: RecordType, value: str) -> PublishedRecord:
    return PublishedRecord(name, kind, value, purpose=Purpose.DKIM, comment='odd "\n; comment')


def owners(prefix: str) -> st.SearchStrategy[str]:
    """Names of which a CNAME never shares one with another type."""
    return LABELS.map(lambda label: f"{prefix}{label}.{ZONE}")


TXTS = st.builds(record, owners("t") | st.just(ZONE), st.just(RecordType.TXT), TEXTS)
MXS = st.builds(
    lambda name, preference, host: record(name, RecordType.MX, f"{preference} {host}"),
    owners("m") | st.just(ZONE),
    st.integers(0, 65535),
    TARGETS,
)
CNAMES = st.builds(record, owners("c"), st.just(RecordType.CNAME), TARGETS)
ADDRESSES = st.builds(
    lambda name, address: record(name, RecordType.A, str(address)),
    owners("a"),
    st.ip_addresses(v=4),
)
DELEGATIONS = st.builds(record, owners("n"), st.just(RecordType.NS), TARGETS)
TLSAS = st.builds(
    lambda name, data: record(name, RecordType.TLSA, f"3 1 1 {data.hex()}"),
    owners("l"),
    st.binary(min_size=32, max_size=32),
)


def one_zone(*kinds: st.SearchStrategy[PublishedRecord]) -> st.SearchStrategy[ZoneRecords]:
    """Zones with records of these kinds; a name has one CNAME at most."""

    def build(made: list[PublishedRecord]) -> ZoneRecords:
        single = {one.name: one for one in made if one.type is RecordType.CNAME}
        rest = [one for one in made if one.type is not RecordType.CNAME]
        return ZoneRecords(ZONE, (*rest, *single.values()))

    return st.lists(st.one_of(*kinds), min_size=1, max_size=6).map(build)


ANY = one_zone(TXTS, TXTS, MXS, CNAMES, ADDRESSES, DELEGATIONS, TLSAS)
NO_TLSA = one_zone(TXTS, TXTS, MXS, CNAMES, ADDRESSES, DELEGATIONS)
CHECKED = settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
SPF_WITH_MACRO = ZoneRecords(
    ZONE, (record(ZONE, RecordType.TXT, "v=spf1 exists:%{i}.%%{x}.${y}.$${z}.net ~all"),)
)
SPACE = ZoneRecords(ZONE, (record(ZONE, RecordType.TXT, " "),))
NULL_MX = ZoneRecords(ZONE, (record(ZONE, RecordType.MX, "0 ."),))


@CHECKED
@given(ANY)
@example(SPF_WITH_MACRO)
@example(SPACE)
@example(NULL_MX)
def test_a_zone_file(part: ZoneRecords) -> None:
    assert from_zone_file(zone_file([part])) == facts(part.records)
    whole = zone_file([ZoneRecords(ZONE, _without_apex_ns(part))], ["ns1.example.net"])
    expected = {fact for fact in facts(part.records) if fact[1] != "NS"}
    assert {one for one in from_zone_file(whole, whole=True) if one[1] != "NS"} == expected


def _without_apex_ns(part: ZoneRecords) -> tuple[PublishedRecord, ...]:
    return tuple(one for one in part.records if one.type is not RecordType.NS)


READERS: dict[TerraformProvider, Callable[[str], set[Fact]]] = {
    TerraformProvider.CLOUDFLARE: from_cloudflare,
    TerraformProvider.ROUTE53: from_route53,
    TerraformProvider.GOOGLE: from_google,
}


@pytest.mark.parametrize("provider", list(TerraformProvider))
@settings(CHECKED, max_examples=25)
@given(ANY)
@example(SPF_WITH_MACRO)
@example(SPACE)
@example(NULL_MX)
def test_terraform(provider: TerraformProvider, part: ZoneRecords) -> None:
    text = terraform([part], provider)
    assert READERS[provider](text) == facts(part.records)
    names = [(kind, name) for kind, name, _ in resources(text)]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name) for _, name in names)


@CHECKED
@given(NO_TLSA)
@example(SPF_WITH_MACRO)
@example(SPACE)
def test_dns_endpoints(part: ZoneRecords) -> None:
    assert from_dns_endpoints(dns_endpoints([part])) == facts(part.records)


def test_the_hint_for_external_dns_names_each_type_once_in_a_flag_of_its_own() -> None:
    # A list with commas is taken for the name of one type, and nothing is published.
    header = [line for line in dns_endpoints([]).splitlines() if line.startswith("#")]
    words = [word for line in header for word in line.split()]
    flag = "--managed-record-types="
    named = [word.removeprefix(flag) for word in words if word.startswith(flag)]
    # As the flag stands in place of the default, the types of the default are among them.
    assert sorted(named) == ["A", "AAAA", "CNAME", "MX", "NS", "TXT"]


def _octodns_takes(part: ZoneRecords) -> bool:
    texts = [one.value for one in part.records if one.type is RecordType.TXT]
    return all(text.isascii() and "\\;" not in text for text in texts)


@CHECKED
@given(ANY)
@example(SPF_WITH_MACRO)
@example(NULL_MX)
@example(ZoneRecords(ZONE, (record(ZONE, RecordType.TXT, '" "" " "a" ";"'),)))
def test_octodns(part: ZoneRecords) -> None:
    if _octodns_takes(part):
        assert from_octodns(octodns(part), part) == facts(part.records)
    else:
        with pytest.raises(CannotPublish, match="octoDNS takes only ASCII"):
            octodns(part)


@given(st.lists(st.from_regex(r"[a-z0-9]{1,6}", fullmatch=True), min_size=2, max_size=8))
@settings(CHECKED, max_examples=30)
def test_octodns_finds_the_names_in_its_order(labels: list[str]) -> None:
    records = [record(f"{label}.{ZONE}", RecordType.TXT, "x") for label in labels]
    part = ZoneRecords(ZONE, tuple(records))
    # The provider refuses a file whose keys are in another order than its own.
    assert from_octodns(octodns(part), part) == facts(records)


def test_names_in_natural_order_go_by_the_number_in_them_and_digits_before_letters() -> None:
    ordered = ["", "1a", "2", "10", "a", "a2", "a2b", "a10", "ab", "b"]
    assert sorted(sorted(ordered), key=natural_order) == ordered


def test_what_external_dns_cannot_take_is_refused() -> None:
    with pytest.raises(CannotPublish, match="no null MX"):
        dns_endpoints([NULL_MX])
    tlsa = record(f"_25._tcp.mx.{ZONE}", RecordType.TLSA, "3 1 1 " + "ab" * 32)
    with pytest.raises(CannotPublish, match="no TLSA"):
        dns_endpoints([ZoneRecords(ZONE, (tlsa,))])


def test_a_whole_zone_needs_name_servers_that_can_be_found() -> None:
    inside = ["ns1.example.com"]
    with pytest.raises(CannotPublish, match="is inside the zone"):
        zone_file([SPACE], inside)
    address = record("ns1.example.com", RecordType.A, "192.0.2.53")
    part = ZoneRecords(ZONE, (*SPACE.records, address))
    assert from_zone_file(zone_file([part], inside), whole=True) == facts(part.records)


def test_values_that_are_no_record_data_are_refused() -> None:
    for kind, value in (
        (RecordType.MX, "mx.example.net"),
        (RecordType.MX, "ten mx.example.net"),
        (RecordType.TLSA, "3 1 ab"),
    ):
        with pytest.raises(CannotPublish, match="needs"):
            terraform([ZoneRecords(ZONE, (record(ZONE, kind, value),))], "cloudflare")  # type: ignore[arg-type]


def test_names_of_resources_survive_a_new_value() -> None:
    def names(value: str) -> list[str]:
        spf = PublishedRecord(ZONE, RecordType.TXT, value, purpose=Purpose.SPF)
        other = PublishedRecord(ZONE, RecordType.TXT, "x=y", purpose=Purpose.OWNERSHIP)
        part = ZoneRecords(ZONE, (spf, other))
        return [name for _, name, _ in resources(terraform([part], TerraformProvider.CLOUDFLARE))]

    assert names("v=spf1 -all") == names("v=spf1 a -all") == [
        "example_com_txt_spf",
        "example_com_txt_ownership",
    ]  # fmt: skip


def test_names_that_come_out_the_same_are_told_apart() -> None:
    records = [record(f"{label}.{ZONE}", RecordType.TXT, "x") for label in ("a.b", "a_b")]
    for provider in TerraformProvider:
        text = terraform([ZoneRecords(ZONE, tuple(records))], provider)
        assert len({name for _, name, _ in resources(text)}) == 2


def test_a_set_shares_its_lowest_ttl() -> None:
    long, short = (PublishedRecord(ZONE, RecordType.TXT, f"{ttl}", ttl=ttl) for ttl in (3600, 300))
    assert [one.ttl for one in record_sets([long, short])] == [300]
    text = zone_file([ZoneRecords(ZONE, (long, short))])
    assert text.count("@ 300 IN TXT") == 2


def test_comments_stay_on_their_line() -> None:
    text = zone_file([SPACE])
    assert '; DKIM: odd "?; comment\n' in text
