# SPDX-License-Identifier: Apache-2.0
"""DKIM key records (RFC 6376 section 3.6.1, RFC 8301, RFC 8463): reading and comparing keys."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

#: RFC 8301 section 3.2: verifiers must not accept shorter RSA keys.
RSA_BITS_LEAST = 1024
RSA_BITS_ADVISED = 2048
_ED25519_BYTES = 32


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A decoded key: `identity` is equal for equal keys, whatever their encoding."""

    algorithm: str  # "rsa" or "ed25519"
    bits: int
    identity: tuple[int, int] | bytes

    @property
    def too_weak(self) -> bool:
        return self.algorithm == "rsa" and self.bits < RSA_BITS_LEAST


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A parsed record. `key` is None where it is revoked or unreadable; `problem` says why."""

    key: PublicKey | None
    revoked: bool = False
    problem: str | None = None
    testing: bool = False


def parse(text: str) -> KeyRecord:
    """Parse the joined strings of a TXT record; never raises."""
    tags = _tags(text)
    if isinstance(tags, str):
        return KeyRecord(None, problem=tags)
    if "v" in tags and (next(iter(tags)) != "v" or tags["v"] != "DKIM1"):
        return KeyRecord(None, problem="v= must be first and DKIM1")
    if "p" not in tags:
        return KeyRecord(None, problem="it has no p= tag")
    hashes = tags.get("h", "sha256").split(":")
    if "sha256" not in [one.strip() for one in hashes]:
        return KeyRecord(None, problem="h= does not allow sha256 (RFC 8301)")
    services = [one.strip() for one in tags.get("s", "*").split(":")]
    if "*" not in services and "email" not in services:
        return KeyRecord(None, problem="s= does not allow email")
    testing = "y" in [one.strip() for one in tags.get("t", "").split(":")]
    encoded = re.sub(r"\s+", "", tags["p"])
    if not encoded:
        return KeyRecord(None, revoked=True)
    key = decode(encoded, tags.get("k", "rsa").strip())
    if isinstance(key, str):
        return KeyRecord(None, problem=key)
    return KeyRecord(key, testing=testing)


def _tags(text: str) -> dict[str, str] | str:
    """Split a tag-list (RFC 6376 section 3.2), or say what is wrong with it."""
    tags: dict[str, str] = {}
    for part in text.strip().rstrip(";").split(";"):
        name, equals, value = part.partition("=")
        name = name.strip()
        if not equals or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
            return "it is not a list of tag=value pairs separated by semicolons"
        if name in tags:
            return f"it has the tag {name}= twice"
        tags[name] = value.strip()
    return tags


def published_base64(text: str) -> str:
    """Return the base64 text of the p= tag as far as it goes, without whitespace; "" if none."""
    match = re.search(r"(?:^|[;\s\"])p\s*=([A-Za-z0-9+/=\s]*)", text)
    return re.sub(r"\s+", "", match[1]) if match else ""


def looks_like_key(text: str) -> bool:
    """Tell whether a TXT text was meant as a DKIM key record."""
    return (
        re.search(r"(?:^|[;\s\"])\s*(?:v\s*=\s*DKIM|k\s*=|p\s*=)", text, re.IGNORECASE) is not None
    )


def decode(encoded: str, algorithm: str) -> PublicKey | str:
    """Decode the value of p=, or say what is wrong with it.

    RSA as SubjectPublicKeyInfo or bare RSAPublicKey (RFC 6376 leaves both in use); Ed25519 as 32
    raw bytes (RFC 8463 section 4).
    """
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return "p= is not valid base64"
    if algorithm == "ed25519":
        if len(raw) == _ED25519_BYTES:
            return PublicKey("ed25519", 256, raw)
        return "p= is not the 32 bytes of an Ed25519 key (RFC 8463)"
    if algorithm != "rsa":
        return "k= names no known algorithm"
    key = _load_der(raw)
    # An Ed25519 key in DER reads as a key, but not as one that k=rsa may announce.
    return key if key is not None and key.algorithm == "rsa" else "p= is not an RSA public key"


def _load_der(raw: bytes) -> PublicKey | None:
    try:
        key = load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(key, RSAPublicKey):
        numbers: RSAPublicNumbers = key.public_numbers()
        return PublicKey("rsa", key.key_size, (numbers.n, numbers.e))
    if isinstance(key, Ed25519PublicKey):
        return PublicKey("ed25519", 256, key.public_bytes(Encoding.Raw, PublicFormat.Raw))
    return None


def read_expected(text: str) -> PublicKey | str:
    """Read the key that a user gives: base64 of DER, PEM, or 32 raw Ed25519 bytes in base64.

    Returns what is wrong with it otherwise.
    """
    if "PRIVATE" in text:
        return "must be the public key, but a private key was given: replace both"
    body = re.sub(r"-----[A-Z ]+-----|\s+", "", text)
    try:
        raw = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return "must be a public key in base64 or PEM"
    if len(raw) == _ED25519_BYTES:
        return PublicKey("ed25519", 256, raw)
    key = _load_der(raw)
    if key is None:
        return "must be an RSA or Ed25519 public key"
    if key.too_weak:
        return f"must have {RSA_BITS_LEAST} bits or more, better {RSA_BITS_ADVISED} (RFC 8301)"
    return key


def record_for(key: PublicKey) -> str:
    """Write the TXT value that publishes a key."""
    if isinstance(key.identity, bytes):
        return f"v=DKIM1; k=ed25519; p={base64.b64encode(key.identity).decode()}"
    modulus, exponent = key.identity
    der = (
        RSAPublicNumbers(exponent, modulus)
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"
