# SPDX-License-Identifier: Apache-2.0
"""Zones of records to publish: such as no format should stumble over, made by hypothesis."""

from __future__ import annotations

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from postroom.api.sendingdomain import Purpose
from postroom.dns.answers import RecordType
from postroom.dns.publishing.records import PublishedRecord, ZoneRecords

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
