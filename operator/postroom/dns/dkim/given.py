# SPDX-License-Identifier: Apache-2.0
"""Reading the public key that a user gives."""

import re

from postroom.dns.dkim.key import (
    ED25519_BYTES,
    RSA_BITS_ADVISED,
    RSA_BITS_LEAST,
    Algorithm,
    PublicKey,
    decode_base64,
    load_der,
)
from postroom.dns.dkim.private import holds_private


def read_expected(text: str) -> PublicKey | str:
    """Read the key that a user gives: base64 of DER, PEM, or 32 raw Ed25519 bytes in base64.

    Returns what is wrong with it otherwise.
    """
    if holds_private(text):
        return "must be the public key, but a private key was given: replace both"
    raw = decode_base64(re.sub(r"-----[A-Z ]{1,40}-----|\s", "", text))
    if raw is None:
        return "must be a public key in base64 or PEM"
    if len(raw) == ED25519_BYTES:
        return PublicKey(Algorithm.ED25519, 256, raw)
    key = load_der(raw)
    if key is None:
        return "must be an RSA or Ed25519 public key"
    if key.too_weak:
        return f"must have {RSA_BITS_LEAST} bits or more, better {RSA_BITS_ADVISED} (RFC 8301)"
    return key
