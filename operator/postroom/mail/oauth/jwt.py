# SPDX-License-Identifier: Apache-2.0
"""JSON Web Tokens: signing our own assertions, and reading what a foreign one claims.

Reading verifies nothing: the claims of a token serve diagnosis, and never decide about access.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from postroom.api.masked import Masked

_TOKEN_LIMIT = 32 * 1024
_WORDS_LIMIT = 64
_WORD_LIMIT = 256
#: Shorter keys are too weak to sign with (RFC 7518 section 3.3).
_SHORTEST_KEY = 2048


class UnusableKey(ValueError):
    """A private key cannot be used; the text says why, and nothing of the key."""


def encoded(data: bytes) -> str:
    """Write base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decoded(text: str) -> bytes:
    """Read base64url without padding; raises `ValueError`."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise ValueError("not base64url") from error


def private_key(pem: Masked) -> rsa.RSAPrivateKey:
    """Read an RSA key in PEM without password; costs milliseconds. Raises `UnusableKey`."""
    try:
        key = load_pem_private_key(pem.reveal().encode("utf-8", "replace"), password=None)
    except TypeError:
        raise UnusableKey("is protected by a password") from None
    except ValueError:
        raise UnusableKey("is no readable private key in PEM") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise UnusableKey("is no RSA key")
    if key.key_size < _SHORTEST_KEY:
        raise UnusableKey(f"is shorter than {_SHORTEST_KEY} bits")
    return key


def signed(
    header: Mapping[str, str], claims: Mapping[str, object], key: rsa.RSAPrivateKey
) -> Masked:
    """Sign claims by the algorithm that `header` names: RS256 or PS256 (RFC 7518 section 3)."""
    parts = [encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims)]
    content = ".".join(parts).encode("ascii")
    if header["alg"] == "PS256":
        pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=hashes.SHA256.digest_size)
        signature = key.sign(content, pss, hashes.SHA256())
    else:
        signature = key.sign(content, padding.PKCS1v15(), hashes.SHA256())
    return Masked(f"{content.decode('ascii')}.{encoded(signature)}")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says of itself, unverified; None and empty where it says nothing.

    `account` is the address that signed in.
    """

    audience: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    account: str | None = None
    #: Every address that the token names, lowercase, sorted: one person may have several.
    accounts: tuple[str, ...] = ()
    email_verified: bool | None = None


def claims_of(token: Masked) -> Claims | None:
    """Read the claims of a JWT (RFC 7519); None where it is none, as opaque tokens are not.

    Never raises, however the token looks.
    """
    text = token.reveal()
    parts = text.split(".") if len(text) <= _TOKEN_LIMIT else []
    if len(parts) != 3:
        return None
    try:
        found = json.loads(decoded(parts[1]))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    named = [
        value
        for name in ("email", "preferred_username", "upn", "unique_name")
        if isinstance(value := found.get(name), str)
        and "@" in value
        and len(value) <= _WORD_LIMIT
        and value.isprintable()
    ]
    verified = found.get("email_verified")
    return Claims(
        audience=_words(found.get("aud")),
        scopes=_words(found.get("scp")) or _words(found.get("scope")),
        roles=_words(found.get("roles")),
        account=named[0] if named else None,
        accounts=tuple(sorted({account.lower() for account in named})),
        email_verified=verified if isinstance(verified, bool) else None,
    )


def _words(value: object) -> tuple[str, ...]:
    """Words as a list, or in one string with spaces between them (RFC 6749 section 3.3)."""
    listed = value.split() if isinstance(value, str) else value
    if not isinstance(listed, list):
        return ()
    short = (word for word in listed[:_WORDS_LIMIT] if isinstance(word, str))
    return tuple(word for word in short if len(word) <= _WORD_LIMIT)
