# SPDX-License-Identifier: Apache-2.0
"""Keys and signatures of Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from postroom.delivery.signing import parse_key, signatures


def written(octets: bytes) -> str:
    return "whsec_" + base64.b64encode(octets).decode()


@pytest.mark.parametrize("size", [24, 32, 64])
@pytest.mark.parametrize("around", ["{}", "{}\n", " {}\r\n"])
def test_a_key_is_read(size: int, around: str) -> None:
    text = written(b"k" * size)
    assert base64.b64decode(parse_key(around.format(text)).reveal()) == b"k" * size
    assert parse_key(text.removeprefix("whsec_")).reveal() == parse_key(text).reveal()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        "secret",
        written(b"k" * 23),
        written(b"k" * 65),
        "whsec_" + "k" * 31,
        "whsec_whsec_" + "a" * 32,
        written(b"k" * 32) + "\n" + written(b"o" * 32),
        "whsk_" + written(b"k" * 32),
        "whsec_" + "ä" * 32,
        "WHSEC_" + "a" * 32,
        "whsec_" + "-_" * 16,
    ],
)
def test_what_is_no_key_is_told_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match="whsec_ and the base64 of 24 to 64 octets") as raised:
        parse_key(text)
    assert len(text) < 10 or text not in str(raised.value)


def test_a_key_is_not_shown() -> None:
    key = parse_key(written(b"k" * 32))
    assert key.reveal() not in f"{key!s} {key!r} {[key]}"


def test_the_example_of_the_standard() -> None:
    """The values of https://www.standardwebhooks.com's own libraries."""
    key = parse_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    made = signatures([key], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, iter([body]))
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(
    st.lists(st.binary(max_size=40), max_size=6),
    st.lists(st.binary(min_size=24, max_size=64), min_size=1, max_size=2, unique=True),
    st.integers(0, 2**40),
)
def test_each_key_signs_however_the_body_is_cut(
    pieces: list[bytes], keys: list[bytes], stamp: int
) -> None:
    made = signatures([parse_key(written(key)) for key in keys], "id", stamp, iter(pieces))
    signed = f"id.{stamp}.".encode() + b"".join(pieces)
    expected = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in keys]
    assert made == " ".join(f"v1,{each.decode()}" for each in expected)


def test_the_library_takes_the_same_keys() -> None:
    for size in (24, 64):
        Webhook(written(b"k" * size))
