# SPDX-License-Identifier: Apache-2.0
"""Public keys for DKIM records: well formed, the same for one seed, and nobody's.

Generating RSA keys would cost a tenth of a second each. A record holds only a modulus, and whether
it has two large prime factors is nothing that DNS shows.
"""

from __future__ import annotations

import base64
from functools import lru_cache
from random import Random

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


@lru_cache(maxsize=4096)
def rsa_public_key(seed: int, bits: int = 2048) -> str:
    """A SubjectPublicKeyInfo in base64, as the `p=` of RFC 6376 section 3.6.1 holds it."""
    modulus = Random(seed).getrandbits(bits) | 1 << (bits - 1) | 1  # noqa: S311
    key = RSAPublicNumbers(65537, modulus).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(spki).decode()


@lru_cache(maxsize=4096)
def ed25519_public_key(seed: int) -> str:
    """The 32 octets of a key in base64, as the `p=` of RFC 8463 section 4.2 holds it."""
    private = Ed25519PrivateKey.from_private_bytes(Random(seed).randbytes(32))  # noqa: S311
    raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return base64.b64encode(raw).decode()
