# SPDX-License-Identifier: Apache-2.0
"""Servers' own words made fit for status: what is kept, what never is, bounds, idempotence."""

from __future__ import annotations

import base64
import secrets
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.masked import Masked
from postroom.mail.replies import normalised, rows
from postroom.mail.replies.server_text import TEXT_LIMIT

CASES = [
    ("5.7.8 Error: authentication failed", "5.7.8 Error: authentication failed"),
    ("5.7.8 Learn more at\n5.7.8  https://example.com/?t=a1 x1-gsmtp", "5.7.8 Learn more at …"),
    ("no [AM0PR01CA0104.eurprd01.prod.outlook.com 2026-01-02T03:04:05.678Z 08DCBB43]", "no …"),
    ("client host [192.0.2.1] blocked using zen.example.org", "client host … blocked using …"),
    ("<b@example.com>: Sender address rejected", "… Sender address rejected"),
    ("Disconnected (0.001 + 0.000 secs).", "Disconnected … secs)."),
    ("wait 9000 milliseconds", "wait … milliseconds"),
    ("see 2001:db8::1 at 12:30:01 on 2026-11-21", "see … at … on …"),
    ("token dXNlcjpwYXNzd29yZA== refused", "token … refused"),
    ("[ALERT] Too many simultaneous connections. (Failure)",) * 2,
    ("(#AUTH005) Too many bad auth attempts.",) * 2,
    ("Application-specific password required, user's and/or",) * 2,
    ("aaaaaaaaaaaa no", "… no"),
    ("no\x1b[31m\u202e no", "… no"),
    ("1 2 3 a@b", ""),
    ("", ""),
]


@pytest.mark.parametrize(("text", "shown"), CASES)
def test_what_is_shown(text: str, shown: str) -> None:
    assert normalised(text) == shown


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_the_words_that_decide_stay_readable(row: object) -> None:
    for example in getattr(row, "examples", ()):
        text = str(example).partition(" ")[2]
        shown = normalised(text)
        assert shown == normalised(shown)
        assert "http" not in shown
        assert "@" not in shown


@given(st.text())
def test_it_is_idempotent_and_bounded(text: str) -> None:
    shown = normalised(text)
    assert normalised(shown) == shown
    assert len(shown) <= TEXT_LIMIT
    assert shown.replace("…", "").isascii()
    assert shown.replace("…", "").isprintable()


@given(st.lists(st.sampled_from([*"aZ9.-…[]() \n", "5.7.8 ", "word ", "A1b2", "<x@y>"])))
def test_it_is_idempotent_on_likely_texts(parts: list[str]) -> None:
    shown = normalised("".join(parts))
    assert normalised(shown) == shown


def test_long_texts_are_cut_between_words() -> None:
    shown = normalised("word " * 100_000)
    assert len(shown) <= TEXT_LIMIT
    assert set(shown.split()) == {"word"}


AROUND = st.sampled_from(
    ["{}", "no {} no", "<{}>", "user={};", "[{}] x", "a {}b", "https://h/?t={}"]
)


@given(st.binary(min_size=9, max_size=40), AROUND)
def test_encoded_canaries_never_remain(secret: bytes, around: str) -> None:
    for form in (base64.b64encode(secret).decode(), secret.hex(), quote(b"%" + secret, safe="")):
        # A text of capitals or small letters alone is a word: no encoding of random bytes.
        if form.isalpha() and (form.isupper() or form.islower()):
            continue
        shown = normalised(around.format(form))
        assert form not in shown


def test_tokens_never_remain() -> None:
    for _ in range(200):
        token = f"a1B{secrets.token_urlsafe(24)}"
        assert token[:8] not in normalised(f"535 5.7.8 token {token} expired ({token})")


@given(st.text(min_size=1, max_size=30), AROUND)
def test_given_secrets_never_remain_in_any_form(secret: str, around: str) -> None:
    data = secret.encode("utf-8", "surrogatepass")
    forms = [secret, base64.b64encode(data).decode(), data.hex(), quote(data, safe="")]
    for form in forms:
        shown = normalised(around.format(form), [Masked(secret)])
        assert form not in shown or not form.strip(" …\n\r\t")


def test_a_secret_of_plain_words_is_known_by_being_given() -> None:
    text = "no such password: correct horse battery staple"
    assert "horse" in normalised(text)
    assert normalised(text, [Masked("correct horse battery staple")]) == ""


def test_a_part_of_a_secret_at_the_cut_does_not_remain() -> None:
    text = "word " * 30 + "correct horse battery staple"
    assert normalised(text, [Masked("correct horse battery staple")]) == ""
