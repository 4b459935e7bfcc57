# SPDX-License-Identifier: Apache-2.0
"""Advice on a DMARC policy: given where something could be better, and only there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns import dmarc
from postroom.dns.dmarc import (
    Circumstances,
)


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
