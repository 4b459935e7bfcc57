# SPDX-License-Identifier: Apache-2.0
"""Alignment of planned identifiers, the Public Suffix List beside the walk, external reports."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns import dmarc
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.dmarc import (
    Alignment,
    AlignmentMode,
    Circumstances,
    Consent,
    Discovery,
    ExternalDestination,
    Mechanism,
    Misalignment,
    PlannedIdentifier,
)

PLAIN = "v=DMARC1; p=none"


def answer(name: str, *values: str, outcome: Outcome | None = None) -> Answer:
    there = Outcome.FOUND if values else Outcome.NX_DOMAIN
    return Answer(Question(name, RecordType.TXT), outcome or there, values)


def discover(domain: str, records: Mapping[str, str]) -> Discovery:
    answers = {}
    for name in dmarc.walk_names(domain):
        text = records.get(name.removeprefix("_dmarc."))
        answers[name] = answer(name, *([] if text is None else [text]))
    return dmarc.discover(domain, answers)


def align(
    author: str, domain: str, records: Mapping[str, str], mechanism: Mechanism = Mechanism.DKIM
) -> Alignment:
    found = {domain: discover(domain, records)}
    return dmarc.align(discover(author, records), PlannedIdentifier(mechanism, domain), found)


ORGANISATION = {"example.com": PLAIN}
SENDER = {"send.example.com": PLAIN}
BOTH = {**ORGANISATION, **SENDER}
STRICT = {"example.com": "v=DMARC1; p=none; adkim=s"}
CUT = {"example.com": PLAIN, "send.example.com": "v=DMARC1; p=none; psd=n"}
SUFFIX = {"example.com": "v=DMARC1; p=none; psd=y"}


@pytest.mark.parametrize(
    ("author", "domain", "records", "why"),
    [
        ("example.com", "example.com", {}, None),
        ("example.com", "example.com", STRICT, None),
        ("example.com", "send.example.com", ORGANISATION, None),
        ("send.example.com", "example.com", ORGANISATION, None),
        ("a.example.com", "b.example.com", ORGANISATION, None),
        ("send.example.com", "bounce.send.example.com", SENDER, None),
        ("send.example.com", "bounce.send.example.com", BOTH, None),
        ("send.example.com", "bounce.send.example.com", CUT, None),
        ("example.com", "provider.net", ORGANISATION, Misalignment.OTHER_ORGANISATION),
        ("example.com", "other.com", ORGANISATION, Misalignment.OTHER_ORGANISATION),
        ("example.com", "send.example.com", STRICT, Misalignment.STRICT_MODE),
        ("send.example.com", "example.com", STRICT, Misalignment.STRICT_MODE),
        ("send.example.com", "example.com", CUT, Misalignment.SEPARATED_BY_RECORD),
        ("example.com", "send.example.com", CUT, Misalignment.SEPARATED_BY_RECORD),
        ("a.example.com", "b.example.com", SUFFIX, Misalignment.PUBLIC_SUFFIX),
        ("send.example.com", "example.com", SENDER, Misalignment.NO_COMMON_RECORD),
        ("send.example.com", "bounce.example.com", SENDER, Misalignment.NO_COMMON_RECORD),
    ],
)
def test_alignment(
    author: str, domain: str, records: dict[str, str], why: Misalignment | None
) -> None:
    found = align(author, domain, records)
    assert (found.aligned, found.why) == (why is None, why)


def test_each_mechanism_has_its_mode() -> None:
    for mechanism, aligned in ((Mechanism.DKIM, False), (Mechanism.SPF, True)):
        assert align("example.com", "b.example.com", STRICT, mechanism).aligned is aligned
    strict = {"example.com": "v=DMARC1; p=none; aspf=s"}
    assert align("example.com", "b.example.com", strict, Mechanism.SPF).aligned is False


def test_the_mode_is_inherited() -> None:
    assert align("a.example.com", "example.com", STRICT).mode is AlignmentMode.STRICT


def test_what_could_not_be_asked_is_not_known() -> None:
    author = dmarc.discover("example.com", {})
    for domain, aligned in (("example.com", True), ("b.example.com", None)):
        identifier = PlannedIdentifier(Mechanism.SPF, domain)
        assert dmarc.align(author, identifier, {}).aligned is aligned


@pytest.mark.parametrize(
    ("domain", "organisation"),
    [
        ("a.b.example.com", "example.com"),
        ("example.com", "example.com"),
        ("com", "com"),
        ("a.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("x.y.unknowntld", "y.unknowntld"),
    ],
)
def test_the_list(domain: str, organisation: str) -> None:
    assert dmarc.suffixes.organisational_domain(domain) == organisation


@pytest.mark.parametrize(
    ("domain", "public"),
    [("com", True), ("co.uk", True), ("example.com", False), ("lab", False), ("github.io", False)],
)
def test_public_suffixes(domain: str, public: bool) -> None:
    assert dmarc.is_public_suffix(domain) is public


@pytest.mark.parametrize(
    ("domain", "records", "expected"),
    [
        ("a.example.com", ORGANISATION, None),
        ("a.example.com", {}, None),
        ("send.example.com", SENDER, ("send.example.com", "example.com", False)),
        ("a.send.example.com", SENDER, ("send.example.com", "example.com", True)),
        ("a.send.example.com", CUT, ("send.example.com", "example.com", None)),
        ("example.com", {"com": "v=DMARC1; p=reject"}, ("com", "example.com", True)),
        ("a.example.com", {"com": "v=DMARC1; p=reject; psd=y"},
         ("example.com", "example.com", True)),
    ],
)  # fmt: skip
def test_disagreement(
    domain: str, records: dict[str, str], expected: tuple[str, str, bool | None] | None
) -> None:
    found = dmarc.disagreement(domain, discover(domain, records))
    assert (found and (found.walk, found.suffix_list, found.policies_differ)) == expected


def test_old_receivers_align_by_the_list() -> None:
    assert dmarc.aligned_by_list("send.example.com", "example.com", AlignmentMode.RELAXED)
    assert not dmarc.aligned_by_list("send.example.com", "example.com", AlignmentMode.STRICT)
    assert not dmarc.aligned_by_list("a.co.uk", "b.co.uk", AlignmentMode.RELAXED)


def test_names_of_report_authorisation() -> None:
    found = ExternalDestination("blue.example.com", "red.example.net")
    assert found.name == "blue.example.com._report._dmarc.red.example.net"
    assert found.wildcard == "*._report._dmarc.red.example.net"


def test_destinations_are_read_from_valid_addresses() -> None:
    record = dmarc.parse(
        "v=DMARC1; rua=mailto:a@x.org!1m,mailto:b@Y.org,c@z.org,https://w.org; ruf=mailto:f@v.org"
    )
    assert dmarc.destinations(record) == ("v.org", "x.org", "y.org")
    assert dmarc.report_domain("mailto:A@X.org!10m") == "x.org"


def test_only_other_organisations_must_agree() -> None:
    organisations = {
        "a.example.com": "example.com",
        "b.example.com": "example.com",
        "reports.net": "reports.net",
        "broken.org": None,
    }
    foreign, unknown = dmarc.external("a.example.com", list(organisations), organisations)
    assert foreign == (ExternalDestination("a.example.com", "reports.net"),)
    assert unknown == ("broken.org",)
    assert dmarc.external("a.example.com", ["a.example.com"], {}) == ((), ())


DESTINATION = ExternalDestination("example.com", "reports.net")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["v=DMARC1"], Consent.GIVEN),
        (["v=DMARC1;"], Consent.GIVEN),
        (["v=DMARC1; rua=mailto:x@reports.net"], Consent.GIVEN),
        (["v=DMARC1", "v=DMARC1; p=none"], Consent.GIVEN),
        (["v=DMARC1", "v=spf1 -all"], Consent.GIVEN),
        (["v=dmarc1"], Consent.ABSENT),
        (["yes"], Consent.ABSENT),
        ([], Consent.ABSENT),
        (["v=DMARC1; rua=mailto:x@other.net"], Consent.OVERRIDE_FOREIGN),
    ],
)
def test_consent(values: list[str], expected: Consent) -> None:
    assert dmarc.consent(DESTINATION, answer(DESTINATION.name, *values)) is expected


def test_consent_that_could_not_be_asked() -> None:
    unknown = answer(DESTINATION.name, outcome=Outcome.TIMEOUT)
    assert dmarc.consent(DESTINATION, unknown) is Consent.UNKNOWN
    far = ExternalDestination(".".join(["x" * 60] * 3), f"{'y' * 60}.net")
    assert dmarc.consent(far, answer(far.name)) is Consent.UNASKABLE


def test_a_wildcard_that_does_not_match_is_masked() -> None:
    wildcard = answer(DESTINATION.wildcard, "v=DMARC1")
    empty = answer(DESTINATION.name, outcome=Outcome.NO_DATA)
    assert dmarc.consent(DESTINATION, empty, wildcard) is Consent.MASKED
    assert dmarc.consent(DESTINATION, empty, answer(DESTINATION.wildcard)) is Consent.ABSENT


def advice(text: str, circumstances: Circumstances | None = None) -> list[str]:
    record = dmarc.parse(text)
    return [one.code for one in dmarc.advise(record, circumstances or Circumstances())]


RUA = "rua=mailto:a@x.org"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"v=DMARC1; p=reject; {RUA}", []),
        (f"v=DMARC1; p=none; np=reject; {RUA}", []),
        (f"v=DMARC1; p=none; {RUA}", []),
        ("v=DMARC1; p=none; np=reject", ["DMARC_NONE_WITHOUT_RUA"]),
        ("v=DMARC1; p=reject", ["DMARC_RUA_ABSENT"]),
        (f"v=DMARC1; p=reject; sp=none; np=reject; {RUA}", ["DMARC_SP_WEAKER"]),
        (f"v=DMARC1; p=reject; np=none; {RUA}", ["DMARC_SP_WEAKER"]),
        (f"v=DMARC1; p=reject; t=y; {RUA}", ["DMARC_TEST_MODE"]),
        (f"v=DMARC1; p=none; np=reject; t=y; {RUA}", []),
        (f"v=DMARC1; p=reject; pct=5; ri=1; {RUA}", ["DMARC_REMOVED_TAGS"]),
        (f"v=DMARC1; p=reject; psd=y; {RUA}", ["DMARC_PSD"]),
        (f"v=DMARC1; p=reject; {RUA}!10m", ["DMARC_URI_SIZE"]),
        (f"v=DMARC1; p=reject; adkim=x; {RUA}", ["DMARC_IGNORED_TAG"]),
        ("v=DMARC1; p=what", []),
    ],
)
def test_advice(text: str, expected: list[str]) -> None:
    assert advice(text) == expected


def test_advice_depends_on_the_circumstances() -> None:
    people = Circumstances(people=True)
    assert advice(f"v=DMARC1; p=reject; {RUA}", people) == ["DMARC_REJECT_PEOPLE"]
    assert advice(f"v=DMARC1; p=quarantine; np=reject; {RUA}", people) == []
    below = Circumstances(organisational=False)
    assert advice(f"v=DMARC1; p=reject; sp=none; {RUA}", below) == ["DMARC_SP_IGNORED"]
    assert advice(f"v=DMARC1; p=none; {RUA}", below) == []


@pytest.mark.parametrize(
    ("wanted", "previous", "jump"),
    [
        ("reject", None, True),
        ("reject", "none", True),
        ("reject", "quarantine", False),
        ("reject", "reject", False),
        ("quarantine", None, False),
        ("none", None, False),
    ],
)
def test_a_jump_to_reject(wanted: str, previous: str | None, jump: bool) -> None:
    before = None if previous is None else DMARCPolicy(previous)
    found = dmarc.on_change(DMARCPolicy(wanted), Circumstances(previous=before))
    assert bool(found) is jump


@given(st.text(alphabet="psnptv=DMARC1; nonerejctqua,:@x.\xa0"))
def test_advice_is_whole_printable_sentences(text: str) -> None:
    found = dmarc.advise(dmarc.parse(f"v=DMARC1; p=reject; {text}"), Circumstances(people=True))
    for one in found:
        assert one.sentence.endswith(".")
        assert one.sentence.isascii()
        assert one.sentence.isprintable()
