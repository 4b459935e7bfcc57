# SPDX-License-Identifier: Apache-2.0
"""SCRAM against the examples of its RFCs, what no server may say, and names of all kinds."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.masked import Masked
from postroom.mail.report import Login
from postroom.mail.session.scram import SCRAM, ScramExchange, prepared

PENCIL = Login("user", Masked("pencil"))
#: RFC 5802 section 5 and RFC 7677 section 3.
EXAMPLES = {
    "SCRAM-SHA-1": (
        "fyko+d2lbbFgONRv9qkxdawL",
        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    "SCRAM-SHA-256": (
        "rOprNGfwEbeRWgbNEkqO",
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
}


@pytest.mark.parametrize("mechanism", EXAMPLES)
def test_the_examples_of_the_standards(mechanism: str) -> None:
    nonce, challenge, answer, final = EXAMPLES[mechanism]
    exchange = ScramExchange(mechanism, PENCIL, nonce)
    assert exchange.first == f"n,,n=user,r={nonce}".encode()
    assert exchange.proof(challenge.encode()) == answer.encode()
    assert not exchange.verified
    assert exchange.hear(final.encode()) == b""
    assert exchange.verified


@pytest.mark.parametrize(
    "final", ["", "e=invalid-proof", "v=", "v=AAAA", "v=rmF9pqV8S7suAoZWja4dJRkFsKR=", "v=ü"]
)
def test_a_server_that_does_not_prove_itself(final: str) -> None:
    nonce, challenge, *_ = EXAMPLES["SCRAM-SHA-1"]
    exchange = ScramExchange("SCRAM-SHA-1", PENCIL, nonce)
    exchange.proof(challenge.encode())
    exchange.hear(final.encode())
    assert not exchange.verified


def test_a_proof_before_its_time_is_none() -> None:
    exchange = ScramExchange("SCRAM-SHA-1", PENCIL, "n")
    exchange.hear(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")
    assert not exchange.verified


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        "hello",
        "r=other,s=QSXCR+Q6sek8bf92,i=4096",
        # The server adds nothing of its own, which a recorded answer would do for.
        "r=mine,s=QSXCR+Q6sek8bf92,i=4096",
        "r=mine1,s=,i=4096",
        "r=mine1,s=A,i=4096",
        "r=mine1,s=QSXCR+Q6sek8bf92,i=0",
        "r=mine1,s=QSXCR+Q6sek8bf92,i=-1",
        "r=mine1,s=QSXCR+Q6sek8bf92,i=600001",
        "r=mine1,s=QSXCR+Q6sek8bf92,i=99999999999999999999",
        # RFC 5802 section 5.1: an extension that must be understood.
        "m=x,r=mine1,s=QSXCR+Q6sek8bf92,i=4096",
        "r=mine1 x,s=QSXCR+Q6sek8bf92,i=4096",
        "r=mine1\u00fc,s=QSXCR+Q6sek8bf92,i=4096",
    ],
)
def test_what_no_server_may_say(challenge: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        ScramExchange("SCRAM-SHA-1", PENCIL, "mine").proof(challenge.encode())


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_octets_of_a_server_prove_nothing(challenge: bytes, final: bytes) -> None:
    exchange = ScramExchange("SCRAM-SHA-256", PENCIL, "mine")
    with pytest.raises(ValueError, match=r".*"):
        exchange.proof(challenge)
    exchange.hear(final)
    assert not exchange.verified


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("I\u00adX", "IX"),  # RFC 4013 section 3
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("a\u00a0b", "a b"),
        ("e\u0301", "\u00e9"),
        # Prohibited, and of both directions: as they are.
        ("\u0007", "\u0007"),
        ("\u06271", "\u06271"),
        ("\u00ad", "\u00ad"),
        ("\u0627a\u0627", "\u0627a\u0627"),
        ("\u06271\u0627", "\u06271\u0627"),
    ],
)
def test_names_and_passwords_are_prepared(text: str, written: str) -> None:
    assert prepared(text) == written


@pytest.mark.parametrize("mechanism", SCRAM)
@given(name=st.text(min_size=1, max_size=20), password=st.text(min_size=1, max_size=20))
def test_a_server_that_knows_the_password_is_convinced(
    mechanism: str, name: str, password: str
) -> None:
    """The server's side, written down once more from RFC 5802 section 3."""
    kind = SCRAM[mechanism]
    try:
        (name + password).encode()
    except UnicodeEncodeError:
        return
    exchange = ScramExchange(mechanism, Login(name, Masked(password)))
    header, bare = exchange.first[:3], exchange.first[3:]
    assert header == b"n,,"
    sent, nonce = bare.decode().removeprefix("n=").split(",r=")
    assert sent.replace("=2C", ",").replace("=3D", "=") == prepared(name)
    said = f"r={nonce}server,s={base64.b64encode(b'salt').decode()},i=2"
    answer = exchange.proof(said.encode())
    final, _, proof = answer.rpartition(b",p=")
    salted = hashlib.pbkdf2_hmac(kind, prepared(password).encode(), b"salt", 2)
    stored = hashlib.new(kind, hmac.digest(salted, b"Client Key", kind)).digest()
    signed = b",".join((bare, said.encode(), final))
    signature = hmac.digest(stored, signed, kind)
    given_key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
    assert hashlib.new(kind, given_key).digest() == stored
    proven = hmac.digest(hmac.digest(salted, b"Server Key", kind), signed, kind)
    exchange.hear(b"v=" + base64.b64encode(proven))
    assert exchange.verified


def test_nothing_secret_shows() -> None:
    exchange = ScramExchange("SCRAM-SHA-1", PENCIL)
    assert "pencil" not in repr(exchange)
