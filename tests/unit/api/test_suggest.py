# SPDX-License-Identifier: Apache-2.0
"""What was probably meant by a word: a slip, another spelling, or a synonym."""

from __future__ import annotations

import pytest

from postroom.api.suggest import hint, nearest, synonyms

KNOWN = ("GoogleWorkspace", "Microsoft365", "SendGrid")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("SendGrid", "SendGrid"),
        ("send-grid", "SendGrid"),
        ("Sendgird", "SendGrid"),
        ("O365", "Microsoft365"),
        ("Hotel", None),
        ("", None),
    ],
)
def test_what_is_meant(word: str, meant: str | None) -> None:
    assert nearest(word, KNOWN) == meant
    assert hint(word, KNOWN) == (f": did you mean {meant}?" if meant else "")


def test_synonyms_are_known_by_folded_words_and_stand_for_something() -> None:
    for word, names in synonyms().items():
        assert word == "".join(char for char in word.lower() if char.isalnum())
        # Of a word that stands for nothing, nothing is offered.
        assert nearest(word, names or ("Tlsrpt", word.upper() + "x")) in (names or (None,))
