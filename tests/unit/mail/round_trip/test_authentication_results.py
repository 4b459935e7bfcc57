# SPDX-License-Identifier: Apache-2.0
"""Authentication-Results (RFC 8601) as it is written: words, comments, quotes, and its bounds."""

from __future__ import annotations

import pytest

from postroom.mail.round_trip.authentication_results import Outcome, parse

PASS, FAIL = Outcome.PASS, Outcome.FAIL


@pytest.mark.parametrize(
    ("word", "outcome"),
    [
        ("PASS", PASS),
        ("hardfail", FAIL),
        ("error", Outcome.TEMPORARY_ERROR),
        ("permfail", Outcome.PERMANENT_ERROR),
        ("whatever", Outcome.UNKNOWN),
    ],
)
def test_words(word: str, outcome: Outcome) -> None:
    assert parse(f"a.example; spf={word}").results[0].outcome is outcome


def test_what_counts_against_a_message() -> None:
    failing = {one for one in Outcome if one.failing}
    assert failing == {FAIL, Outcome.SOFT_FAIL, Outcome.PERMANENT_ERROR, Outcome.POLICY}


@pytest.mark.parametrize(
    "body",
    [
        'a.example 1 (c); spf/1 = pass (x; (y) "z") reason="a; b" smtp.mailfrom = "x"@b.example',
        'a.example; SPF=pass\treason="a; b" smtp.mailfrom= "x@b.example"',
    ],
)
def test_white_space_comments_and_quotes(body: str) -> None:
    found = parse(body)
    assert found.server == "a.example"
    assert [result.method for result in found.results] == ["spf"]
    assert found.results[0].get("reason") == "a; b"
    assert found.results[0].get("smtp.mailfrom") == "x@b.example"
    assert found.results[0].get("other") is None


@pytest.mark.parametrize(
    "body", ["", ";", "a.example", "a.example;;; ;", "a.example; =pass", "; ="]
)
def test_no_results(body: str) -> None:
    assert parse(body).results == ()


def test_an_empty_value_does_not_take_the_next_property() -> None:
    found = parse("dkim=fail header.b= header.d=x.example").results[0]
    assert found.get("header.d") == "x.example"


def test_it_is_bounded() -> None:
    many = parse("a.example;" + "dkim=pass header.d=x.example;" * 400)
    assert len(many.results) == 32
    properties = parse("a.example; dkim=pass" + " header.d=x.example" * 400).results[0].properties
    assert len(properties) == 16
    assert len(parse("x" * 5000).server or "") == 253
