# SPDX-License-Identifier: Apache-2.0
"""DKIM key records: over sixty classes, accepted or refused as `cryptography` reads the key."""

from __future__ import annotations

import base64
import time

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)
from hypothesis import given
from hypothesis import strategies as st

from postroom.dns import dkim
from postroom.dns.dkim.key import published_forms
from unit.dns.dkim_keys import (
    ed25519_base64,
    ed25519_der_base64,
    ed25519_raw,
    rsa_base64,
    rsa_key,
    rsa_numbers,
)

RSA = rsa_base64(rsa_numbers())
PKCS1 = rsa_base64(rsa_numbers(), PublicFormat.PKCS1)
RSA_KEY = rsa_key(rsa_numbers())
ED = ed25519_base64()
ED_KEY = dkim.PublicKey("ed25519", 256, ed25519_raw())


def folded(text: str, every: int, fold: str) -> str:
    return fold.join(text[i : i + every] for i in range(0, len(text), every))


ACCEPTED = {
    "whole": f"v=DKIM1; k=rsa; p={RSA}",
    "no version": f"k=rsa; p={RSA}",
    "only p": f"p={RSA}",
    "no key type": f"v=DKIM1; p={RSA}",
    "pkcs1": f"v=DKIM1; k=rsa; p={PKCS1}",
    "pkcs1 bare": f"p={PKCS1}",
    "trailing semicolon": f"v=DKIM1; k=rsa; p={RSA};",
    "trailing semicolon and space": f"v=DKIM1; k=rsa; p={RSA}; ",
    "no spaces": f"v=DKIM1;k=rsa;p={RSA}",
    "spaces around equals": f"v = DKIM1 ; k = rsa ; p = {RSA}",
    "tabs": f"v=DKIM1;\tk=rsa;\tp={RSA}",
    "leading space": f" v=DKIM1; p={RSA}",
    "folded by spaces": f"v=DKIM1; p={folded(RSA, 64, ' ')}",
    "folded by lines": f"v=DKIM1; p={folded(RSA, 64, chr(13) + chr(10) + ' ')}",
    "p first without version": f"p={RSA}; k=rsa",
    "sha256": f"v=DKIM1; h=sha256; p={RSA}",
    "both hashes": f"v=DKIM1; h=sha1:sha256; p={RSA}",
    "hashes with spaces": f"v=DKIM1; h = sha1 : sha256 ; p={RSA}",
    "any service": f"v=DKIM1; s=*; p={RSA}",
    "email": f"v=DKIM1; s=email; p={RSA}",
    "services": f"v=DKIM1; s=tlsrpt:email; p={RSA}",
    "strict": f"v=DKIM1; t=s; p={RSA}",
    "testing": f"v=DKIM1; t=y; p={RSA}",
    "both flags": f"v=DKIM1; t=y:s; p={RSA}",
    "unknown flag": f"v=DKIM1; t=x; p={RSA}",
    "notes": f"v=DKIM1; n=rotate in May; p={RSA}",
    "granularity": f"v=DKIM1; g=*; p={RSA}",
    "unknown tag": f"v=DKIM1; x_1=what; p={RSA}",
    "upper case tag is another": f"v=DKIM1; P=nothing; p={RSA}",
    "empty notes": f"v=DKIM1; n=; p={RSA}",
}
OTHER_SIZES = {
    f"{form} {bits} {exponent}": (bits, exponent, form)
    for bits in (1024, 1025, 1536, 2048, 3072, 4096, 8192)
    for form in (PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1)
    for exponent in (3, 65537)
}
REFUSED = {
    "dkim1": (f"v=dkim1; p={RSA}", "DKIM_V_WRONG"),
    "DKIM": (f"v=DKIM; p={RSA}", "DKIM_V_WRONG"),
    "DKIM2": (f"v=DKIM2; p={RSA}", "DKIM_V_WRONG"),
    "empty version": (f"v=; p={RSA}", "DKIM_V_WRONG"),
    "version last": (f"k=rsa; p={RSA}; v=DKIM1", "DKIM_V_WRONG"),
    "version second": (f"k=rsa; v=DKIM1; p={RSA}", "DKIM_V_WRONG"),
    "no p": ("v=DKIM1; k=rsa", "DKIM_P_MISSING"),
    "only version": ("v=DKIM1", "DKIM_P_MISSING"),
    "upper case p": (f"v=DKIM1; P={RSA}", "DKIM_P_MISSING"),
    "empty": ("", "DKIM_SYNTAX"),
    "bare key": (RSA.rstrip("="), "DKIM_SYNTAX"),
    "p twice": (f"p={RSA}; p={RSA}", "DKIM_SYNTAX"),
    "unknown tag twice": (f"x=1; x=2; p={RSA}", "DKIM_SYNTAX"),
    "semicolon twice": (f"v=DKIM1;; p={RSA}", "DKIM_SYNTAX"),
    "no semicolons": (f"v=DKIM1 k=rsa p={RSA}", "DKIM_V_WRONG"),
    "tag with dash": (f"a-b=1; p={RSA}", "DKIM_SYNTAX"),
    "no-break space": (f"v=DKIM1;\xa0p={RSA}", "DKIM_SYNTAX"),
    "NUL": (f"v=DKIM1; n=\x00; p={RSA}", "DKIM_SYNTAX"),
    "non-ASCII": (f"v=DKIM1; n=\xe9; p={RSA}", "DKIM_SYNTAX"),
    "sha1": (f"h=sha1; p={RSA}", "DKIM_HASH"),
    "no hash": (f"h=; p={RSA}", "DKIM_HASH"),
    "other service": (f"s=tlsrpt; p={RSA}", "DKIM_SERVICE"),
    "unknown type": (f"k=rot13; p={RSA}", "DKIM_KTYPE"),
    "upper case type": (f"k=RSA; p={RSA}", "DKIM_KTYPE"),
    "empty type": (f"k=; p={RSA}", "DKIM_KTYPE"),
    "rsa announced as ed25519": (f"k=ed25519; p={RSA}", "DKIM_KTYPE"),
    "ed25519 announced as rsa": (f"k=rsa; p={ED}", "DKIM_KTYPE"),
    "ed25519 without type": (f"p={ED}", "DKIM_KTYPE"),
    "ed25519 in DER": (f"k=ed25519; p={ed25519_der_base64()}", "DKIM_SYNTAX"),
    "ed25519 in DER as rsa": (f"k=rsa; p={ed25519_der_base64()}", "DKIM_SYNTAX"),
    "ed25519 of 31 bytes": (
        f"k=ed25519; p={base64.b64encode(ed25519_raw()[:31]).decode()}",
        "DKIM_SYNTAX",
    ),
    "ed25519 of 33 bytes": (
        f"k=ed25519; p={base64.b64encode(ed25519_raw() + b'x').decode()}",
        "DKIM_SYNTAX",
    ),
    "foreign character": (f"p={RSA[:50]}*{RSA[50:]}", "DKIM_SYNTAX"),
    "url alphabet": (f"p={RSA.replace('+', '-').replace('/', '_')}", "DKIM_SYNTAX"),
    "no padding": (f"k=ed25519; p={ED.rstrip('=')}", "DKIM_SYNTAX"),
    "too much padding": (f"p={RSA[:-4]}====", "DKIM_SYNTAX"),
    "padding inside": (f"p=={RSA}", "DKIM_SYNTAX"),
    "a character lost": (f"p={RSA[:60]}{RSA[61:]}", "DKIM_SYNTAX"),
    "cut": (f"p={RSA[:200]}", "DKIM_SYNTAX"),
    "bytes behind": (
        f"p={base64.b64encode(base64.b64decode(RSA) + b'abc').decode()}",
        "DKIM_SYNTAX",
    ),
    "quoted": (f'"p={RSA}"', "DKIM_SYNTAX"),
    "weak": (f"p={rsa_base64(rsa_numbers(1023))}", "DKIM_WEAK"),
    "weaker": (f"p={rsa_base64(rsa_numbers(512))}", "DKIM_WEAK"),
    "weak pkcs1": (f"p={rsa_base64(rsa_numbers(768), PublicFormat.PKCS1)}", "DKIM_WEAK"),
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted_records_hold_the_key(text: str) -> None:
    found = dkim.parse(text)
    assert found.usable, found
    assert found.key == RSA_KEY


@pytest.mark.parametrize(
    "text", [f"k=ed25519; p={ED}", f"v=DKIM1;k=ed25519;p={folded(ED, 9, ' ')};"]
)
def test_ed25519_records_hold_the_key(text: str) -> None:
    assert dkim.parse(text).key == ED_KEY


@pytest.mark.parametrize(("bits", "exponent", "form"), OTHER_SIZES.values(), ids=OTHER_SIZES)
def test_sizes_and_exponents(bits: int, exponent: int, form: PublicFormat) -> None:
    numbers = rsa_numbers(bits, exponent)
    found = dkim.parse(f"p={rsa_base64(numbers, form)}")
    assert found.usable
    assert found.key == rsa_key(numbers)


@pytest.mark.parametrize(("text", "code"), REFUSED.values(), ids=REFUSED)
def test_refused_records_have_their_code(text: str, code: str) -> None:
    found = dkim.parse(text)
    assert not found.usable
    assert found.fault is not None
    assert found.fault.code == code


def test_there_are_sixty_classes() -> None:
    assert len(ACCEPTED) + len(OTHER_SIZES) + len(REFUSED) >= 100


def test_an_empty_p_is_revoked_and_not_a_fault() -> None:
    for text in ("v=DKIM1; p=", "p= ;", "v=DKIM1; k=rsa; p=\t"):
        found = dkim.parse(text)
        assert found.revoked
        assert not found.usable
        assert found.problem is None


@pytest.mark.parametrize("exponent", [1, 2, 4, 65536])
def test_impossible_exponents_are_refused(exponent: int) -> None:
    numbers = rsa_numbers()
    good = base64.b64decode(rsa_base64(numbers, PublicFormat.PKCS1))
    assert good.endswith(bytes.fromhex("0203010001"))
    bad = good[:-3] + exponent.to_bytes(3, "big")
    assert not dkim.parse(f"p={base64.b64encode(bad).decode()}").usable


def test_an_even_modulus_is_refused() -> None:
    good = base64.b64decode(PKCS1)
    assert good[-6] % 2 == 1
    bad = good[:-6] + bytes([good[-6] - 1]) + good[-5:]
    assert not dkim.parse(f"p={base64.b64encode(bad).decode()}").usable


def test_a_key_of_another_kind_is_refused() -> None:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert not dkim.parse(f"p={base64.b64encode(der).decode()}").usable


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        (f"v=DKIM1; p={RSA}", []),
        (f"v=DKIM1; t=y; p={RSA}", ["DKIM_TESTING"]),
        (f"p={rsa_base64(rsa_numbers(1024))}", ["DKIM_SHORT"]),
        (f"p={rsa_base64(rsa_numbers(2047))}", ["DKIM_SHORT"]),
        (f"p={rsa_base64(rsa_numbers(4096))}", []),
        (f"p={rsa_base64(rsa_numbers(8192))}", ["DKIM_LONG"]),
        (f"g=mail; p={RSA}", ["DKIM_GRANULARITY"]),
        (f"t=y; h=sha1; p={RSA}", []),
        (f"k=ed25519; t=y; p={ED}", ["DKIM_TESTING"]),
    ],
)
def test_notes(text: str, codes: list[str]) -> None:
    assert [note.code for note in dkim.notes(dkim.parse(text))] == codes


