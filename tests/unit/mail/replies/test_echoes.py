# SPDX-License-Identifier: Apache-2.0
"""Whether a server repeats a secret: as it is, turned, encoded or in pieces; and when not."""

from __future__ import annotations

import base64
import codecs
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.replies.echoes import is_echoed

SECRET = "Tr0ub4dor&3-horse"
OCTETS = SECRET.encode()
ORDINARY = "5.7.8 Username and password not accepted, see https://support.example.com/a?b=c"


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        SECRET.upper(),
        SECRET[::-1],
        codecs.encode(SECRET, "rot13"),
        " ".join(SECRET),
        "-".join(SECRET),
        "…".join([SECRET[:6], SECRET[6:]]),
        SECRET.replace("&", "&amp;"),
        "".join(f"&#{ord(letter)};" for letter in SECRET),
        "".join(f"={octet:02X}" for octet in OCTETS),
        "".join(f"%{octet:02x}" for octet in OCTETS),
        quote(SECRET, safe=""),
        OCTETS.hex(),
        OCTETS.hex(" "),
        OCTETS[::-1].hex(),
        base64.b64encode(OCTETS).decode(),
        base64.b64encode(b"\0user\0" + OCTETS).decode(),
        base64.b64encode(b"ab" + OCTETS).decode(),
        base64.b64encode(OCTETS).decode()[::-1],
        base64.b32encode(OCTETS).decode(),
        "ub4dor",
    ],
)
def test_a_secret_is_known_in_any_form(form: str) -> None:
    said = f"5.7.8 cannot sign in with {form} today"
    assert is_echoed(SECRET, said, said)


def test_what_is_said_counts_also_where_it_is_not_shown() -> None:
    assert is_echoed(SECRET, f"no: {SECRET}", "no: …")
    assert not is_echoed(SECRET, "no: …", "no: …")


def test_codes_between_lines_hide_nothing() -> None:
    said = "no: Tr0\r\n5.7.8 ub4\r\n5.7.8 dor\r\n5.7.8 &3-\r\n5.7.8 horse"
    assert is_echoed(SECRET, said, "no: …")


def test_pieces_make_up_a_secret_from_half_of_it_on() -> None:
    secret = "lamp tree moon gold"
    for shown, echoed in (
        ("under the moon a tree", True),
        ("under the noom a eert", True),
        ("what moo and gol mean", False),
        ("under the moon a eert", False),
        ("mo on tr ee la mp", False),
    ):
        assert is_echoed(secret, "…", shown) is echoed


@pytest.mark.parametrize("secret", ["", " ", "\t\n", "hunter2-Gx9", "sesame", "correcthorse"])
def test_ordinary_words_repeat_nothing(secret: str) -> None:
    assert not is_echoed(secret, ORDINARY, ORDINARY)


@given(st.text(min_size=1).filter(str.strip), st.text(), st.text())
def test_whatever_it_is_it_is_found_as_it_is(secret: str, before: str, after: str) -> None:
    squeezed = "".join(secret.split()).replace("…", "")
    if squeezed:
        said = f"{before} {secret} {after}"
        assert is_echoed(secret, said, said)
