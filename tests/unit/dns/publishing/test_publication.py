# SPDX-License-Identifier: Apache-2.0
"""What is handed to external-dns: never anything that replaces or removes what is not ours."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.sendingdomain import Purpose
from postroom.dns.answers import RecordType
from postroom.dns.names import is_within
from postroom.dns.publishing.dns_endpoint import HandedSet, targets_in
from postroom.dns.publishing.publication import (
    Obstacle,
    Publication,
    Rules,
    Standing,
    as_target,
    decide,
    in_question,
)
from postroom.dns.publishing.records import PublishedRecord

DOMAIN, ZONE = "send.example.com", "example.com"
PROVEN = Rules(DOMAIN, proven=True, apex=False)
TXT, CNAME, MX, A = RecordType.TXT, RecordType.CNAME, RecordType.MX, RecordType.A
SPF = PublishedRecord(DOMAIN, TXT, "v=spf1 include:spf.example.net ~all", purpose=Purpose.SPF)
PROOF = PublishedRecord(DOMAIN, TXT, "verify=1", purpose=Purpose.OWNERSHIP)
KEY = f"k1._domainkey.{DOMAIN}"
DKIM = PublishedRecord(KEY, CNAME, "k1.example.net", purpose=Purpose.DKIM)


def targets(*records: PublishedRecord) -> HandedSet:
    first = records[0]
    texts = (as_target(record.type, record.value, record.name) for record in records)
    return HandedSet(first.name, first.type.value, tuple(texts))


def at(*records: PublishedRecord, zone: str = ZONE) -> dict[str, Standing]:
    """What stands, by name; every name of these tests can be seen."""
    found: dict[str, dict[RecordType, frozenset[str]]] = {DOMAIN: {}, KEY: {}}
    for record in records:
        there = found.setdefault(record.name, {})
        text = as_target(record.type, record.value, record.name)
        there[record.type] = there.get(record.type, frozenset()) | {text}
    return {name: Standing(zone, there) for name, there in found.items()}


def why(publication: Publication) -> list[Obstacle]:
    return [refused.obstacle for refused in publication.refused]


def test_where_nothing_stands_all_is_handed_over() -> None:
    made = decide([SPF, DKIM], (), at(), PROVEN)
    assert made == Publication((targets(DKIM), targets(SPF)))


SITE = PublishedRecord(DOMAIN, TXT, "google-site-verification=abc")
STRANGE_SPF = PublishedRecord(DOMAIN, TXT, "v=spf1 include:other.example.net -all")
ADDRESS = PublishedRecord(KEY, A, "192.0.2.1")
OTHER_ALIAS = PublishedRecord(KEY, CNAME, "elsewhere.example.net")
ALIAS_AT_DOMAIN = PublishedRecord(DOMAIN, CNAME, "www.example.net")


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        (SPF, SITE),
        (SPF, STRANGE_SPF),
        (SPF, ALIAS_AT_DOMAIN),
        (DKIM, ADDRESS),
        (DKIM, OTHER_ALIAS),
        (DKIM, PublishedRecord(KEY, TXT, "v=DKIM1; p=")),
        (
            PublishedRecord(DOMAIN, MX, "10 mx.example.net"),
            PublishedRecord(DOMAIN, MX, "5 mx.a.net"),
        ),
    ],
)
def test_what_others_published_is_left_alone(
    wanted: PublishedRecord, there: PublishedRecord
) -> None:
    made = decide([wanted], (), at(there), PROVEN)
    assert (made.endpoints, why(made)) == ((), [Obstacle.BESIDE])
    assert there.value in made.refused[0].others[0]


def test_what_others_published_already_needs_nobody() -> None:
    assert decide([SPF, DKIM], (), at(SPF, SITE, DKIM), PROVEN) == Publication()


def test_what_is_ours_changes_and_goes() -> None:
    before = (targets(SPF), targets(DKIM))
    changed = PublishedRecord(KEY, CNAME, "k2.example.net", purpose=Purpose.DKIM)
    assert decide([changed], before, at(SPF, DKIM), PROVEN).endpoints == (targets(changed),)
    as_key = PublishedRecord(KEY, TXT, "v=DKIM1; p=AAAA", purpose=Purpose.DKIM)
    assert decide([as_key], before, at(SPF, DKIM), PROVEN).endpoints == (targets(as_key),)


def test_beside_others_what_is_ours_does_not_change() -> None:
    before = (targets(SPF),)
    changed = PublishedRecord(DOMAIN, TXT, "v=spf1 -all", purpose=Purpose.SPF)
    made = decide([changed], before, at(SPF, SITE), PROVEN)
    assert (made.endpoints, why(made)) == (before, [Obstacle.BESIDE])


def test_what_cannot_be_seen_stays_as_it_is() -> None:
    changed = PublishedRecord(KEY, CNAME, "k2.example.net", purpose=Purpose.DKIM)
    made = decide([SPF, changed], (targets(DKIM),), {}, PROVEN)
    assert made.endpoints == (targets(DKIM),)
    assert [found.name for found in made.unseen] == [DOMAIN, KEY]


def test_the_apex_is_touched_on_request_only() -> None:
    made = decide([SPF], (), at(zone=DOMAIN), PROVEN)
    assert (made.endpoints, why(made)) == ((), [Obstacle.APEX])
    asked = Rules(DOMAIN, proven=True, apex=True)
    assert decide([SPF], (), at(zone=DOMAIN), asked).endpoints == (targets(SPF),)


def test_until_control_is_proven_only_its_proof_is_handed_over() -> None:
    unproven = Rules(DOMAIN, proven=False, apex=False)
    made = decide([PROOF, SPF, DKIM], (), at(), unproven)
    assert made.endpoints == (targets(PROOF),)
    assert [found.name for found in made.waiting] == [DOMAIN, KEY]
    before = (targets(DKIM), targets(PROOF, SPF))
    assert decide([PROOF, SPF, DKIM], before, {}, unproven).endpoints == before


@pytest.mark.parametrize(
    ("record", "obstacle"),
    [
        (PublishedRecord("example.com", TXT, "x"), Obstacle.OUTSIDE),
        (PublishedRecord("esend.example.com", TXT, "x"), Obstacle.OUTSIDE),
        (PublishedRecord(f"_domainkey.{DOMAIN}", RecordType.NS, "ns.example.net"), Obstacle.TYPE),
        (PublishedRecord(DOMAIN, MX, "0 ."), Obstacle.TYPE),
    ],
)
def test_what_is_never_handed_over(record: PublishedRecord, obstacle: Obstacle) -> None:
    made = decide([record], (), at(), PROVEN)
    assert (made.endpoints, why(made)) == ((), [obstacle])


def test_what_contradicts_itself_is_refused() -> None:
    alias = PublishedRecord(DOMAIN, CNAME, "www.example.net", purpose=Purpose.TRACKING)
    made = decide([SPF, alias], (), at(), PROVEN)
    assert (made.endpoints, why(made)) == ((targets(SPF),), [Obstacle.CONTRADICTION])


def test_anything_may_stand_in_an_object() -> None:
    spec = {"endpoints": [None, 7, {"dnsName": "a", "targets": "no list"}, {"targets": [1]}]}
    assert [found.targets for found in targets_in(spec)] == [(), ("1",)]
    assert list(targets_in({"endpoints": "no list"})) == []


NAMES = [DOMAIN, KEY, f"bounce.{DOMAIN}", ZONE, "other.example.com"]
RECORDS = st.builds(
    PublishedRecord,
    st.sampled_from(NAMES),
    st.sampled_from([TXT, CNAME, MX]),
    st.sampled_from(["10 a.example.net", "20 b.example.net", "v=spf1 -all", "c.example.net"]),
    purpose=st.sampled_from([Purpose.OWNERSHIP, Purpose.SPF, Purpose.DKIM]),
).filter(lambda record: record.type is not MX or record.value[0].isdigit())
Zone = dict[tuple[str, str], set[str]]


# Made once: Hypothesis looks anew at each that is made while it draws.
_LENGTHS = st.integers(1, 12)
_KINDS = st.sampled_from(["want", "strange", "blind", "rules", "look"])
_WANTED, _RULES = st.lists(RECORDS, max_size=4), st.tuples(st.booleans(), st.booleans())


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, object]]:
    """Edits of the spec, records of others that come and go, looks, and syncs of external-dns."""
    steps: list[tuple[str, object]] = []
    for _ in range(draw(_LENGTHS)):
        kind = draw(_KINDS)
        payload: object = None
        if kind == "want":
            payload = draw(_WANTED)
        elif kind in ("strange", "blind"):
            payload = draw(RECORDS)
        elif kind == "rules":
            payload = draw(_RULES)
        steps.append((kind, payload))
    return steps


def _places(zone: Zone, blind: set[str]) -> Mapping[str, Standing]:
    found: dict[str, dict[RecordType, frozenset[str]]] = {name: {} for name in NAMES}
    for (name, kind), texts in zone.items():
        if texts:
            found[name][RecordType(kind)] = frozenset(texts)
    return {name: Standing(ZONE, there) for name, there in found.items() if name not in blind}


@settings(max_examples=60)
@given(histories())
def test_nothing_of_others_is_ever_replaced(history: list[tuple[str, object]]) -> None:
    """external-dns is taken at its worst: without a registry, it makes each set what it is told."""
    others: Zone = {}
    ours: tuple[HandedSet, ...] = ()
    wanted: list[PublishedRecord] = []
    rules, blind = PROVEN, set[str]()
    for kind, payload in history:
        if isinstance(payload, list):
            wanted = payload
        elif kind == "strange" and isinstance(payload, PublishedRecord):
            # Others put nothing beside what external-dns holds: it would be gone by its next sync.
            if not any(payload.name == mine.name for mine in ours):
                text = as_target(payload.type, payload.value, payload.name)
                others.setdefault((payload.name, payload.type.value), set()).add(text)
        elif kind == "blind" and isinstance(payload, PublishedRecord):
            blind ^= {payload.name}
        elif isinstance(payload, tuple):
            rules = Rules(DOMAIN, proven=payload[0], apex=payload[1])
        zone: Zone = {key: set(texts) for key, texts in others.items()}
        for mine in ours:
            zone.setdefault((mine.name, mine.type), set()).update(mine.targets)
        asked = {found.name for found in in_question(wanted, ours, rules)}
        places = {name: at for name, at in _places(zone, blind).items() if name in asked}
        made = decide(wanted, ours, places, rules)
        for mine in made.endpoints:
            assert is_within(mine.name, DOMAIN)
            assert not others.get((mine.name, mine.type)), "a set of others would be replaced"
            beside = {key[1] for key, texts in others.items() if key[0] == mine.name and texts}
            assert mine.type != "CNAME" or not beside, "a CNAME would stand beside others"
            assert "CNAME" not in beside
        keys = [(mine.name, mine.type) for mine in made.endpoints]
        assert len(keys) == len(set(keys))
        assert decide(wanted, made.endpoints, places, rules).endpoints == made.endpoints or blind
        ours = made.endpoints