def test_details_are_read() -> None:
    found = dkim.parse(f"v=DKIM1; k=rsa; h=sha1 : sha256; s=email:x; t=s; g=m; p={RSA}")
    assert (found.hashes, found.services) == (("sha1", "sha256"), ("email", "x"))
    assert (found.strict, found.testing, found.granularity) == (True, False, "m")


def test_what_is_written_is_read_again() -> None:
    for key in (RSA_KEY, ED_KEY, rsa_key(rsa_numbers(4096))):
        assert dkim.parse(dkim.record_for(key)).key == key
        for form in published_forms(key):
            assert dkim.read_expected(form) == key


def oracle(raw: bytes) -> tuple[int, int] | None:
    """What `cryptography` takes for an RSA key."""
    try:
        key = load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, RSAPublicKey):
        return None
    numbers = key.public_numbers()
    return (numbers.n, numbers.e) if numbers.n % 2 and numbers.e % 2 else None


@given(st.integers(0, 293), st.integers(0, 255))
def test_a_changed_byte_is_read_as_cryptography_reads_it(position: int, byte: int) -> None:
    raw = bytearray(base64.b64decode(RSA))
    raw[position] = byte
    found = dkim.parse(f"p={base64.b64encode(raw).decode()}")
    assert (found.key.identity if found.key else None) == oracle(bytes(raw))


@given(st.text() | st.text(alphabet="vkphstng=;: \tDKIM1rsaA/+\x00"))
def test_no_text_breaks_the_parser(text: str) -> None:
    for one in (text, f"v=DKIM1; {text}", f"p={text}"):
        dkim.notes(dkim.parse(one))
        dkim.looks_like_key(one)
        dkim.published_base64(one)
        dkim.read_expected(one)


@given(st.binary(max_size=200))
def test_no_key_breaks_the_parser(raw: bytes) -> None:
    encoded = base64.b64encode(raw).decode()
    dkim.parse(f"k=ed25519; p={encoded}")
    assert not isinstance(dkim.parse(f"p={encoded}").key, str)
    dkim.read_expected(encoded)


@pytest.mark.parametrize(
    "unit", ["p=", "; ", " ", "A", "\x00", "v=DKIM1;", "k =", "\xff", "-----BEGIN", "a=b;"]
)
def test_a_megabyte_is_bounded(unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    begin = time.process_time()
    dkim.parse(text)
    dkim.looks_like_key(text)
    dkim.published_base64(text)
    assert time.process_time() - begin < 1
