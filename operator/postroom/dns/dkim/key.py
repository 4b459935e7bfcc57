# SPDX-License-Identifier: Apache-2.0
"""DKIM public keys (RFC 6376, RFC 8301, RFC 8463): decoding, comparing and writing them."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from enum import StrEnum

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

#: RFC 8301 section 3.2: verifiers must not accept shorter RSA keys.
RSA_BITS_LEAST = 1024
RSA_BITS_ADVISED = 2048
#: RFC 8301 section 3.2: verifiers need not accept longer ones.
RSA_BITS_MOST = 4096
ED25519_BYTES = 32
#: Base64 of the DER that stands before the 32 bytes of an Ed25519 key: it was pasted by mistake.
ED25519_DER_PREFIX = "MCowBQYDK2Vw"
#: From the alphabet of base64url to that of base64 (RFC 4648 sections 5 and 4).
TO_STANDARD = str.maketrans("-_", "+/")
#: Object identifiers in DER: rsaEncryption (RFC 8017), id-Ed25519 (RFC 8410).
_OID_RSA = bytes.fromhex("06092a864886f70d010101")
_OID_ED25519 = bytes.fromhex("06032b6570")
#: What PKCS#8 (RFC 5958) and PKCS#12 (RFC 7292) encrypt keys with: pkcs-5, pkcs-12PbeIds, pkcs-7.
_OIDS_ENCRYPTED = tuple(
    map(bytes.fromhex, ("06092a864886f70d0105", "060a2a864886f70d010c01", "06092a864886f70d0107"))
)
_SEQUENCE, _INTEGER = 0x30, 0x02


class Algorithm(StrEnum):
    """Key types that k= may name."""

    RSA = "rsa"
    ED25519 = "ed25519"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A decoded key: `identity` is equal for equal keys, whatever their encoding.

    It is (modulus, exponent) for RSA, the 32 bytes for Ed25519.
    """

    algorithm: str
    bits: int
    identity: tuple[int, int] | bytes

    @property
    def too_weak(self) -> bool:
        return self.algorithm == Algorithm.RSA and self.bits < RSA_BITS_LEAST


def decode_base64(encoded: str) -> bytes | None:
    """Decode strictly: no foreign character, no wrong padding (RFC 4648 section 3); else None."""
    if len(encoded) % 4:
        return None
    try:
        return binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError:
        return None


def decode(encoded: str, algorithm: str) -> PublicKey | str:
    """Decode the value of p=, or say what is wrong with it.

    RSA as SubjectPublicKeyInfo or bare RSAPublicKey (RFC 6376 leaves both in use); Ed25519 as 32
    raw bytes (RFC 8463 section 4).
    """
    raw = decode_base64(encoded)
    if raw is None:
        return "p= is not valid base64"
    if algorithm == Algorithm.ED25519:
        if len(raw) == ED25519_BYTES:
            return PublicKey(Algorithm.ED25519, 256, raw)
        return "p= is not the 32 bytes of an Ed25519 key (RFC 8463)"
    if algorithm != Algorithm.RSA:
        return "k= names no known algorithm"
    key = load_der(raw)
    # An Ed25519 key in DER reads as a key, but not as one that k=rsa may announce.
    return key if key is not None and key.algorithm == Algorithm.RSA else "p= is not an RSA key"


