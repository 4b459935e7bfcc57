# SPDX-License-Identifier: Apache-2.0
"""Replies that are no UTF-8: read in the encoding in which their words are words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.replies import Cause, as_text, meaning_of_imap, meaning_of_smtp

#: An encoding that servers answer in, what one says, and the cause that it tells of.
SAID = [
    ("iso8859-1", "5.7.8 compte verrouillé", Cause.ACCOUNT_LOCKED),
    ("cp1252", "5.7.0 Échec : mot de passe erroné", Cause.AUTHENTICATION_FAILED),
    ("iso8859-1", "Kontot är låst", Cause.ACCOUNT_LOCKED),
    ("cp1252", "5.7.8 boîte aux lettres pleine", Cause.MAILBOX_FULL),
    ("iso8859-15", "Konto gesperrt für alle Geräte", Cause.ACCOUNT_DISABLED),
    ("cp1250", "Zbyt wiele prób logowania, spróbuj później", Cause.TOO_MANY_LOGINS),
    ("iso8859-2", "Konto zostało zablokowane na stałe", Cause.ACCOUNT_DISABLED),
    ("cp1254", "Şifreniz yanlış", Cause.AUTHENTICATION_FAILED),
    ("cp1251", "5.7.8 Учётная запись заблокирована", Cause.ACCOUNT_DISABLED),
    ("koi8-r", "Учётная запись заблокирована", Cause.ACCOUNT_DISABLED),
    ("cp866", "Учётная запись заблокирована", Cause.ACCOUNT_DISABLED),
    ("iso8859-5", "Учётная запись заблокирована", Cause.ACCOUNT_DISABLED),
    ("gbk", "登录失败次数过多,请稍后再试", Cause.TOO_MANY_LOGINS),
    ("big5", "密碼錯誤", Cause.AUTHENTICATION_FAILED),
    ("shift_jis", "アカウントがロックされています", Cause.ACCOUNT_LOCKED),
    ("euc_jp", "アカウントがロックされています", Cause.ACCOUNT_LOCKED),
    ("euc_kr", "계정이 잠겼습니다", Cause.ACCOUNT_LOCKED),
]


@pytest.mark.parametrize(("charset", "text", "cause"), SAID)
def test_the_same_words_mean_the_same_in_every_encoding(
    charset: str, text: str, cause: Cause
) -> None:
    read = as_text(text.encode(charset))
    assert read == as_text(text.encode()) == text
    assert meaning_of_smtp(535, read).cause is cause
    assert meaning_of_imap(f"[AUTHENTICATIONFAILED] {read.removeprefix('5.7.8 ')}").cause is cause


@given(st.text())
def test_what_is_utf8_is_read_as_that(text: str) -> None:
    octets = text.encode("utf-8", "replace")
    assert as_text(octets).encode() == octets


@given(st.text("äöüßéè 界пж", min_size=4), st.integers(0, 3))
def test_what_is_cut_in_a_character_is_utf8_for_all_that(text: str, cut: int) -> None:
    octets = f"{text}界".encode()[: -cut or None]
    assert as_text(octets).startswith(text)


@given(st.binary(max_size=600))
def test_any_octets_are_some_text_in_unicode(octets: bytes) -> None:
    as_text(octets).encode()


def test_words_that_nobody_knows_are_of_the_likeliest_encoding() -> None:
    assert as_text("où ça".encode("cp1252")) == "où ça"
