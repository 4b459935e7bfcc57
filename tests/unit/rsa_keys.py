# SPDX-License-Identifier: Apache-2.0
"""RSA keys, each made once for all tests of a process: a tenth of a second each."""

from __future__ import annotations

from functools import cache

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key


@cache
def rsa_pair(number: int = 0, bits: int = 2048) -> RSAPrivateKey:
    """A key; other numbers are other keys."""
    return generate_private_key(65537, bits)
