# SPDX-License-Identifier: Apache-2.0
"""What stands at a name before something is published there; what cannot be seen is absent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from dnsworld.clock import run
from postroom.api.findings import FixAction
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.diagnosis.synthesis import invented_name
from postroom.dns.publishing.publication import Standing
from postroom.dns.publishing.records import PublishedRecord, RecordSet
from postroom.dns.verifying.standing import look, synthesized_until, wildcards_ended_by
from postroom.dns.verifying.verify import verify
from unit.dns.domains import OTHER_RSA, RSA
from unit.dns.fake_zone import FakeZone
from unit.dns.judging_looks import plan_of

KEY, HOST = "k1._domainkey.example.com", "bounce.example.com"


class Wild(FakeZone):
    """A zone in which a wildcard answers A at every name that does not exist."""

    async def authoritative(self, question: Question) -> Answer:
        answer = await super().authoritative(question)
        if answer.outcome is Outcome.FOUND or question.type is not RecordType.A:
            known = Outcome.NO_DATA if answer.outcome is Outcome.NX_DOMAIN else answer.outcome
            return Answer(question, known, answer.values, authoritative=True)
        return Answer(question, Outcome.FOUND, ("192.0.2.1",), authoritative=True)


def at(zone: FakeZone, name: str, kind: RecordType) -> Standing | None:
    record = PublishedRecord(name, kind, "10 mx.example.net" if kind is RecordType.MX else "x")
    wanted = RecordSet(name, kind, 3600, (record,))
    places: Mapping[str, Standing] = run(look(zone, [wanted]))
    return places.get(name)


def test_nothing_stands_where_no_name_is() -> None:
    assert at(FakeZone({}), KEY, RecordType.CNAME) == Standing("example.com", {})


@pytest.mark.parametrize(
    ("there", "kind", "seen"),
    [
        (("TXT", "a"), RecordType.TXT, {RecordType.TXT: {'"a"'}}),
        (("TXT", "a"), RecordType.MX, {}),
        (("A", "192.0.2.1"), RecordType.CNAME, {RecordType.A: {"192.0.2.1"}}),
        (("CNAME", "a.example.net"), RecordType.TXT, {RecordType.CNAME: {"a.example.net"}}),
        (("MX", "10 a.example.net"), RecordType.MX, {RecordType.MX: {"10 a.example.net"}}),
        (("MX", "0 ."), RecordType.MX, {RecordType.MX: {"0 ."}}),
    ],
)
def test_what_stands_is_written_as_targets(
    there: tuple[str, str], kind: RecordType, seen: dict[RecordType, set[str]]
) -> None:
    place = at(FakeZone({(HOST, there[0]): [there[1]]}), HOST, kind)
    assert place is not None
    assert {found: set(texts) for found, texts in place.targets.items()} == seen


def test_what_cannot_be_seen_is_absent() -> None:
    failing, blocked, lost = FakeZone({}), FakeZone({}), FakeZone({})
    failing.failing[KEY] = Outcome.TIMEOUT
    blocked.blocked = True
    lost.zone = Outcome.SERVER_FAILURE
    assert [at(zone, KEY, RecordType.TXT) for zone in (failing, blocked, lost)] == [None] * 3


def test_a_wildcard_stands_where_somebody_may_use_it() -> None:
    assert at(Wild({}), KEY, RecordType.CNAME) == Standing("example.com", {})
    there = at(Wild({}), HOST, RecordType.CNAME)
    assert there is not None
    assert there.targets == {RecordType.A: frozenset({"192.0.2.1"})}
    own = Wild({(KEY, "A"): ["192.0.2.7"]})
    assert at(own, KEY, RecordType.CNAME) is not None
    assert at(own, KEY, RecordType.CNAME) != Standing("example.com", {})


class Synthesizing(FakeZone):
    """A zone whose records at ``*`` answer as RFC 4592 says: below the closest name that exists."""

    async def authoritative(self, question: Question) -> Answer:
        answer = await super().authoritative(question)
        above = question.name
        while answer.outcome is Outcome.NX_DOMAIN and above:
            above = above.partition(".")[2]
            there = self._answer(Question(above, question.type), self.records, authoritative=True)
            if there.outcome is not Outcome.NX_DOMAIN:
                source = Question(f"*.{above}", question.type)
                found = self._answer(source, self.records, authoritative=True)
                return replace(found, question=question)
        return answer

    async def recursive(self, question: Question) -> Answer:
        return replace(await self.authoritative(question), authoritative=False)


SITE = {("*.example.com", "A"): ["192.0.2.1"], ("example.com", "A"): ["192.0.2.1"]}
LOST = ("A 192.0.2.1 at send.example.com",)
OWN = {("send.example.com", "A"): ["192.0.2.1"]}


@pytest.mark.parametrize("kind", [RecordType.TXT, RecordType.MX, RecordType.CNAME])
@pytest.mark.parametrize(
    ("name", "records", "wild"),
    [
        ("send.example.com", SITE, LOST),
        ("_dmarc.send.example.com", SITE, LOST),
        ("k1._domainkey.send.example.com", SITE, LOST),
        ("a.send.example.com", SITE, ("A 192.0.2.1 at a.send.example.com", *LOST)),
        ("_dmarc.example.com", SITE, ()),
        ("example.com", SITE, ()),
        # What stands by itself stays, whether it is the same or something else.
        ("_dmarc.send.example.com", {**SITE, **OWN}, ()),
        ("_dmarc.send.example.com", {**SITE, ("x.send.example.com", "TXT"): ["x"]}, ()),
        # A deeper wildcard ends nothing above it.
        ("_dmarc.send.example.com", {**SITE, ("*.send.example.com", "A"): ["192.0.2.9"]}, ()),
        (
            "_dmarc.send.example.com",
            {("*.example.com", "MX"): ["5 mx.example.net"], ("*.example.com", "TXT"): ["x"]},
            ("MX 5 mx.example.net at send.example.com", "TXT x at send.example.com"),
        ),
        (
            "_dmarc.send.example.com",
            {("*.example.com", "CNAME"): ["www.example.net"]},
            ("CNAME www.example.net at send.example.com",),
        ),
        ("_dmarc.send.example.com", {("*._domainkey.example.com", "A"): ["192.0.2.1"]}, ()),
    ],
)
def test_what_a_wildcard_would_answer_no_more_is_seen(
    name: str, records: dict[tuple[str, str], list[str]], wild: tuple[str, ...], kind: RecordType
) -> None:
    place = at(Synthesizing(records), name, kind)
    assert place is not None
    assert place.wild == wild


@pytest.mark.parametrize(
    "failing", ["send.example.com", invented_name("example.com"), invented_name("send.example.com")]
)
def test_what_cannot_be_seen_above_or_beside_makes_the_name_unseen(failing: str) -> None:
    zone = Synthesizing(SITE)
    zone.failing = {failing: Outcome.TIMEOUT, invented_name("send.example.com"): Outcome.TIMEOUT}
    assert at(zone, "_dmarc.send.example.com", RecordType.TXT) is None


WEB, TEXT = ("*.example.com", "A"), ("*.example.com", "TXT")


@pytest.mark.parametrize(
    ("records", "names", "ended"),
    [
        ({WEB: ["192.0.2.1"]}, [KEY], {}),
        ({WEB: ["192.0.2.1"]}, ["_dmarc.example.com"], {}),
        ({WEB: ["192.0.2.1"]}, ["_dmarc.send.example.com"], {"send.example.com": ("A 192.0.2.1",)}),
        (
            {WEB: ["192.0.2.1"], TEXT: ["x"]},
            ["k1._domainkey.send.example.com", "_dmarc.send.example.com", "b.a.example.com"],
            dict.fromkeys(
                ("send.example.com", "a.example.com", "b.a.example.com"), ("A 192.0.2.1", "TXT x")
            ),
        ),
        # What exists has no answers of the wildcard beside it, nor have names below it.
        ({WEB: ["192.0.2.1"], ("send.example.com", "TXT"): ["x"]}, ["_dmarc.send.example.com"], {}),
        (
            {("*.send.example.com", "CNAME"): ["web.example.net"]},
            ["_dmarc.send.example.com", "click.send.example.com"],
            {"click.send.example.com": ("CNAME web.example.net",)},
        ),
        ({("www.example.com", "A"): ["192.0.2.1"]}, ["_dmarc.send.example.com"], {}),
    ],
)
def test_what_a_record_at_a_name_ends(
    records: dict[tuple[str, str], list[str]], names: list[str], ended: dict[str, tuple[str, ...]]
) -> None:
    zone = Synthesizing(records)
    found = run(wildcards_ended_by(zone, names, "example.com"))
    assert {name: tuple(map(" ".join, answers)) for name, answers in found.items()} == ended
    # And so it is once one stands there.
    for name in names:
        zone.records[name, "TXT"] = ["anything"]
    assert run(wildcards_ended_by(zone, names, "example.com")) == {}


def test_what_cannot_be_seen_of_a_wildcard_is_not_told() -> None:
    zone = Synthesizing({WEB: ["192.0.2.1"]})
    zone.failing["send.example.com"] = Outcome.TIMEOUT
    found = run(wildcards_ended_by(zone, ["_dmarc.send.example.com"], "example.com"))
    assert found == {}


K1, S1 = (f"{selector}._domainkey.send.example.com" for selector in ("k1", "s1"))
DMARC = "_dmarc.send.example.com"


@pytest.mark.parametrize(
    ("records", "used", "name", "ends"),
    [
        # The name between them exists from then on,
        ({TEXT: ["key"]}, S1, K1, True),
        ({("*.send.example.com", "TXT"): ["key"]}, S1, K1, True),
        ({("*.example.com", "CNAME"): ["other.net"], ("other.net", "TXT"): ["k"]}, S1, K1, True),
        ({TEXT: ["policy"]}, DMARC, K1, True),
        ({TEXT: ["policy"]}, DMARC, "send.example.com", True),
        ({TEXT: ["policy"]}, "send.example.com", DMARC, True),
        ({TEXT: ["policy"]}, "send.example.com", "send.example.com", True),
        # but for the one that the wildcard stands below, and others that exist already.
        ({("*._domainkey.send.example.com", "TXT"): ["key"]}, S1, K1, False),
        ({("*.send.example.com", "TXT"): ["policy"]}, DMARC, K1, False),
        ({TEXT: ["key"]}, "a.example.com", K1, False),
        ({("send.example.com", "A"): ["192.0.2.1"], (DMARC, "TXT"): ["own"]}, DMARC, K1, False),
        ({TEXT: ["key"], (S1, "TXT"): ["key"]}, S1, K1, False),
        ({TEXT: ["key"], (S1, "TXT"): ["own"]}, S1, K1, False),
        ({}, S1, K1, False),
    ],
)
def test_a_record_ends_what_a_wildcard_answers_for_another(
    records: dict[tuple[str, str], list[str]], used: str, name: str, ends: bool
) -> None:
    zone, asked = Synthesizing(records), Question(used, RecordType.TXT)
    before = run(zone.authoritative(asked)).values
    found = run(synthesized_until(zone, {asked: [name]}, "example.com"))
    assert found == ({asked: name} if ends else {})
    # It is told if it is so.
    zone.records.setdefault((name, "MX"), []).append("10 mx.example.net")
    assert (run(zone.authoritative(asked)).values != before) is ends


def test_what_is_valid_by_a_wildcard_that_a_fix_ends_is_published_before() -> None:
    """It works until then: told is what keeps it so, beside the record that it has itself."""
    spec = {
        "domain": "send.example.com",
        "dkim": [{"selector": "s1", "publicKey": RSA}, {"selector": "k1", "cname": "k1.net"}],
    }
    key = f"v=DKIM1; p={RSA}"
    zone = Synthesizing({TEXT: [key], ("k1.net", "TXT"): [f"p={OTHER_RSA}"]})
    report = run(verify(plan_of(**spec), zone))
    states = {each.id: each.state.value for each in report.records}
    assert (states["dkim-s1"], states["dkim-k1"]) == ("Valid", "Conflicting")
    told = [each for each in report.findings if each.subject == "dkim-s1"]
    assert [each.code for each in told] == ["FIX_ENDS_WILDCARD"]
    fix = told[0].fix
    assert fix is not None
    assert (fix.action, fix.name, fix.value) == (FixAction.CREATE, S1, key)
    zone.apply(fix)
    for each in [each for each in report.findings if each.subject == "dkim-k1"]:
        assert each.fix is not None
        zone.apply(each.fix)
    after = run(verify(plan_of(**spec), zone))
    states = {each.id: each.state.value for each in after.records}
    assert (states["dkim-s1"], states["dkim-k1"]) == ("Valid", "Valid")


def test_a_fix_that_ends_what_a_wildcard_answers_says_so() -> None:
    spec = {"domain": "send.example.com", "dmarc": {}, "dkim": [{"selector": "k", "cname": HOST}]}
    zone = Synthesizing({WEB: ["192.0.2.1"], TEXT: ["-----BEGIN PRIVATE KEY-----"]})
    plan = plan_of(**spec)
    report = run(verify(plan, zone))
    (told,) = [each for each in report.findings if each.code == "FIX_ENDS_WILDCARD"]
    assert "answers A 192.0.2.1, TXT at send.example.com" in told.message
    assert told.fix is not None
    assert "publish at send.example.com" in told.fix.instruction
    assert "PRIVATE" not in told.model_dump_json()
    # Whoever does so loses nothing, and is warned no more.
    zone.records["send.example.com", "A"] = ["192.0.2.1"]
    report = run(verify(plan, zone))
    assert "FIX_ENDS_WILDCARD" not in {each.code for each in report.findings}


def test_advice_takes_away_nothing_that_a_wildcard_answers() -> None:
    spec = {"domain": "send.example.com", "dmarc": {"policy": "quarantine"}}
    zone = Synthesizing(
        {
            WEB: ["192.0.2.1"],
            TEXT: ["v=dmarc1; p=none"],
            ("_dmarc.example.com", "TXT"): ["v=DMARC1; p=reject"],
        }
    )
    plan = plan_of(**spec)
    plan = replace(plan, records=tuple(each for each in plan.records if each.id == "dmarc"))
    report = run(verify(plan, zone))
    told = {each.code: each for each in report.findings}
    fix = told["DMARC_OWN_IGNORED"].fix
    assert fix is not None
    assert (fix.action, fix.host_label, fix.remove) == (FixAction.CREATE, "_dmarc.send", [])
    assert "does not stand at _dmarc.send.example.com" in told["DMARC_OWN_IGNORED"].message
    ending = "answers A 192.0.2.1, TXT at send.example.com, and no more once TXT at _dmarc.send"
    assert ending in told["FIX_ENDS_WILDCARD"].message
    zone.apply(fix)
    zone.records["send.example.com", "A"] = ["192.0.2.1"]
    after = run(verify(plan, zone))
    assert not {"DMARC_OWN_IGNORED", "FIX_ENDS_WILDCARD"} & {each.code for each in after.findings}
    assert zone.records[TEXT] == ["v=dmarc1; p=none"]


def test_what_a_wildcard_answers_is_deleted_nowhere() -> None:
    spec = {"domain": "send.example.com", "mx": [{"host": "mx.provider.net"}]}
    wild = ["10 mx.provider.net", "99 smtp.google.com"]
    hosts = {(value.split()[1], "A"): [f"192.0.2.{value.split()[0]}"] for value in wild}
    for owner in ("*.example.com", "send.example.com"):
        report = run(verify(plan_of(**spec), Synthesizing({(owner, "MX"): wild, **hosts})))
        (told,) = [each for each in report.findings if each.code == "MX_OLD_PROVIDER"]
        assert told.fix is not None
        stands = owner == "send.example.com"
        assert told.fix.action is (FixAction.DELETE if stands else FixAction.EXTERNAL)
        assert ("publish at send.example.com all that is to be" in told.message) is not stands
