# SPDX-License-Identifier: Apache-2.0
"""The words by which servers say what they offer: known ones are shown, others never."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.oauth.sasl import FAREWELL
from postroom.mail.session.capabilities import known_capabilities, known_keywords, known_mechanisms


def test_each_kind_knows_its_own() -> None:
    assert known_keywords(["STARTTLS", "SIZE", "HUNTER2"]) == ["SIZE", "STARTTLS"]
    assert known_mechanisms(["PLAIN", "HUNTER2", *FAREWELL]) == ["OAUTHBEARER", "PLAIN", "XOAUTH2"]
    offered = ["IMAP4REV1", "AUTH=PLAIN", "AUTH=HUNTER2", "HUNTER2", "SASL-IR"]
    assert known_capabilities(offered) == ["AUTH=PLAIN", "IMAP4REV1", "SASL-IR"]


@pytest.mark.parametrize(
    ("word", "known"),
    [("APPENDLIMIT=1024", True), ("APPENDLIMIT=HUNTER2", False), ("RIGHTS=KXTE", False)],
)
def test_parameters_are_numbers(word: str, known: bool) -> None:
    assert bool(known_capabilities([word])) is known


@given(st.lists(st.text()))
def test_any_words_end_in_known_ones(words: list[str]) -> None:
    for known in (known_keywords, known_mechanisms, known_capabilities):
        assert set(known(words)) <= set(words)
