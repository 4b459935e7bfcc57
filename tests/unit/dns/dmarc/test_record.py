# SPDX-License-Identifier: Apache-2.0
"""DMARC records: tags, defaults, problems with their positions, report URIs, near misses."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns import dmarc
from postroom.dns.dmarc import AlignmentMode, PublicSuffixFlag
from postroom.dns.dmarc.record import strictness
from postroom.dns.dmarc.uri import parse as parse_uri

RUA = "mailto:r@example.org"


@pytest.mark.parametrize(
    "text",
    ["v=DMARC1", "V=DMARC1", "v = DMARC1", "v\t=\tDMARC1\t;", "v=DMARC1;", "v=DMARC1 ; p=none"],
)
def test_what_is_a_record(text: str) -> None:
    assert dmarc.is_dmarc(text)
    assert dmarc.looks_like_dmarc(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "v=dmarc1", "v=DMARC", "v=DMARC11", "v=DMARC1 p=none", " v=DMARC1", "v=DMARC1\n",
        "p=none; v=DMARC1", "v=DMARC1, p=none", '"v=DMARC1; p=none"', "v\n=DMARC1",
        "\ufeffv=DMARC1",
    ],
)  # fmt: skip
def test_what_is_none(text: str) -> None:
    assert not dmarc.is_dmarc(text)


@pytest.mark.parametrize("text", ["v=spf1 -all", "v=DKIM1; p=MIIB", "", "p=rejectABC", "hello"])
def test_what_was_not_meant_as_one(text: str) -> None:
    assert not dmarc.looks_like_dmarc(text)


def test_every_tag_is_read() -> None:
    found = dmarc.parse(
        "V = DMARC1;P=Quarantine ; SP = reject;np=none; ADKIM=S;aspf=s; fo=D:s; psd=N; T=y;"
        "rua=mailto:A@x.org , https://x.org/r;ruf=mailto:f@x.org!10m; x=1;"
    )
    assert (found.p, found.sp, found.np) == ("quarantine", "reject", "none")
    assert (found.adkim, found.aspf) == (AlignmentMode.STRICT, AlignmentMode.STRICT)
    assert (found.psd, found.testing) == (PublicSuffixFlag.NO, True)
    assert found.failure_options == ("d", "s")
    assert found.rua == ("mailto:a@x.org",)
    assert [one.uri for one in found.aggregate] == ["mailto:A@x.org", "https://x.org/r"]
    assert [(one.uri, one.size) for one in found.failure] == [("mailto:f@x.org", "10m")]
    assert (found.policy, found.problem, found.problems) == (DMARCPolicy.NONE, None, ())


def test_defaults() -> None:
    found = dmarc.parse("v=DMARC1; p=reject")
    assert (found.adkim, found.aspf) == (AlignmentMode.RELAXED, AlignmentMode.RELAXED)
    assert (found.psd, found.testing) == (PublicSuffixFlag.UNSAID, False)
    assert (found.sp, found.np, found.rua, found.failure_options) == (None, None, (), ("0",))


@pytest.mark.parametrize(
    ("tag", "position"),
    [
        ("adkim=x", 18), ("aspf=strict", 18), ("psd=1", 18), ("t=yes", 18), ("fo=2", 18),
        ("fo=", 18), ("v=DMARC1", 18), ("p=reject", 18), ("adkim=", 18),
    ],
)  # fmt: skip
def test_bad_values_fall_to_defaults_and_are_told(tag: str, position: int) -> None:
    found = dmarc.parse(f"v=DMARC1; p=none; {tag}; sp=reject")
    assert [(problem.tag, problem.position) for problem in found.problems] == [
        (tag.split("=")[0], position)
    ]
    plain = dmarc.parse("v=DMARC1; p=none; sp=reject")
    assert (found.p, found.adkim, found.aspf, found.psd, found.testing) == (
        plain.p, plain.adkim, plain.aspf, plain.psd, plain.testing,
    )  # fmt: skip
    assert found.sp == "reject"


@pytest.mark.parametrize("junk", ["x", "=none", "a-b=1", "1=2", "é=1", "p none"])
def test_what_is_no_tag_is_told(junk: str) -> None:
    found = dmarc.parse(f"v=DMARC1;  {junk} ; p=none")
    assert [(problem.tag, problem.position) for problem in found.problems] == [("", 11)]
    assert found.p == "none"


@pytest.mark.parametrize("tag", ["pct=50", "rf=afrf", "ri=86400", "PCT = 100"])
def test_removed_tags_are_kept_with_what_they_said(tag: str) -> None:
    found = dmarc.parse(f"v=DMARC1; p=none; {tag}")
    name, _, value = tag.partition("=")
    assert [(one.name, one.value) for one in found.removed] == [
        (name.strip().lower(), value.strip())
    ]
    assert found.problems == ()


@pytest.mark.parametrize("tag", ["p", "P", "sp", "rua", "ruf", "t", "adkim", "pct", "x", "v"])
def test_no_tag_may_stand_there_twice(tag: str) -> None:
    value = {"rua": RUA, "ruf": RUA, "v": "DMARC1", "t": "y", "adkim": "s"}.get(tag, "reject")
    once = f"v=DMARC1; p=none; {tag}={value}" if tag not in "pPv" else "v=DMARC1; p=none"
    assert dmarc.parse(once).problem is None
    found = dmarc.parse(f"{once}; {tag}={value}; rua={RUA}" if tag != "rua" else f"{once}; rua=x:y")
    assert found.problem == f"it has the tag {tag.lower()}= twice (RFC 6376 section 3.2)"
    assert found.p == "none"
    assert tag.lower() in [problem.tag for problem in found.problems]


@given(
    st.lists(
        st.sampled_from(
            [
                "p=none", "p=reject", "P=quarantine", "sp=none", "sp=reject", "np=reject", "t=y",
                "rua=mailto:a@example.org", "rua=mailto:b@example.org,mailto:c@example.org",
                "ruf=mailto:f@example.org", "fo=1", "fo=0:1", "adkim=s", "x=1", "v=DMARC1", "junk",
            ]
        ),
        max_size=8,
    )
)  # fmt: skip
def test_what_a_record_with_tags_twice_becomes_loses_nobody(tags: list[str]) -> None:
    text = "; ".join(["v=DMARC1", *tags])
    wanted = ["mailto:w@example.org"]
    made = dmarc.with_requirements(text, DMARCPolicy.NONE, wanted)
    found = dmarc.parse(made)
    assert dmarc.satisfies(found, DMARCPolicy.NONE, wanted)
    written = {uri for tag in tags if tag.startswith("rua=") for uri in tag[4:].split(",")}
    assert written <= set(found.rua)
    policies = [tag[2:] for tag in tags if tag.lower().startswith("p=")]
    assert found.p is max(map(DMARCPolicy, policies), key=strictness, default=DMARCPolicy.NONE)
    assert dmarc.with_requirements(made, DMARCPolicy.NONE, wanted) == made


@pytest.mark.parametrize(
    ("value", "options"),
    [
        ("0", ("0",)), ("1", ("1",)), ("d", ("d",)), ("s", ("s",)), ("d:s", ("d", "s")),
        ("S:D", ("s", "d")), ("0:1", ("0", "1")), ("1:d:s", ("1", "d", "s")),
        (" 1 : D ", ("1", "d")), ("d:1", ("d", "1")), ("0:0", ("0", "0")),
        ("2", None), ("", None), ("d:", None), (":d", None), ("ds", None), ("1:x", None),
    ],
)  # fmt: skip
def test_failure_options_are_a_list_as_rfc_7489_has_it(
    value: str, options: tuple[str, ...] | None
) -> None:
    found = dmarc.parse(f"v=DMARC1; p=none; fo={value}")
    assert found.failure_options == (options or ("0",))
    assert [problem.tag for problem in found.problems] == ([] if options else ["fo"])
    assert found.problem is None


@pytest.mark.parametrize(
    ("before", "after"),
    [("fo=0:1", "fo=1"), ("fo=1:d:s", "fo=1"), ("fo=0:d", "fo=d"), ("fo=0:0", ""), ("fo=x", "")],
)
def test_failure_options_of_old_are_written_as_receivers_take_them(before: str, after: str) -> None:
    made = dmarc.with_requirements(f"v=DMARC1; p=none; {before}", DMARCPolicy.REJECT, [])
    assert made == "; ".join(one for one in ("v=DMARC1", "p=reject", after) if one)


@pytest.mark.parametrize("bad", ["", "p=x", "p=", "p=none; sp=x", "p=reject; np=maybe"])
def test_a_bad_policy_needs_a_valid_rua(bad: str) -> None:
    nothing = dmarc.parse(f"v=DMARC1; {bad}")
    assert nothing.problem is not None
    assert dmarc.parse(f"v=DMARC1; {bad}; rua=a@x.org").problem is not None
    saved = dmarc.parse(f"v=DMARC1; {bad}; rua=mailto:a@x.org")
    assert (saved.problem, saved.policy) == (None, DMARCPolicy.NONE)
    assert dmarc.parse(f"v=DMARC1; {bad}; rua=https://x.org/").problem is None


@pytest.mark.parametrize(
    ("policy", "applied"), [("none", "none"), ("quarantine", "none"), ("reject", "quarantine")]
)
def test_test_mode_lowers_by_one(policy: str, applied: str) -> None:
    assert dmarc.parse(f"v=DMARC1; p={policy}; t=y").policy == applied


@pytest.mark.parametrize(
    ("text", "address", "size", "valid"),
    [
        ("mailto:a@x.org", "a@x.org", None, True),
        ("MAILTO:A@X.org", "a@x.org", None, True),
        ("mailto:a@x.org!10m", "a@x.org", "10m", True),
        ("mailto:a@x.org!1048576", "a@x.org", "1048576", True),
        ("mailto:a%21b@x.org", "a!b@x.org", None, True),
        ("mailto:a%2Cb@x.org?subject=x", "a,b@x.org", None, True),
        ("mailto:a+b@x.org", "a+b@x.org", None, True),
        ("https://x.org/r?a=1", None, None, True),
        ("mailto:a@x.org!10x", None, None, False),
        ("mailto:a!b@x.org", None, None, False),
        ("a@x.org", None, None, False),
        ("mailto:", None, None, False),
        ("mailto:a", None, None, False),
        ("mailto:@x.org", None, None, False),
        ("mailto:a@", None, None, False),
        ("mailto:a@b@x.org", None, None, False),
        ("mailto:a@x..org", None, None, False),
        ("mailto:a b@x.org", None, None, False),
        ("mailto:a%zz@x.org", None, None, False),
        ("mailto:\xe9@x.org", None, None, False),
        ("mailto://a@x.org", None, None, False),
        ("mail:a@x.org", None, None, False),
        ("x.org", None, None, False),
    ],
)
def test_report_uris(text: str, address: str | None, size: str | None, valid: bool) -> None:
    found = parse_uri(text)
    assert (found.address, found.size, found.valid) == (address, size, valid)
    assert found.destination == ("x.org" if address else None)


def test_a_list_of_uris_has_positions() -> None:
    found = dmarc.parse("v=DMARC1; p=none; rua= mailto:a@x.org,, b@x.org ,mailto:c@x.org")
    assert [(one.position, one.valid) for one in found.aggregate] == [
        (23, True),
        (40, False),
        (49, True),
    ]
    assert [(problem.tag, problem.position) for problem in found.problems] == [("rua", 40)]
    assert found.rua == ("mailto:a@x.org", "mailto:c@x.org")


ALPHABET = st.text(alphabet='vV=DMARC1; p,:nonerua@mailto\\".|x\t\n\x00\xa0\u201c')


@given(st.text() | ALPHABET)
def test_no_text_breaks_the_parser(text: str) -> None:
    for one in (text, f"v=DMARC1; {text}", f"v=DMARC1; p=none; rua={text}"):
        found = dmarc.parse(one)
        assert len(found.problems) <= 16
        assert all(0 <= problem.position <= len(one) for problem in found.problems)
        dmarc.looks_like_dmarc(one)
        dmarc.slips(one)


@pytest.mark.parametrize(
    "unit",
    [
        "v=DMARC1;",
        "p=",
        " ",
        ";",
        "a@x,",
        "\x00",
        "mailto:",
        "v ",
        "<",
        "\\",
        "d-marc",
        "\xff",
        "_dmarc.",
    ],
)
@pytest.mark.parametrize("prefix", ["", "v=DMARC1; p=x; rua="])
def test_a_megabyte_is_bounded(unit: str, prefix: str) -> None:
    for size in (8_000, 1_000_000):
        text = prefix + unit * (size // len(unit))
        begin = time.process_time()
        dmarc.looks_like_dmarc(text)
        dmarc.parse(text)
        dmarc.slips(text)
        assert time.process_time() - begin < 0.4
