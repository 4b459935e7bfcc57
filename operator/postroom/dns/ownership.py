# SPDX-License-Identifier: Apache-2.0
"""Ownership: a TXT record that only who controls the domain could have published.

After draft-ietf-dnsop-domain-verification-techniques: an underscored name of our own, a token of
128 bits or more.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

#: The label under which a derived token is published.
CHALLENGE_LABEL = "_postroom-challenge"
_PREFIX = "postroom-verification="
_TOKEN_LENGTH = 32  # base32 characters: 160 bits


def derive_token(key: bytes, namespace: str, domain: str) -> str:
    """Derive the token of a domain in a namespace.

    Not random: an object that is created again, in a rebuilt cluster even, keeps its published
    record. Not the same for two namespaces: one tenant's record proves nothing for another.
    """
    digest = hmac.new(key, f"{namespace}/{domain}".encode(), hashlib.sha256).digest()
    return base64.b32encode(digest).decode().lower()[:_TOKEN_LENGTH]


def challenge(key: bytes, namespace: str, domain: str) -> tuple[str, str]:
    """Return name and value of the TXT record for a derived token."""
    value = f"{_PREFIX}{derive_token(key, namespace, domain)}"
    return f"{CHALLENGE_LABEL}.{domain}", value
