# SPDX-License-Identifier: Apache-2.0
"""Replies in other languages: their words in English, and English left as it is."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.replies import Cause, Circumstances, Stage, meaning_of_smtp, rows
from postroom.mail.replies.families import families
from postroom.mail.replies.glossary import Glossary, in_english, without_marks
from rows import over

EXAMPLES = [example.lower() for row in rows() for example in row.examples]
EXAMPLES += [example.lower() for family in families() for example in family.entry.examples]


@pytest.mark.parametrize(
    ("said", "english"),
    [
        ("zu viele fehlgeschlagene anmeldeversuche", "too many failed login attempts"),
        ("absender nicht erlaubt", "sender not allowed"),
        ("mot de passe invalide", "password wrong"),
        ("cuenta bloqueada", "account blocked"),
        ("limite diário atingido", "limit daily exceeded"),
        ("превышен лимит", "exceeded limit"),
        ("hasło wygasło", "password expired"),
        ("VORÜBERGEHEND".lower(), "temporarily"),
    ],
)
def test_words_of_other_languages_are_read_as_english(said: str, english: str) -> None:
    assert in_english(said) == english


def test_chinese_needs_no_blanks() -> None:
    assert in_english("登录频繁稍后再试").split() == ["login", "too", "frequent", "later", "try"]


@over([one for one in EXAMPLES if one.isascii()])
def test_english_stays_as_it_is(example: str) -> None:
    foreign = re.compile(r"(?:neobhodim )?parol prilozheni\w*")
    assert in_english(foreign.sub("", example)) == foreign.sub("", example)


@given(st.text(max_size=200))
def test_anything_can_be_read(text: str) -> None:
    assert isinstance(in_english(text.lower()), str)
    assert without_marks(without_marks(text)) == without_marks(text)


@pytest.mark.parametrize("means", [["konto", "konto"], ["löschen"]])
def test_a_word_is_there_once_and_without_accents(means: list[str]) -> None:
    with pytest.raises(ValueError, match=r"twice|accents"):
        Glossary.model_validate_json(
            json.dumps({"words": [{"english": "account", "means": means}]})
        )


@pytest.mark.parametrize(
    ("stage", "said", "cause"),
    [
        (Stage.AUTH, "Konto gesperrt", {Cause.ACCOUNT_LOCKED, Cause.ACCOUNT_DISABLED}),
        (Stage.AUTH, "Compte désactivé", {Cause.ACCOUNT_DISABLED}),
        (Stage.AUTH, "Contraseña caducada", {Cause.PASSWORD_EXPIRED}),
        (Stage.AUTH, "Слишком много попыток", {Cause.TOO_MANY_LOGINS}),
        (Stage.AUTH, "暂时无法登录", {Cause.AUTH_TEMPORARY_FAILURE}),
        (Stage.AUTH, "Passwort falsch", {Cause.AUTHENTICATION_FAILED}),
        (Stage.MAIL, "Mittente non autorizzato", {Cause.SENDER_NOT_PERMITTED}),
        (Stage.MAIL, "Limite de envio diário atingido", {Cause.SEND_LIMIT_EXCEEDED}),
        (Stage.RCPT, "Odbiorca nieznany", {Cause.RECIPIENT_REJECTED}),
        (Stage.DATA, "Message trop volumineux", {Cause.MESSAGE_TOO_LARGE}),
    ],
)
def test_their_causes_are_found(stage: Stage, said: str, cause: set[Cause]) -> None:
    assert meaning_of_smtp(550, said, Circumstances(stage)).cause in cause


@given(st.text(max_size=60))
def test_no_letters_make_a_text_much_longer(text: str) -> None:
    assert len(without_marks(text)) <= 3 * len(text)


def test_what_becomes_three_is_whole() -> None:
    """Syllables of Korean, which are put together again, and letters with two marks."""
    assert without_marks("비밀번호" * 50) == "비밀번호" * 50
    assert without_marks("ệ" * 50) == "e" * 50
    assert len(without_marks("\ufdfa" * 1000)) <= 3000
