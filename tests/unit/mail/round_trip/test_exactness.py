# SPDX-License-Identifier: Apache-2.0
"""A message that is about to be sent is held against what it was to say, octet by octet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.mail.round_trip.exactness import InexactMessage, require_exact, require_mailbox

FIELDS = [("From", "a@example.com"), ("Subject", "one two")]
BODY = b"Hello.\r\n\r\n.\r\n"
HEADER = b"From: a@example.com\r\nSubject: one two"
ADDRESS = "a@example.com"


def message(header: bytes = HEADER, body: bytes = BODY) -> bytes:
    return header + b"\r\n\r\n" + body


def test_what_was_to_be_said_passes() -> None:
    require_exact(message(), FIELDS, BODY)
    require_exact(message(HEADER.replace(b" two", b"\r\n two")), FIELDS, BODY)
    require_exact(message(body=b""), FIELDS, b"")


@pytest.mark.parametrize(
    "header",
    [
        HEADER + b"\r\nBcc: e@evil.example",
        HEADER + b"\r\nSubject: one two",
        b"Subject: one two\r\nFrom: a@example.com",
        b"From: a@example.com",
        HEADER.replace(b"one", b"One"),
        HEADER.replace(b"Subject", b"subject"),
        HEADER + b" ",
        HEADER.replace(b"Subject: ", b"Subject:  "),
        HEADER.replace(b"Subject: ", b"Subject:"),
        HEADER.replace(b"Subject: ", b"Subject : "),
        HEADER.replace(b"\r\n", b"\n"),
        HEADER.replace(b"\r\n", b"\r"),
        HEADER.replace(b" two", b"\r\n\ttwo"),
        HEADER.replace(b" two", b"\r\n  two"),
        HEADER.replace(b" two", b" two\r\n "),
        HEADER.replace(b"two", b"tw\xc3\xb6"),
        HEADER.replace(b"two", b"two\x00"),
        b" folded\r\n" + HEADER,
        b"\r\n" + HEADER,
    ],
)
def test_another_header_does_not(header: bytes) -> None:
    with pytest.raises(InexactMessage):
        require_exact(message(header), FIELDS, BODY)


@pytest.mark.parametrize("body", [b"Hello.\r\n", BODY + b"x\r\n", BODY[:-2], b""])
def test_another_body_does_not(body: bytes) -> None:
    with pytest.raises(InexactMessage, match="body"):
        require_exact(message(body=body), FIELDS, BODY)


@pytest.mark.parametrize(
    "body", [b"no end", b"lf\n\r\n", b"c\rr\r\n", b"\xc3\xbc\r\n", b"\x07\r\n"]
)
def test_no_body_of_ours_has_such_lines(body: bytes) -> None:
    with pytest.raises(InexactMessage, match="printable"):
        require_exact(message(body=body), FIELDS, body)


def test_lines_have_998_octets_at_most() -> None:
    for size, exact in ((998, True), (999, False)):
        value = "x" * (size - len("Subject: "))
        fields, octets = [("Subject", value)], f"Subject: {value}\r\n\r\n".encode()
        body = b"y" * size + b"\r\n"
        for said, written in (((fields, b""), octets), ((FIELDS, body), message(body=body))):
            if exact:
                require_exact(written, *said)
            else:
                with pytest.raises(InexactMessage, match="line"):
                    require_exact(written, *said)


@given(st.integers(0, len(message()) - 1), st.integers(0, 255))
def test_no_octet_may_be_another(at: int, octet: int) -> None:
    octets = bytearray(message())
    changed = octets[at] != octet
    octets[at] = octet
    if changed:
        with pytest.raises(InexactMessage):
            require_exact(bytes(octets), FIELDS, BODY)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (ADDRESS, ""),
        ("Jane Doe <a@example.com>", "Jane Doe"),
        ('"Doe, Jane" <a@example.com>', "Doe, Jane"),
        (r'"say \"x\" \\" <a@example.com>', 'say "x" \\'),
        ("=?utf-8?b?SsO2cmc=?= <a@example.com>", "Jörg"),
        ("=?utf-8?q?J=C3=B6rg_1?= <a@example.com>", "Jörg 1"),
        ("=?utf-8?q?J=C3=B6?= =?utf-8?q?rg?= <a@example.com>", "Jörg"),
    ],
)
def test_an_address_with_its_name(value: str, name: str) -> None:
    require_mailbox(value, name, ADDRESS)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("b@example.com", ""),
        ("<a@example.com>", ""),
        (ADDRESS, "Jane"),
        ("Jane <a@example.com>", ""),
        ("Jane <b@example.com>", "Jane"),
        ("Jane Roe <a@example.com>", "Jane Doe"),
        ("Doe, Jane <a@example.com>", "Doe, Jane"),
        ('"Jane" <e@evil.example>, <a@example.com>', 'Jane" <e@evil.example>,'),
        (r'"a\b" <a@example.com>', "ab"),
        ('"=?utf-8?q?x?=" <a@example.com>', "=?utf-8?q?x?="),
        ("=?utf-8?q?x?= y <a@example.com>", "x y"),
        ("=?utf-8?q?J=C3?= =?utf-8?q?=B6rg?= <a@example.com>", "Jörg"),
        ("=?utf-8?q?J=c3=b6rg?= <a@example.com>", "Jörg"),
        ("=?utf-8?q?x=?= <a@example.com>", "x="),
        ("=?UTF-8?q?x?= <a@example.com>", "x"),
        (f"=?utf-8?q?{'x' * 64}?= <a@example.com>", "x" * 64),
    ],
)
def test_any_other_is_refused(value: str, name: str) -> None:
    with pytest.raises(InexactMessage, match="address"):
        require_mailbox(value, name, ADDRESS)
