# SPDX-License-Identifier: Apache-2.0
"""Changing a DMARC record: the smallest change that satisfies, proven over generated records."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns import dmarc
from postroom.dns.dmarc import AppliesTo
from postroom.dns.dmarc.record import strictness

NONE, QUARANTINE, REJECT = DMARCPolicy
WANTED = "mailto:d@example.com"


@pytest.mark.parametrize(
    ("existing", "policy", "expected"),
    [
        ("v=DMARC1; p=none", NONE, f"v=DMARC1; p=none; rua={WANTED}"),
        ("v=DMARC1;p=none;sp=reject;", NONE, f"v=DMARC1; p=none; sp=reject; rua={WANTED}"),
        ("v=DMARC1; p=reject", NONE, f"v=DMARC1; p=reject; rua={WANTED}"),
        ("v=DMARC1; p=none; fo=1; aspf=s", QUARANTINE,
         f"v=DMARC1; p=quarantine; fo=1; aspf=s; rua={WANTED}"),
        ("v=DMARC1; p=none; rua=mailto:o@x.org; adkim=s", NONE,
         f"v=DMARC1; p=none; rua=mailto:o@x.org,{WANTED}; adkim=s"),
        ("v=DMARC1; rua=mailto:o@x.org; p=none", NONE,
         f"v=DMARC1; p=none; rua=mailto:o@x.org,{WANTED}"),
        ("v=DMARC1; p=none; rua=mailto:o@x.org!10m", NONE,
         f"v=DMARC1; p=none; rua=mailto:o@x.org,{WANTED}"),
        ("v=DMARC1; p=reject; t=y", REJECT, f"v=DMARC1; p=reject; rua={WANTED}"),
        ("v=DMARC1; p=reject; t=y", QUARANTINE, f"v=DMARC1; p=reject; t=y; rua={WANTED}"),
        ("v=DMARC1; p=none; pct=50; ri=1; rf=afrf", NONE, f"v=DMARC1; p=none; rua={WANTED}"),
        ("v=DMARC1; p=none; sp=what; adkim=x", NONE, f"v=DMARC1; p=none; rua={WANTED}"),
        ("v=DMARC1; p=none; X-y; Zed=1", NONE, f"v=DMARC1; p=none; Zed=1; rua={WANTED}"),
        ("v=DMARC1; p=what", QUARANTINE, f"v=DMARC1; p=quarantine; rua={WANTED}"),
        ("v=dmarc1, p=reject, rua=o@x.org", NONE,
         f"v=DMARC1; p=reject; rua=mailto:o@x.org,{WANTED}"),
        ('"v=DMARC1; p=none"', NONE, f"v=DMARC1; p=none; rua={WANTED}"),
        ("v=spf1 -all", NONE, f"v=DMARC1; p=none; rua={WANTED}"),
        ("", REJECT, f"v=DMARC1; p=reject; rua={WANTED}"),
    ],
)  # fmt: skip
def test_changes(existing: str, policy: DMARCPolicy, expected: str) -> None:
    assert dmarc.with_requirements(existing, policy, [WANTED]) == expected


@pytest.mark.parametrize(
    "existing",
    [
        f"v=DMARC1; p=none; rua={WANTED}",
        "V = DMARC1 ;p=Reject;;rua = MAILTO:D@example.com!10m ; pct=100;  zz=1 ",
        f"v=DMARC1;p=quarantine;t=y;rua=mailto:o@x.org,{WANTED}",
        "v=DMARC1; p=none; rua=mailto:%64@example.com",
    ],
)
def test_what_satisfies_stays_byte_by_byte(existing: str) -> None:
    assert dmarc.with_requirements(existing, NONE, [WANTED]) == existing


TAGS = st.sampled_from(
    [
        "", "p=none", "p=quarantine", "P = reject", "p=x", "t=y", "t=n", "sp=none", "sp=what",
        "np=reject", "fo=1", "fo=9", "adkim=s", "psd=n", "pct=10", "ri=1", "x=y", "x", " ",
        "rua=mailto:o@x.org", "rua=o@x.org", "rua=mailto:o@x.org!1k", "rua=https://x.org/",
        "rua=mailto:d@example.com,mailto:o@x.org", "ruf=mailto:f@x.org", "rua=", "p=none,sp=none",
        "\u201crua\u201d=1", 'p="reject"',
    ]
)  # fmt: skip
VERSIONS = st.sampled_from(["v=DMARC1", "v=dmarc1", "V = DMARC1", '"v=DMARC1', "DMARC1", "x", ""])
SEPARATORS = st.sampled_from(["; ", ";", " ; ", ", ", " "])
RUA = st.lists(
    st.sampled_from([WANTED, "mailto:o@x.org", "mailto:A%b{c@x.org", "mailto:o@y.org"]), max_size=3
)


@given(VERSIONS, st.lists(TAGS, max_size=6), SEPARATORS, st.sampled_from(DMARCPolicy), RUA)
@example("v=DMARC1", ["p=quarantine", "rua=o@x.org", "p=none,sp=none"], "; ", NONE, [])
@example("v=DMARC1", ["p=reject", "x, t=y", "x, np=none"], "; ", NONE, [])
@example("v=DMARC1", ["p=none", "rua=o@x.org"], "; ", NONE, [])
def test_the_result_satisfies_and_loses_nothing(
    version: str, tags: list[str], separator: str, policy: DMARCPolicy, rua: list[str]
) -> None:
    existing = separator.join([version, *tags])
    changed = dmarc.with_requirements(existing, policy, rua)
    found = dmarc.parse(changed)
    assert dmarc.is_dmarc(changed)
    assert dmarc.satisfies(found, policy, rua)
    assert dmarc.with_requirements(changed, policy, rua) == changed
    if not dmarc.is_dmarc(existing):
        return
    before = dmarc.parse(existing)
    if dmarc.satisfies(before, policy, rua) and not dmarc.slips(existing):
        assert changed == existing
    assert not dmarc.missing_reports(found, before.rua)
    assert {one.uri for one in before.aggregate if one.valid} <= {
        one.uri for one in found.aggregate
    }
    for reach in AppliesTo:
        old, new = before.applied(reach), found.applied(reach)
        assert old is None or (new is not None and strictness(new) >= strictness(old))
    assert (found.adkim, found.aspf, found.psd) == (before.adkim, before.aspf, before.psd)


@given(st.text(), st.sampled_from(DMARCPolicy))
def test_any_text_is_changed_into_what_satisfies(text: str, policy: DMARCPolicy) -> None:
    for existing in (text, f"v=DMARC1; {text}"):
        changed = dmarc.with_requirements(existing, policy, [WANTED])
        assert dmarc.satisfies(dmarc.parse(changed), policy, [WANTED])
        assert dmarc.with_requirements(changed, policy, [WANTED]) == changed


def test_what_cannot_stand_in_a_record_is_encoded() -> None:
    text = dmarc.record_for(NONE, ["mailto:a,b!c%d@x.org"])
    assert text == "v=DMARC1; p=none; rua=mailto:a%2Cb%21c%25d@x.org"
    assert not dmarc.missing_reports(dmarc.parse(text), ["mailto:a,b!c%d@x.org"])


WRITTEN = "rua=mailto:d@example.com"
#: However receivers read these now, each names p=reject as its policy.
MEANT_TO_REJECT = [
    "v=DMARC1; p=reject; sp=foo",
    "v=DMARC1; p=reject; sp=",
    "v=DMARC1; p=reject; np=foo",
    "v=DMARC1; p:reject",
    "v=DMARC1; p==reject",
    "v=DMARC1; preject",
    "v=DMARC1; policy=reject",
    "v=DMARC1; dmarc=reject",
    "v=DMARC1; mode: reject",
    "v=DMARC1; p='reject'",
    "v=DMARC1; p=(reject)",
    "v=DMARC1; p=reject.",
    "v=DMARC1; p=rejected",
    "v=DMARC1; p=rejct",
    "v=DMARC1; p=rejekt",
    "v=DMARC2; p=reject",
    "v=DMARC1.1; p=reject",
    "v=DMARC1 p=reject",
    "p=reject",
]


@pytest.mark.parametrize("text", MEANT_TO_REJECT)
@pytest.mark.parametrize("policy", list(DMARCPolicy))
def test_a_fix_is_never_weaker_than_what_is_written(text: str, policy: DMARCPolicy) -> None:
    existing = f"{text}; {WRITTEN}"
    offered = dmarc.with_requirements(existing, policy, [WANTED])
    if offered == existing:
        # What receivers make of it is enough: nothing is changed, and so nothing taken away.
        assert policy is NONE
        return
    made = dmarc.parse(offered)
    assert (made.problem, made.p, made.policy) == (None, REJECT, REJECT)
    assert [one.uri for one in made.aggregate] == [WANTED]


@pytest.mark.parametrize(
    "text", ["v=DMARC1; p=block", "v=DMARC1; p=", "v=DMARC1", "v=DMARC1; p=strict; sp=reject"]
)
def test_what_names_no_policy_gets_the_one_that_is_wanted(text: str) -> None:
    made = dmarc.parse(dmarc.with_requirements(f"{text}; {WRITTEN}", QUARANTINE, []))
    assert made.p is QUARANTINE


@pytest.mark.parametrize(
    ("existing", "made"),
    [
        ("v=DMARC1; p=none; rua=mailto:a@x.net", "v=DMARC1; p=none"),
        (
            "v=DMARC1;p=none; rua = mailto:a@x.net!10m , mailto:b@y.org ;fo=1",
            "v=DMARC1;p=none; rua = mailto:b@y.org;fo=1",
        ),
        (
            "v=DMARC1; p=none; ruf=mailto:a@x.net; rua=mailto:b@y.org,mailto:c@X.NET;",
            "v=DMARC1; p=none; rua=mailto:b@y.org",
        ),
        ("v=DMARC1; p=none; rua=mailto:b@sub.x.net", "v=DMARC1; p=none; rua=mailto:b@sub.x.net"),
        # Without an address it has no policy, and counts for nothing.
        ("v=DMARC1; rua=mailto:a@x.net", None),
    ],
)
def test_destinations_go_and_all_else_stays(existing: str, made: str | None) -> None:
    found = dmarc.without_destinations(existing, ["x.net"])
    assert (found and " ".join(found.split())) == (made and " ".join(made.split()))
