# SPDX-License-Identifier: Apache-2.0
"""Keys for the DKIM tests: built from fixed numbers, written by `cryptography`, the oracle."""

from __future__ import annotations

import base64
import random
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from postroom.dns.dkim import PublicKey

SEED = bytes(range(32))


@cache
def rsa_numbers(bits: int = 2048, exponent: int = 65537, seed: int = 1) -> RSAPublicNumbers:
    """A public key of a size; nobody knows its factors, and no test needs them."""
    number = random.Random(seed * 100_000 + bits).getrandbits(bits)  # noqa: S311
    return RSAPublicNumbers(exponent, number | 1 << (bits - 1) | 1)


def rsa_base64(
    numbers: RSAPublicNumbers, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo
) -> str:
    return base64.b64encode(numbers.public_key().public_bytes(Encoding.DER, form)).decode()


def rsa_key(numbers: RSAPublicNumbers) -> PublicKey:
    return PublicKey("rsa", numbers.n.bit_length(), (numbers.n, numbers.e))


def ed25519_private() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(SEED)


def ed25519_private_base64() -> str:
    """The private half, as whoever took the wrong file publishes it."""
    return base64.b64encode(
        ed25519_private().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    ).decode()


def ed25519_raw() -> bytes:
    return ed25519_private().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def ed25519_base64() -> str:
    return base64.b64encode(ed25519_raw()).decode()


def ed25519_der_base64() -> str:
    form = PublicFormat.SubjectPublicKeyInfo
    return base64.b64encode(
        ed25519_private().public_key().public_bytes(Encoding.DER, form)
    ).decode()
