# SPDX-License-Identifier: Apache-2.0
"""MTA-STS (RFC 8461): the policy's grammar, which hosts it covers, and texts of any kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.sendingdomain import MTASTSMode
from postroom.dns.texts import tag_list
from postroom.dns.tls import mta_sts

FIELDS = "version: STSv1\nmode: testing\nmx: a.example\nmax_age: 1"


def test_a_policy_is_read() -> None:
    found = mta_sts.parse_policy(
        "version:STSv1\r\nmode: enforce\r\nmx: *.Example.com\nmx: \tb.example \nmax_age: 86400\n"
        "mode: none\nfuture_key: anything: at all\n\n"
    )
    exchanges = ("*.example.com", "b.example")
    assert found == mta_sts.Policy(MTASTSMode.ENFORCE, 86_400, exchanges)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("version: STSv1", "version: STSv2"),
        ("version: STSv1", ""),
        ("version: STSv1", "\xef\xbb\xbfversion: STSv1"),
        ("mode: testing", "mode: Testing"),
        ("mode: testing", "mode: on"),
        ("mode: testing", "mode : testing"),
        ("mode: testing", " mode: testing"),
        ("mode: testing", "mode testing"),
        ("mode: testing", ""),
        ("max_age: 1", "max_age: 31557601"),
        ("max_age: 1", "max_age: 1 day"),
        ("max_age: 1", "max_age: ²"),
        ("max_age: 1", "max_age: -1"),
        ("max_age: 1", ""),
        ("mx: a.example", ""),
        ("mx: a.example", "mx: "),
        ("mx: a.example", "mx: a.example."),
        ("mx: a.example", "mx: a.*.example"),
        ("mx: a.example", "mx: *"),
        ("mx: a.example", "mx: 10 a.example"),
        ("mx: a.example", "mx: a.example, b.example"),
        ("mx: a.example", "mx: .example"),
        ("mx: a.example", f"mx: {'a' * 64}.example"),
        ("mx: a.example", f"mx: {'a.' * 130}example"),
        ("mx: a.example", "mx: a.example\n" * 200),
    ],
)
def test_a_policy_that_breaks_the_grammar_has_a_problem(old: str, new: str) -> None:
    assert mta_sts.parse_policy(FIELDS).problem is None
    assert mta_sts.parse_policy(FIELDS.replace(old, new)).problem is not None


def test_only_a_policy_of_mode_none_needs_no_exchange() -> None:
    text = "version: STSv1\nmode: none\nmax_age: 1"
    found = mta_sts.parse_policy(text)
    assert (found.problem, found.covers("any.example")) == (None, True)


@pytest.mark.parametrize(
    ("pattern", "host", "covered"),
    [
        ("mx.example.com", "mx.example.com", True),
        ("mx.example.com", "MX.Example.Com.", True),
        ("mx.example.com", "a.mx.example.com", False),
        ("*.example.com", "mx.example.com", True),
        ("*.example.com", "a.mx.example.com", False),
        ("*.example.com", "example.com", False),
        ("*.example.com", "mx.example.net", False),
    ],
)
def test_a_pattern_stands_for_one_label(pattern: str, host: str, covered: bool) -> None:
    text = mta_sts.policy_text(MTASTSMode.ENFORCE, [pattern])
    assert mta_sts.parse_policy(text).covers(host) is covered


_LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)


_HOSTS = st.lists(_LABELS, min_size=2, max_size=4).map(".".join)


@given(st.sampled_from(MTASTSMode), st.lists(_HOSTS, min_size=1, max_size=9), st.integers(0, 9))
def test_what_is_written_is_read(mode: MTASTSMode, hosts: list[str], age: int) -> None:
    found = mta_sts.parse_policy(mta_sts.policy_text(mode, hosts, age))
    assert found == mta_sts.Policy(mode, age, tuple(sorted(set(hosts))))
    assert all(found.covers(host) for host in hosts)


_PIECES = st.sampled_from(
    ["version", "STSv1", "mode", "mx", "max_age", ":", " ", "\n", "\r\n", "enforce", "*", ".", "a1"]
)


@given(st.one_of(st.text(max_size=200), st.lists(_PIECES, max_size=40).map("".join)))
def test_no_text_breaks_the_parsers(text: str) -> None:
    found = mta_sts.parse_policy(text)
    assert (found.problem is None) or found == mta_sts.Policy(problem=found.problem)
    mta_sts.looks_like_record(text)
    if mta_sts.is_record(text):
        mta_sts.record_problem(text)
    tags = tag_list.parse(text)
    assert tags.problem is not None or tag_list.parse(tag_list.written(tags.tags)) == tags


@given(st.text(st.sampled_from("a=; \tv"), max_size=60))
def test_a_tag_list_keeps_the_first_of_each(text: str) -> None:
    found = tag_list.parse(text)
    assert all(
        name == name.strip() and value == value.strip() for name, value in found.tags.items()
    )


@pytest.mark.parametrize("text", ["a=;" * 50_000, ";" * 60_000, "v" * 60_000, " " * 60_000])
def test_absurd_texts_are_bounded(text: str) -> None:
    assert len(tag_list.parse(text).tags) <= 100
    assert mta_sts.parse_policy(text).problem is not None
    assert not mta_sts.looks_like_record(text)


@pytest.mark.parametrize(
    ("text", "sound", "meant"),
    [
        ("v=STSv1; id=1", True, True),
        ("v=STSv1\t;id=1", True, True),
        ("v=STSv1", False, True),
        ("v=STSv2; id=1", False, True),
        ("v: stsv1; id=1", False, True),
        ('"STSv1; id=1', False, True),
        ("id=1; v=TLSRPTv1", False, False),
    ],
)
def test_what_is_a_record_and_what_was_meant_as_one(text: str, sound: bool, meant: bool) -> None:
    assert (mta_sts.is_record(text), mta_sts.looks_like_record(text)) == (sound, meant)
    assert mta_sts.select([text]) == ((text,) if sound else ())


@pytest.mark.parametrize(
    ("rest", "problem"),
    [
        ("id=20260101T000000", None),
        ("id=" + "a" * 32, None),
        ("x=y; id=1;", None),
        ("id=" + "a" * 33, "its id= must be 1 to 32 letters and digits"),
        ("id=2026-01-01", "its id= must be 1 to 32 letters and digits"),
        ("id=", "its id= must be 1 to 32 letters and digits"),
        ("ID=1", "its id= must be 1 to 32 letters and digits"),
        ("id=1; id=1", "it has id= twice"),
        ("id =1", "a blank stands beside the = of id, where none may be"),
    ],
)
def test_what_is_wrong_with_a_record(rest: str, problem: str | None) -> None:
    assert mta_sts.record_problem(f"v=STSv1; {rest}") == problem


def test_modes_are_ordered_by_strictness() -> None:
    order = [MTASTSMode.NONE, MTASTSMode.TESTING, MTASTSMode.ENFORCE]
    for has, mode in enumerate(order):
        for needs, wanted in enumerate(order):
            assert mta_sts.Policy(mode).at_least(wanted) is (has >= needs)


def test_where_the_policy_is_fetched() -> None:
    assert mta_sts.policy_url("x.net") == "https://mta-sts.x.net/.well-known/mta-sts.txt"
