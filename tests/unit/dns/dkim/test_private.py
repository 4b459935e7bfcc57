# SPDX-License-Identifier: Apache-2.0
"""Private keys where public ones belong: known in every form, and whose other half they are."""

from __future__ import annotations

import base64
from functools import cache

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from postroom.dns import dkim
from postroom.dns.dkim.private import holds_private, is_private, public_half, public_halves
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
from unit.rsa_keys import rsa_pair

RSA = rsa_base64(rsa_numbers())


KEY = rsa_key(rsa_numbers())


TEXT = f"v=DKIM1; k=rsa; p={RSA}"


ED = ed25519_base64()


ED_KEY = dkim.PublicKey("ed25519", 256, ed25519_raw())


ED_TEXT = f"v=DKIM1; k=ed25519; p={ED}"


def private_key() -> rsa.RSAPrivateKey:
    return rsa_pair(2)


@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
@pytest.mark.parametrize("pattern", ["{}", "v=DKIM1; k=rsa; p={}", "v=DKIM1; p={:.255}"])
def test_a_private_key_is_recognised_and_not_repeated(form: PrivateFormat, pattern: str) -> None:
    der = private_key().private_bytes(Encoding.DER, form, NoEncryption())
    value = pattern.format(base64.b64encode(der).decode())
    found = dkim.slips([value], [(value,)], KEY, TEXT)
    assert found[0].code == "DKIM_PRIVATE_KEY_PUBLISHED"
    assert dkim.is_private(value)
    assert found[0].value == ""
    assert value[60:90] not in found[0].detail


def test_an_ed25519_private_key_is_recognised() -> None:
    der = ed25519_private().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert dkim.is_private(base64.b64encode(der).decode())


def test_public_keys_are_not_private() -> None:
    for text in (TEXT, ED_TEXT, RSA, f"p={ed25519_der_base64()}"):
        assert not dkim.is_private(text, KEY)
        assert not dkim.is_private(text, ED_KEY)


def number(value: int) -> str:
    raw = value.to_bytes((value.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


@cache
def rsa_forms() -> dict[str, str]:
    pair = private_key()
    numbers = pair.private_numbers()
    pem = pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    der = pair.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    n, e, d = map(number, (numbers.public_numbers.n, numbers.public_numbers.e, numbers.d))
    return {
        "PEM": pem.decode(),
        "PEM on one line": pem.decode().replace("\n", "\\n"),
        "PEM in base64": base64.b64encode(pem).decode(),
        "DER in base64": base64.b64encode(der).decode(),
        "DER in the alphabet of URLs": base64.urlsafe_b64encode(der).decode().rstrip("="),
        "DER behind words": f"my key is {base64.b64encode(der).decode()} thanks",
        "hexadecimal": der.hex(),
        "hexadecimal with colons": der.hex(":"),
        "JWK": f'{{"kty":"RSA","n":"{n}","e":"{e}","d":"{d}"}}',
        "JWK without quotation marks": f"{{kty:RSA,n:{n},e:{e},d:{d}}}",
        "OpenSSH": pair.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(),
    }


@pytest.mark.parametrize("form", rsa_forms())
def test_the_public_half_of_an_rsa_key_in_every_form(form: str) -> None:
    public = private_key().public_key().public_numbers()
    half = dkim.PublicKey("rsa", 2048, (public.n, public.e))
    assert holds_private(rsa_forms()[form])
    assert public_halves(rsa_forms()[form]) == (half,)


ED_FORMS = {
    "seed in hexadecimal": SEED.hex(),
    "seed in base64": base64.b64encode(SEED).decode(),
    "seed in p=": f"v=DKIM1; k=ed25519; p={base64.b64encode(SEED).decode()}",
    "seed and public key": base64.b64encode(SEED + ed25519_raw()).decode(),
}


@pytest.mark.parametrize("form", ED_FORMS)
def test_a_bare_seed_is_known_by_the_public_key_that_is_wanted(form: str) -> None:
    assert is_private(ED_FORMS[form], ED_KEY)
    assert public_halves(ED_FORMS[form], ED_KEY) == (ED_KEY,)
    # Nothing tells it from any other 32 bytes.
    assert public_halves(ED_FORMS[form]) == ()
    assert public_halves(ED_FORMS[form], KEY) == ()


def test_an_ed25519_web_key() -> None:
    secret = base64.urlsafe_b64encode(SEED).decode().rstrip("=")
    text = f'{{"kty":"OKP","crv":"Ed25519","d":"{secret}"}}'
    assert public_halves(text) == (ED_KEY,)
    assert not is_private(text.replace('"d"', '"x"'))


def test_a_key_that_does_not_tell_its_other_half_is_private_all_the_same() -> None:
    locked = private_key().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    assert public_halves(locked.decode()) == (None,)
    assert public_halves("-----BEGIN RSA PRIVATE KEY-----") == (None,)
    cut = rsa_forms()["DER in base64"][:200]
    assert (holds_private(cut), public_halves(cut)) == (True, (None,))


def test_of_two_keys_both_halves_are_told() -> None:
    other = base64.b64encode(
        ed25519_private().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    ).decode()
    found = public_halves(f"{rsa_forms()['DER in base64']} {other}")
    assert [half and half.algorithm for half in found] == ["rsa", "ed25519"]


def test_what_stands_behind_a_key_does_not_hide_it() -> None:
    raw = ed25519_private().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    assert public_half(raw) == public_half(raw + b"more") == ED_KEY
    assert public_half(raw[:-1]) is None
    assert public_half(b"\x30") is None
