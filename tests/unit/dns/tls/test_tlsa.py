# SPDX-License-Identifier: Apache-2.0
"""TLSA records as mail senders use them: RFC 6698 sections 2.1 and 2.2, RFC 7672 section 3.1."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.tls.tlsa import Association, parse

SHA256, SHA512 = "ab" * 32, "cd" * 64
CERTIFICATE = "30820101" + "0f" * 40


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (f"3 1 1 {SHA256}", Association(3, 1, 1, SHA256)),
        (f"2 0 2 {SHA512}", Association(2, 0, 2, SHA512)),
        (f"3 0 0 {CERTIFICATE}", Association(3, 0, 0, CERTIFICATE)),
        (f"003 1 1  {SHA256.upper()}", Association(3, 1, 1, SHA256)),
        (f"3 1 1 {SHA256[:30]} {SHA256[30:]}", Association(3, 1, 1, SHA256)),
        ("3 1 0 " + "30" * 8, Association(3, 1, 0, "30" * 8)),
    ],
)
def test_what_can_be_used(value: str, read: Association) -> None:
    assert parse(value) == read
    assert read.problem is None


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (f"0 1 1 {SHA256}", "usage 0 is not for mail"),
        (f"1 1 1 {SHA256}", "usage 1 is not for mail"),
        (f"4 1 1 {SHA256}", "usage 4 is not for mail"),
        (f"3 2 1 {SHA256}", "there is no selector 2"),
        (f"3 1 3 {SHA256}", "there is no matching type 3"),
        (f"3 1 1 {SHA256[:-2]}", "62 hex digits instead of 64"),
        (f"3 1 1 {SHA512}", "128 hex digits instead of 64"),
        (f"3 1 2 {SHA256}", "64 hex digits instead of 128"),
        ("3 1 0 " + "30" * 7, "shorter than any certificate or key"),
        ("3 1 1 " + "xy" * 32, "not in hex"),
        (f"3 1 1 {SHA256[:-1]}", "not in hex"),
        (f"3 1 {SHA256}", "not three numbers"),
        (f"3 -1 1 {SHA256}", "not three numbers"),
        (f"3333 1 1 {SHA256}", "not three numbers"),
        (f"\u0663 1 1 {SHA256}", "not three numbers"),
        ("3 1 1", "not three numbers"),
        ("", "not three numbers"),
    ],
)
def test_what_senders_do_not_use(value: str, problem: str) -> None:
    assert problem in (parse(value).problem or "")


def test_every_usable_combination() -> None:
    sizes = {0: 40, 1: 64, 2: 128}
    usable = {
        (usage, selector, matching)
        for usage, selector, matching in itertools.product(range(6), range(4), range(4))
        if parse(f"{usage} {selector} {matching} {'0' * sizes.get(matching, 64)}").problem is None
    }
    assert usable == set(itertools.product((2, 3), (0, 1), (0, 1, 2)))


@given(st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    assert parse(text).data == parse(text).data.lower()
