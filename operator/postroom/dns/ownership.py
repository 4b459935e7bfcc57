# SPDX-License-Identifier: Apache-2.0
"""Ownership: a TXT record that only who controls the domain could have published.

After draft-ietf-dnsop-domain-verification-techniques: an underscored name of our own, a token of
128 bits or more.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from postroom.dns.names import is_within

#: The label under which a derived token is published.
CHALLENGE_LABEL = "_postroom-challenge"
_PREFIX = "postroom-verification="
_TOKEN_LENGTH = 32  # base32 characters: 160 bits
#: Proves what this process sent, where there is no lasting key. Never shown, nor derived from.
_OF_THIS_PROCESS = secrets.token_bytes(32)


@dataclass(frozen=True, slots=True)
class OwnershipRules:
    """How control of domains is proven here.

    The first of `keys` makes tokens, those of the others are still accepted; without one there are
    no derived tokens. `token_required` makes the derived token mandatory for every domain.
    `key_elsewhere` tells that an operator that is not us holds the key: what cannot be looked at
    without it is then said, and held against nobody.
    """

    keys: tuple[bytes, ...] = field(default=(), repr=False)
    token_required: bool = False
    key_elsewhere: bool = False

    @property
    def message_keys(self) -> tuple[bytes, ...]:
        """The keys that messages of our own are marked with: the first marks, all are known again.

        Without a key of the operator it is one that this process made up: nobody can forge what it
        proves, and nobody can prove it after a restart, either.
        """
        return self.keys or (_OF_THIS_PROCESS,)


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


def tokens(keys: Sequence[bytes], namespace: str, domain: str) -> tuple[str, ...]:
    """Return the values that prove control, the one to publish first."""
    return tuple(challenge(key, namespace, domain)[1] for key in keys)


def is_token(text: str) -> bool:
    """Whether a text is a token of postroom's, of whatever namespace and key."""
    return text.strip().strip('"').lower().startswith(_PREFIX)


def speaks_for(name: str, domain: str) -> bool:
    """Whether a TXT record at `name` shows control of the domain itself.

    A host below the domain may be in other hands than the domain; names with an underscore are
    not given away (RFC 8552).
    """
    if not is_within(name, domain):
        return False
    return all(label.startswith("_") for label in name[: -len(domain)].split(".") if label)


def proves(
    seen: Iterable[tuple[str, str]], keys: Sequence[bytes], namespace: str, domain: str
) -> bool:
    """Whether published records, as name and text, prove control between namespaces."""
    texts: Collection[str] = {text for name, text in seen if speaks_for(name, domain)}
    return bool(texts) and any(token in texts for token in tokens(keys, namespace, domain))
