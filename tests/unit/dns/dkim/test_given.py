# SPDX-License-Identifier: Apache-2.0
"""The public key that a user gives: in every form in which tools hand it out, or what is wrong."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.dkim.given import read_expected
from postroom.dns.dkim.key import PublicKey
from unit.dns.dkim_keys import (
    ed25519_base64,
    ed25519_der_base64,
    ed25519_private,
    ed25519_raw,
    rsa_base64,
    rsa_key,
    rsa_numbers,
)

KEY, ED_KEY = rsa_key(rsa_numbers()), PublicKey("ed25519", 256, ed25519_raw())
RSA = rsa_base64(rsa_numbers())


def pem(encoded: str, name: str = "PUBLIC KEY") -> str:
    lines = [encoded[start : start + 64] for start in range(0, len(encoded), 64)]
    return "\n".join([f"-----BEGIN {name}-----", *lines, f"-----END {name}-----", ""])


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (RSA, KEY),
        (f" {RSA[:100]}\n{RSA[100:]}\t", KEY),
        (rsa_base64(rsa_numbers(), PublicFormat.PKCS1), KEY),
        (pem(RSA), KEY),
        (pem(RSA).replace("\n", "\r\n"), KEY),
        (pem(rsa_base64(rsa_numbers(), PublicFormat.PKCS1), "RSA PUBLIC KEY"), KEY),
        (ed25519_base64(), ED_KEY),
        (ed25519_der_base64(), ED_KEY),
        (pem(ed25519_der_base64()), ED_KEY),
        (rsa_base64(rsa_numbers(1024)), rsa_key(rsa_numbers(1024))),
    ],
)
def test_a_key_is_read(text: str, key: PublicKey) -> None:
    assert read_expected(text) == key


CURVE = base64.b64encode(
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "must be an RSA or Ed25519 public key"),
        (CURVE, "must be an RSA or Ed25519 public key"),
        (base64.b64encode(ed25519_raw()[:31]).decode(), "must be an RSA or Ed25519 public key"),
        (f"v=DKIM1; p={RSA}", "must be a public key in base64 or PEM"),
        (RSA[:-1], "must be a public key in base64 or PEM"),
        (rsa_base64(rsa_numbers(1023)), "must have 1024 bits or more, better 2048 (RFC 8301)"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    assert read_expected(text) == said


@pytest.mark.parametrize("encoding", [Encoding.PEM, Encoding.DER])
def test_a_private_key_is_refused(encoding: Encoding) -> None:
    raw = ed25519_private().private_bytes(encoding, PrivateFormat.PKCS8, NoEncryption())
    text = raw.decode() if encoding is Encoding.PEM else base64.b64encode(raw).decode()
    said = "must be the public key, but a private key was given: replace both"
    assert read_expected(text) == said


@given(st.text(max_size=60))
def test_any_other_text_is_refused_in_a_clause(text: str) -> None:
    found = read_expected(text)
    assert isinstance(found, PublicKey) or found.startswith("must be ")
