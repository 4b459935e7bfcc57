# SPDX-License-Identifier: Apache-2.0
"""DKIM public keys: decoded as RFC 6376, RFC 8301 and RFC 8463 say, and written as they were.

Every key is written by `cryptography`, the oracle.
"""

from __future__ import annotations

import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns.dkim.key import (
    PublicKey,
    decode,
    decode_base64,
    described,
    fingerprint,
    holds_private_key,
    load_der,
    published_form,
    published_forms,
    record_for,
)
from unit.dns.dkim_keys import (
    SEED,
    ed25519_base64,
    ed25519_der_base64,
    ed25519_private,
    ed25519_raw,
    rsa_base64,
    rsa_key,
    rsa_numbers,
)

KEY, ED_KEY = rsa_key(rsa_numbers()), PublicKey("ed25519", 256, ed25519_raw())
SPKI = rsa_base64(rsa_numbers())
BARE = rsa_base64(rsa_numbers(), PublicFormat.PKCS1)


@pytest.mark.parametrize("encoded", ["AAAA", "AA==", "AAA=", ""])
def test_base64_is_read(encoded: str) -> None:
    assert decode_base64(encoded) == base64.b64decode(encoded)


@pytest.mark.parametrize("encoded", ["AAA", "AA=A", "A===", "AA==AA==", "AA-_", "AA A", "AAA\n"])
def test_base64_is_read_strictly(encoded: str) -> None:
    assert decode_base64(encoded) is None


@pytest.mark.parametrize(
    ("encoded", "algorithm", "found"),
    [
        (SPKI, "rsa", KEY),
        (BARE, "rsa", KEY),
        (ed25519_base64(), "ed25519", ED_KEY),
        (SPKI, "ed25519", "p= is not the 32 bytes of an Ed25519 key (RFC 8463)"),
        (ed25519_der_base64(), "ed25519", "p= is not the 32 bytes of an Ed25519 key (RFC 8463)"),
        (ed25519_base64(), "rsa", "p= is not an RSA key"),
        (ed25519_der_base64(), "rsa", "p= is not an RSA key"),
        (SPKI, "RSA", "k= names no known algorithm"),
        (SPKI[:-1], "rsa", "p= is not valid base64"),
        ("", "rsa", "p= is not an RSA key"),
    ],
)
def test_what_p_holds(encoded: str, algorithm: str, found: PublicKey | str) -> None:
    assert decode(encoded, algorithm) == found


@pytest.mark.parametrize(("bits", "weak"), [(1023, True), (1024, False), (2048, False)])
def test_rfc_8301_asks_for_1024_bits(bits: int, weak: bool) -> None:
    assert PublicKey("rsa", bits, (1, 3)).too_weak is weak
    assert not ED_KEY.too_weak


@pytest.mark.parametrize("numbers", [(3, rsa_numbers().n - 1), (4, rsa_numbers().n)])
def test_no_number_of_an_rsa_key_is_even(numbers: tuple[int, int]) -> None:
    exponent, modulus = numbers

    def element(tag: int, content: bytes) -> bytes:
        return bytes([tag, 0x82, *len(content).to_bytes(2)]) + content

    parts = [element(2, value.to_bytes(260)) for value in (modulus, exponent)]
    assert load_der(element(0x30, b"".join(parts))) is None


def test_other_kinds_of_keys_are_none() -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).public_key()
    form = PublicFormat.SubjectPublicKeyInfo
    assert load_der(curve.public_bytes(Encoding.DER, form)) is None
    assert load_der(base64.b64decode(ed25519_der_base64())) == ED_KEY


@given(st.integers(1024, 1200), st.sampled_from([3, 17, 65537]), st.integers(1, 99))
def test_a_published_key_is_read_as_it_was(bits: int, exponent: int, seed: int) -> None:
    numbers = rsa_numbers(bits, exponent, seed)
    key = rsa_key(numbers)
    assert key.bits == bits
    assert published_form(key) == rsa_base64(numbers)
    assert published_forms(key) == (
        rsa_base64(numbers),
        rsa_base64(numbers, PublicFormat.PKCS1),
    )
    assert [decode(text, "rsa") for text in published_forms(key)] == [key, key]


def test_how_keys_are_written_and_named() -> None:
    assert record_for(KEY) == f"v=DKIM1; k=rsa; p={SPKI}"
    assert record_for(ED_KEY) == f"v=DKIM1; k=ed25519; p={ed25519_base64()}"
    assert published_forms(ED_KEY) == (ed25519_base64(),)
    for key, der, kind in ((KEY, SPKI, "RSA 2048"), (ED_KEY, ed25519_der_base64(), "Ed25519")):
        digest = hashlib.sha256(base64.b64decode(der)).hexdigest()
        assert fingerprint(key) == digest
        assert described(key) == f"{kind}, sha256 {digest[:16]}"


def private_ed25519() -> bytes:
    return ed25519_private().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("raw", "wanted", "private"),
    [
        (private_ed25519(), None, True),
        (SEED, ED_KEY, True),
        (SEED + ed25519_raw(), ED_KEY, True),
        (SEED, None, False),
        (SEED, KEY, False),
        (ed25519_raw(), ED_KEY, False),
        (SEED[:31], ED_KEY, False),
        (base64.b64decode(SPKI), KEY, False),
        (base64.b64decode(BARE), KEY, False),
        (base64.b64decode(ed25519_der_base64()), ED_KEY, False),
        (b"", ED_KEY, False),
        (b"\x30", None, False),
    ],
)
def test_private_keys_are_told_from_public_ones(
    raw: bytes, wanted: PublicKey | None, private: bool
) -> None:
    assert holds_private_key(raw, wanted) is private


@given(st.binary(max_size=80))
def test_no_bytes_break_the_readers(raw: bytes) -> None:
    key = load_der(raw)
    assert key is None or isinstance(key.identity, tuple | bytes)
    holds_private_key(raw, ED_KEY)


def test_the_oracle_takes_what_is_published() -> None:
    assert isinstance(KEY.identity, tuple)
    modulus, exponent = KEY.identity
    assert RSAPublicNumbers(exponent, modulus) == rsa_numbers()
