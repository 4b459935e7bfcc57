# SPDX-License-Identifier: Apache-2.0
"""DMARC beyond the closed loop.

Covers: what a parent's policy comes to, also at old receivers; several records become one with all
addresses; aliases; every damage has a fix that works; a fix keeps what applied by a parent's
record, and a parent that cannot be asked makes nothing missing.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnsworld.clock import run
from postroom.api.findings import Finding, Severity
from postroom.api.names import Kind
from postroom.api.resource import parse_spec
from postroom.api.sendingdomain import DMARCPolicy, RecordState, SendingDomainSpec
from postroom.dns import dmarc, planning
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.dmarc.record import strictness
from postroom.dns.verifying.report import DomainReport
from postroom.dns.verifying.verify import verify
from unit.dns.domains import DMARC, DOMAIN, HEALTHY, look, record
from unit.dns.fake_zone import FakeZone, Key

PARENT: Key = ("_dmarc.example.com", "TXT")
GOOD = "v=DMARC1; p=quarantine; rua=mailto:dmarc@example.com"


def about_dmarc(report: DomainReport) -> list[Finding]:
    return [finding for finding in report.findings if finding.subject == "dmarc"]


def told(change: dict[Key, list[str]], **spec: Any) -> list[tuple[str, str]]:
    found = about_dmarc(look(FakeZone({**HEALTHY, **change}), **spec))
    return [(one.code, one.severity.value) for one in found]


def test_a_parent_that_is_strict_enough_is_worth_a_note() -> None:
    zone = FakeZone({**HEALTHY, DMARC: [], PARENT: [GOOD]})
    report = look(zone)
    assert record(report, "dmarc").state is RecordState.VALID
    assert told({DMARC: [], PARENT: [GOOD]}) == [("DMARC_INHERITED", "Info")]


@pytest.mark.parametrize("text", ["v=dmarc1; p=none", '"v=DMARC1; p=reject"', "v=DMARC2; p=none"])
def test_an_ignored_record_takes_nothing_from_the_parents(text: str) -> None:
    zone = FakeZone({**HEALTHY, DMARC: [text], PARENT: [f"{GOOD}; adkim=s"]})
    report = look(zone)
    assert record(report, "dmarc").state is RecordState.VALID
    found = about_dmarc(report)[0]
    assert (found.code, found.severity) == ("DMARC_OWN_IGNORED", Severity.WARNING)
    assert "receivers ignore it" in found.message
    assert "comes to quarantine here" in found.message
    assert found.fix is not None
    kept = dmarc.parse(found.fix.value or "")
    assert strictness(kept.policy) >= strictness(DMARCPolicy.QUARANTINE)
    assert (kept.rua, "adkim=s" in (found.fix.value or "")) == (("mailto:dmarc@example.com",), True)
    zone.apply(found.fix)
    assert about_dmarc(look(zone)) == []


@pytest.mark.parametrize(
    ("texts", "parent"),
    [
        (["v=dmarc1; p=reject"], "v=DMARC1; p=none; rua=mailto:dmarc@example.com"),
        (["v=dmarc1; p=reject"], "v=DMARC1; p=quarantine; sp=none"),
        (["v=DMARC1; q=reject"], GOOD),
        (["v=DMARC1; p=none", "v=DMARC1; p=reject"], GOOD),
    ],
)
def test_what_is_not_all_that_the_spec_asks_for_is_no_comfort(
    texts: list[str], parent: str
) -> None:
    report = look(FakeZone({**HEALTHY, DMARC: texts, PARENT: [parent]}))
    assert record(report, "dmarc").state in (RecordState.WRONG, RecordState.CONFLICTING)
    assert about_dmarc(report)[0].severity is Severity.ERROR


@pytest.mark.parametrize(
    ("parent", "so"),
    [
        (f"{GOOD}; sp=none", "comes to none here"),
        ("v=DMARC1; p=reject", "comes to reject here"),
        ("v=DMARC1", "No policy of a parent applies either"),
    ],
)
def test_what_a_parent_lacks_is_said(parent: str, so: str) -> None:
    (found,) = about_dmarc(look(FakeZone({**HEALTHY, DMARC: [], PARENT: [parent]})))
    assert (found.code, so in found.message) == ("DMARC_MISSING", True)


def test_receivers_of_the_old_kind_may_not_see_the_parent() -> None:
    deep = f"a.{DOMAIN}"
    records = {
        **HEALTHY,
        PARENT: [],
        (f"_dmarc.{DOMAIN}", "TXT"): [GOOD],
        (deep, "TXT"): [
            "provider-verify=abc",
            "v=spf1 include:spf.provider.net ip4:192.0.2.7 ~all",
        ],
    }
    report = look(FakeZone(records), domain=deep, dkim=[], mx=[])
    assert {one.code for one in about_dmarc(report)} >= {"DMARC_INHERITED", "DMARC_PSL_DISAGREES"}


def test_a_damaged_text_never_takes_the_place_of_a_record() -> None:
    texts = ["v=DMARC1; p=none; fo=1; ruf=mailto:a@example.com", '"v=DMARC1; p=reject"']
    (found,) = about_dmarc(look(FakeZone({**HEALTHY, DMARC: texts})))
    assert found.code == "DMARC_POLICY_WEAK"
    assert found.fix is not None
    assert "fo=1; ruf=mailto:a@example.com" in found.fix.value


def test_several_become_the_strictest_with_all_addresses() -> None:
    texts = [GOOD, "v=DMARC1; p=reject; rua=mailto:other@example.com", "v=DMARC1; p=none"]
    zone = FakeZone({**HEALTHY, DMARC: texts})
    found, jump = about_dmarc(look(zone))
    assert jump.code == "DMARC_POLICY_JUMP"
    assert found.fix is not None
    assert found.fix.value == (
        "v=DMARC1; p=reject; rua=mailto:other@example.com,mailto:dmarc@example.com"
    )
    zone.apply(found.fix)
    assert about_dmarc(look(zone)) == []


@pytest.mark.parametrize("text", ["v=DMARC1; p=none", "nothing", "v=spf1 -all"])
def test_a_cname_in_the_way_is_taken_out(text: str) -> None:
    alias: Key = (DMARC[0], "CNAME")
    zone = FakeZone(
        {**HEALTHY, DMARC: [], alias: ["d.vendor.net"], ("d.vendor.net", "TXT"): [text]}
    )
    (found,) = about_dmarc(look(zone))
    assert found.severity is Severity.ERROR
    assert found.fix is not None
    assert [(one.type, one.value) for one in found.fix.remove] == [("CNAME", "d.vendor.net")]
    zone.apply(found.fix)
    assert about_dmarc(look(zone)) == []


TAGS = st.sampled_from(
    (
        "p=none",
        "p=reject",
        "p=block",
        "sp=quarantine",
        "np=bogus",
        "pct=50",
        "t=y",
        "psd=n",
        "adkim=x",
        "rua=mailto:dmarc@example.com",
        "rua=dmarc@example.com",
        "rua=mailto:a@b.net!10m",
        "ruf=",
        "fo=1:d",
        "=",
        "v=DMARC1",
        "\u201cp=none\u201d".encode().decode("latin-1"),
    )
)
VERSIONS = st.sampled_from(("v=DMARC1", "v=dmarc1", "DMARC1", "v=DMARC", '"v=DMARC1', "v=spf1 a"))
SEPARATORS = st.sampled_from(("; ", ";", ", ", " ", "\\; "))
POLICIES = st.builds(
    lambda version, separator, tags: separator.join([version, *tags]),
    VERSIONS,
    SEPARATORS,
    st.lists(TAGS, max_size=5),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(POLICIES, max_size=3, unique=True))
def test_a_fix_makes_any_policy_valid(texts: list[str]) -> None:
    zone = FakeZone({**HEALTHY, DMARC: texts})
    report = look(zone)
    if record(report, "dmarc").state is RecordState.VALID:
        return
    found = about_dmarc(report)[0]
    assert found.fix is not None
    zone.apply(found.fix)
    assert record(look(zone), "dmarc").state is RecordState.VALID, found


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (
            ["v=DMARC1; p=none", "v=DMARC1; p=reject"],
            "ask for p=none and p=reject, the fix for p=r",
        ),
        (["v=DMARC1; p=reject", "v=DMARC1; p=reject; sp=none"], ""),
    ],
)
def test_of_several_policies_it_is_said_which_the_fix_asks_for(texts: list[str], said: str) -> None:
    (told_of,) = [
        one.message
        for one in about_dmarc(look(FakeZone({**HEALTHY, DMARC: texts}), dmarc={"policy": "none"}))
        if one.code == "DMARC_MULTIPLE"
    ]
    assert said in told_of
    assert ("they ask for" in told_of) is bool(said)


@pytest.mark.parametrize(
    ("parent", "texts", "spec", "value"),
    [
        (
            "v=DMARC1; p=none; sp=reject; np=none; rua=mailto:o@example.com; adkim=s; psd=n; t=n",
            [],
            {"policy": "quarantine", "rua": ["mailto:d@example.com"]},
            "v=DMARC1; p=reject; rua=mailto:d@example.com,mailto:o@example.com; adkim=s",
        ),
        # Test mode lowers what applies, and is not carried over.
        (
            "v=DMARC1; p=reject; t=y; ruf=mailto:f@example.com",
            [],
            {"policy": "none", "rua": ["mailto:d@example.com"]},
            "v=DMARC1; p=quarantine; rua=mailto:d@example.com; ruf=mailto:f@example.com",
        ),
        # Names below an organisation of its own get what its record says, no longer the suffix's.
        (
            "v=DMARC1; p=none; sp=none; np=reject; psd=y",
            [],
            {"policy": "none", "rua": ["mailto:d@example.com"]},
            "v=DMARC1; p=none; rua=mailto:d@example.com; np=reject",
        ),
        (
            "v=DMARC1; p=none; sp=quarantine; np=reject; psd=y",
            ["v=dmarc1; p=reject; sp=none; psd=n; t=y"],
            {"policy": "quarantine", "rua": ["mailto:d@example.com"]},
            "v=DMARC1; p=reject; psd=n; rua=mailto:d@example.com; sp=quarantine; np=reject",
        ),
        # Below another organisation's domain they go on to get what that says.
        (
            "v=DMARC1; p=none; sp=none; np=reject; fo=1",
            [],
            {"policy": "none", "rua": ["mailto:d@example.com"]},
            "v=DMARC1; p=none; rua=mailto:d@example.com; fo=1",
        ),
        # Receivers ignore both of two records, and what is no record, so that the parent's counts.
        (
            "v=DMARC1; p=reject; aspf=s; fo=1",
            ["v=DMARC1; p=none; aspf=r", "v=DMARC1; p=none; rua=mailto:d@example.com"],
            {"policy": "none"},
            "v=DMARC1; p=reject; aspf=r; rua=mailto:d@example.com; fo=1",
        ),
        (
            "v=DMARC1; p=reject",
            ["v=dmarc1; p=none; rua=mailto:d@example.com"],
            {"policy": "none"},
            "v=DMARC1; p=reject; rua=mailto:d@example.com",
        ),
        # What is applied to the domain itself, the parent's no longer is.
        ("v=DMARC1; p=reject", ["v=DMARC1; p=none"], {"policy": "quarantine"},
         "v=DMARC1; p=quarantine"),
    ],
)  # fmt: skip
def test_what_applies_by_the_parents_record_is_kept(
    parent: str, texts: list[str], spec: dict[str, Any], value: str
) -> None:
    zone = FakeZone({**HEALTHY, DMARC: texts, PARENT: [parent]})
    found = about_dmarc(look(zone, dmarc=spec))[0]
    assert found.fix is not None
    assert found.fix.value == value
    kept = "keeps what the record of example.com asks for" in found.message
    assert kept is (texts != ["v=DMARC1; p=none"])


def test_a_parent_that_cannot_be_asked_makes_nothing_missing() -> None:
    zone = FakeZone({**HEALTHY, DMARC: [], PARENT: [GOOD]})
    for failing in (zone.failing, zone.failing_resolver):
        failing[PARENT[0]] = Outcome.TIMEOUT
        assert record(look(zone), "dmarc").state is RecordState.UNKNOWN
        failing.clear()
    assert record(look(zone), "dmarc").state is RecordState.VALID


@pytest.mark.parametrize("outcome", [Outcome.TIMEOUT, Outcome.SERVER_FAILURE, Outcome.REFUSED])
@pytest.mark.parametrize(
    ("apex", "who"),
    [
        ("example.com", "the name servers of example.com (ns1.example.net, ns2.example.net)"),
        (DOMAIN, "whoever runs the DNS of example.com"),
    ],
)
def test_a_parent_that_never_answers_is_named_with_what_ends_that(
    apex: str, who: str, outcome: Outcome
) -> None:
    zone = FakeZone({**HEALTHY, DMARC: [], PARENT: [GOOD]}, apex)
    zone.failing[PARENT[0]] = outcome
    (found,) = about_dmarc(look(zone))
    assert (found.code, found.fix) == ("LOOKUP_FAILED", None)
    assert f"could not be asked for TXT at {PARENT[0]}" in found.message
    assert f"{who} must be made to answer, or a record be published at {DMARC[0]}" in found.message
    assert f" TXT {PARENT[0]}" in found.ask
    # Whatever the parent has, the domain's own counts, and who is near gets its reports.
    zone.records[DMARC] = [GOOD]
    assert record(look(zone), "dmarc").state is RecordState.VALID
    # Of a stranger it is to be seen whether he has agreed.
    zone.records[DMARC] = [f"{GOOD},mailto:d@reports.net"]
    spec = {"policy": "quarantine", "rua": ["mailto:d@reports.net"]}
    judged = record(look(zone, dmarc=spec), "dmarc")
    assert (judged.state, PARENT[0] in judged.message) == (RecordState.UNKNOWN, True)
    zone.records[f"{DOMAIN}._report._dmarc.reports.net", "TXT"] = ["v=DMARC1"]
    assert record(look(zone, dmarc=spec), "dmarc").state is RecordState.VALID


def test_which_tag_of_the_parent_counts_is_seen_by_both_views() -> None:
    """Whether the domain exists decides it, also where nothing else is asked of the domain."""
    zone = FakeZone({(DOMAIN, "A"): ["192.0.2.1"], PARENT: [f"{GOOD}; np=reject"]})
    spec = parse_spec(Kind.SENDING_DOMAIN, {"domain": DOMAIN, "dmarc": {"policy": "quarantine"}})
    assert isinstance(spec, SendingDomainSpec)
    report = run(verify(planning.plan(spec, "mail", b"key", {}), zone))
    assert record(report, "dmarc").state is RecordState.VALID


TAGS_ABOVE = st.sampled_from(
    ("sp=none", "sp=reject", "np=none", "np=quarantine", "rua=mailto:o@example.com", "adkim=s",
     "aspf=s", "t=y", "fo=1", "ruf=mailto:f@example.com", "pct=50", "psd=n", "psd=y", "np=reject")
)  # fmt: skip
ABOVE = st.builds(
    lambda policy, tags: "; ".join(["v=DMARC1", f"p={policy}", *tags]),
    st.sampled_from(tuple(DMARCPolicy)),
    st.lists(TAGS_ABOVE, max_size=5, unique_by=lambda tag: tag.partition("=")[0]),
)


@settings(max_examples=100, deadline=None)
@given(ABOVE, st.lists(POLICIES, max_size=2, unique=True), st.sampled_from(tuple(DMARCPolicy)))
def test_no_fix_weakens_what_applies(above: str, texts: list[str], policy: DMARCPolicy) -> None:
    zone = FakeZone({**HEALTHY, DMARC: texts, PARENT: [above]})
    spec = {"policy": policy.value, "rua": ["mailto:d@example.com"]}
    before, found = applying(zone), about_dmarc(look(zone, dmarc=spec))
    below = [applying(zone, f"a.{DOMAIN}", exists=exists) for exists in (True, False)]
    if not found or found[0].fix is None:
        return
    zone.apply(found[0].fix)
    for old in below:
        new = applying(zone, old.domain, exists=old is below[0])
        if old.policy is not None:
            assert new.policy is not None
            assert strictness(new.policy) >= strictness(old.policy), found[0]
    after = applying(zone)
    if before.policy is None:
        return
    assert after.policy is not None
    assert strictness(after.policy) >= strictness(before.policy), found[0]
    if before.source is not dmarc.PolicySource.INHERITED:
        return
    assert before.record is not None
    assert after.record is not None
    assert set(before.record.rua) <= set(after.record.rua), found[0]
    said = " ".join(texts)
    for tag, old, new in (
        ("adkim", before.record.adkim, after.record.adkim),
        ("aspf", before.record.aspf, after.record.aspf),
    ):
        assert tag in said or old is new, found[0]


def applying(zone: FakeZone, domain: str = DOMAIN, *, exists: bool = True) -> dmarc.Discovery:
    """What receivers find for a domain, which exists or does not."""
    answers = {
        name: Answer(
            Question(name, RecordType.TXT),
            Outcome.FOUND,
            tuple(zone.records.get((name, "TXT"), ())),
        )
        for name in dmarc.walk_names(domain)
    }
    return dmarc.discover(domain, answers, exists)


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ("", "how strictly it aligns, and what"),
        ("; adkim=s", "how strictly it aligns, and what"),
        ("; aspf=s", "how strictly it aligns but for aspf=s, which is said here, and what"),
        ("; adkim=r", "how strictly it aligns but for adkim=r, which is said here, and what"),
    ],
)
def test_how_strictly_the_fix_aligns_is_said_as_it_is(own: str, said: str) -> None:
    above = "v=DMARC1; p=none; rua=mailto:o@example.com; adkim=s"
    zone = FakeZone({**HEALTHY, DMARC: [f"v=dmarc1; p=none{own}"], PARENT: [above]})
    found = about_dmarc(look(zone))[0]
    assert said in found.message


WEAK_ABOVE: dict[Key, list[str]] = {("_dmarc.example.com", "TXT"): ["v=DMARC1; p=none"]}


@pytest.mark.parametrize(
    ("records", "domain", "said"),
    [
        ({("_dmarc.example.com", "TXT"): ["v=DMARC1; p=none"]}, "example.com", True),
        ({("_dmarc.example.com", "TXT"): ["v=DMARC1; p=quarantine"]}, "example.com", True),
        ({}, "example.com", True),
        ({("_dmarc.example.com", "TXT"): ["v=dmarc1; p=none"]}, "example.com", True),
        # Whatever the cause is.
        ({("_dmarc.example.com.example.com", "TXT"): ["v=DMARC1; p=reject"]}, "example.com", True),
        # What names below get stays what it is.
        ({("_dmarc.example.com", "TXT"): ["v=DMARC1; p=none; sp=reject"]}, "example.com", False),
        ({("_dmarc.example.com", "TXT"): ["v=DMARC1; p=none; sp=none"]}, "example.com", False),
        # They belong to the organisation above, whose record is the one that counts for them,
        (WEAK_ABOVE, DOMAIN, False),
        ({**WEAK_ABOVE, (f"_dmarc.{DOMAIN}", "TXT"): ["v=DMARC1; p=none"]}, DOMAIN, False),
        # if there is one: without it the walk takes this domain for their organisation's.
        ({}, DOMAIN, True),
        ({(f"_dmarc.{DOMAIN}", "TXT"): ["v=DMARC1; p=none"]}, DOMAIN, True),
        ({**WEAK_ABOVE, (f"_dmarc.{DOMAIN}", "TXT"): ["v=DMARC1; p=none; psd=n"]}, DOMAIN, True),
    ],
)
def test_who_else_gets_a_stricter_policy_is_said(
    records: dict[Key, list[str]], domain: str, said: bool
) -> None:
    zone = FakeZone(records)
    below = f"other.{domain}"
    before = applying(zone, below).policy
    report = look(zone, domain=domain, dmarc={"policy": "reject"})
    found = about_dmarc(report)[0]
    told = f"Names below {domain} that have no policy of their own get reject" in found.message
    assert found.fix is not None
    zone.apply(found.fix)
    # It is said if it is so.
    assert (told, applying(zone, below).policy != before) == (said, said)
