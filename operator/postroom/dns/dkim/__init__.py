# SPDX-License-Identifier: Apache-2.0
"""DKIM keys and key records (RFC 6376, RFC 8301, RFC 8463), their mistakes, and their rotation."""

from postroom.dns.dkim.concealing import (
    MASK,
    PrivateKeys,
    concealed,
    spans,
    without_private,
)
from postroom.dns.dkim.given import read_expected
from postroom.dns.dkim.kept_tags import left_out, staying, with_tags_of
from postroom.dns.dkim.key import (
    RSA_BITS_ADVISED,
    RSA_BITS_LEAST,
    RSA_BITS_MOST,
    Algorithm,
    PublicKey,
    decode,
    described,
    fingerprint,
    published_form,
    record_for,
)
from postroom.dns.dkim.private import holds_private, is_private, public_half, public_halves
from postroom.dns.dkim.record import (
    Fault,
    KeyRecord,
    Note,
    looks_like_key,
    notes,
    parse,
    published_base64,
    select,
)
from postroom.dns.dkim.rotation import (
    KeyState,
    RotationStep,
    SelectorAdvice,
    SelectorSeen,
    advise_rotation,
)
from postroom.dns.dkim.slips import Slip, mends_to, slips

__all__ = [
    "MASK",
    "RSA_BITS_ADVISED",
    "RSA_BITS_LEAST",
    "RSA_BITS_MOST",
    "Algorithm",
    "Fault",
    "KeyRecord",
    "KeyState",
    "Note",
    "PrivateKeys",
    "PublicKey",
    "RotationStep",
    "SelectorAdvice",
    "SelectorSeen",
    "Slip",
    "advise_rotation",
    "concealed",
    "decode",
    "described",
    "fingerprint",
    "holds_private",
    "is_private",
    "left_out",
    "looks_like_key",
    "mends_to",
    "notes",
    "parse",
    "public_half",
    "public_halves",
    "published_base64",
    "published_form",
    "read_expected",
    "record_for",
    "select",
    "slips",
    "spans",
    "staying",
    "with_tags_of",
    "without_private",
]