def load_der(raw: bytes) -> PublicKey | None:
    """Read a public key in DER, of the kinds that DKIM knows; None for anything else.

    An RSA key must have an odd modulus and an odd exponent from 3 on (RFC 8017 section 3.1).
    """
    head = raw[:32]
    known = _OID_RSA in head or _OID_ED25519 in head or _first_integer(raw) is not None
    # Only these reach the library: it warns of, and works on, far more kinds of keys.
    if not known:
        return None
    try:
        key = load_der_public_key(raw)
    except (ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(key, RSAPublicKey):
        numbers = key.public_numbers()
        if numbers.n % 2 == 0 or numbers.e % 2 == 0:
            return None
        return PublicKey(Algorithm.RSA, key.key_size, (numbers.n, numbers.e))
    if isinstance(key, Ed25519PublicKey):
        return PublicKey(Algorithm.ED25519, 256, key.public_bytes(Encoding.Raw, PublicFormat.Raw))
    return None


def holds_private_key(raw: bytes, wanted: PublicKey | None = None) -> bool:
    """Whether bytes are, or begin as, a private key.

    PKCS#1 and PKCS#8 are sequences that begin with a version of 0 or 1, which no public key does,
    or, where they are encrypted, with how that was done; 32 bytes are one where the `wanted`
    public key belongs to them.
    """
    if raw[:1] == bytes([_SEQUENCE]) and any(oid in raw[:24] for oid in _OIDS_ENCRYPTED):
        return True
    version = _first_integer(raw)
    if version is not None:
        return len(version) == 1 and version[0] in (0, 1) and len(raw) > ED25519_BYTES
    if wanted is None or not isinstance(wanted.identity, bytes):
        return False
    # 64 bytes are how some libraries store seed and public key together.
    seed = raw[:ED25519_BYTES] if len(raw) in (ED25519_BYTES, 2 * ED25519_BYTES) else b""
    if not seed:
        return False
    made = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return made.public_bytes(Encoding.Raw, PublicFormat.Raw) == wanted.identity


def _first_integer(raw: bytes) -> bytes | None:
    """The content of the INTEGER with which a DER sequence begins, as far as it is there."""
    position = _content(raw, 0, _SEQUENCE)
    inner = None if position is None else _content(raw, position, _INTEGER)
    if position is None or inner is None:
        return None
    length = raw[position + 1]
    return raw[inner : inner + length] if length < 0x80 else raw[inner:]


def _content(raw: bytes, position: int, tag: int) -> int | None:
    """Where the content of a DER element begins; None where another, or none, stands."""
    if len(raw) < position + 2 or raw[position] != tag:
        return None
    length = raw[position + 1]
    start = position + 2 + (length & 0x7F if length & 0x80 else 0)
    return start if start <= len(raw) else None


def published_form(key: PublicKey) -> str:
    """Write a key as p= holds it: SubjectPublicKeyInfo for RSA, raw bytes for Ed25519."""
    if isinstance(key.identity, bytes):
        return base64.b64encode(key.identity).decode()
    return base64.b64encode(_rsa(key, PublicFormat.SubjectPublicKeyInfo)).decode()


def published_forms(key: PublicKey) -> tuple[str, ...]:
    """Return every text by which p= may rightly hold a key, the usual one first."""
    if isinstance(key.identity, bytes):
        return (published_form(key),)
    return (published_form(key), base64.b64encode(_rsa(key, PublicFormat.PKCS1)).decode())


def _rsa(key: PublicKey, form: PublicFormat) -> bytes:
    if isinstance(key.identity, bytes):
        raise TypeError("not an RSA key")
    modulus, exponent = key.identity
    return RSAPublicNumbers(exponent, modulus).public_key().public_bytes(Encoding.DER, form)


def record_for(key: PublicKey) -> str:
    """Write the TXT value that publishes a key."""
    return f"v=DKIM1; k={key.algorithm}; p={published_form(key)}"


def fingerprint(key: PublicKey) -> str:
    """Return the SHA-256 of a key's SPKI DER in hexadecimal digits, equal for equal keys."""
    if isinstance(key.identity, bytes):
        public = Ed25519PublicKey.from_public_bytes(key.identity)
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        der = _rsa(key, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def described(key: PublicKey) -> str:
    """Name a key so that it can be told from others: its kind, and the SHA-256 of its SPKI DER.

    Of the hash the first 16 digits: ``openssl dgst -sha256`` of the DER yields them too.
    """
    kind = "Ed25519" if isinstance(key.identity, bytes) else f"RSA {key.bits}"
    return f"{kind}, sha256 {fingerprint(key)[:16]}"
