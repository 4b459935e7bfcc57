# SPDX-License-Identifier: Apache-2.0
"""The SASL messages that carry a token: OAUTHBEARER (RFC 7628) and Google's older XOAUTH2.

Both answer a refused token with a challenge in JSON, which the client must answer before the server
says its final no.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from postroom.api.masked import Masked
from postroom.api.oauth import OAuthProvider
from postroom.mail.oauth.errors import read_document

XOAUTH2, OAUTHBEARER = "XOAUTH2", "OAUTHBEARER"
#: What answers the challenge in which a server tells of its refusal: before base64.
FAREWELL = {XOAUTH2: b"", OAUTHBEARER: b"\x01"}

_SEPARATOR = "\x01"
_CHALLENGE_LIMIT = 4096
_STATUS = re.compile(r"[A-Za-z0-9_]{1,40}")
_UNSENDABLE = re.compile(r"[\x00-\x20\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class TokenRefusal:
    """What a server's error challenge says; the words are foreign, but plain and bounded.

    `status` is a word of RFC 6750 (invalid_token, insufficient_scope) or, with Gmail, a number;
    `scopes` are those that the server wants; empty where it does not say.
    """

    status: str = ""
    scopes: tuple[str, ...] = ()

    @property
    def wants_other_scope(self) -> bool:
        """Whether the token is good and its scope is not (RFC 6750 section 3.1)."""
        return self.status == "insufficient_scope"


def mechanism_for(offered: Iterable[str], provider: OAuthProvider) -> str | None:
    """Choose among what a server offers; None where it takes no token.

    Microsoft documents XOAUTH2 alone; everywhere else the standard goes first.
    """
    known = {mechanism.upper() for mechanism in offered}
    order = (OAUTHBEARER, XOAUTH2)
    if provider is OAuthProvider.MICROSOFT:
        order = (XOAUTH2, OAUTHBEARER)
    return next((mechanism for mechanism in order if mechanism in known), None)


def message_for(mechanism: str, address: str, token: Masked, host: str, port: int) -> Masked:
    """Return the initial response of a mechanism, before base64.

    Raises `ValueError` for an address or token that the message cannot carry, and for an unknown
    mechanism.
    """
    if _UNSENDABLE.search(address) or not address:
        raise ValueError("the address holds a space or control character")
    if _UNSENDABLE.search(token.reveal()) or not token:
        raise ValueError("the token holds a space or control character")
    bearer = f"auth=Bearer {token.reveal()}"
    if mechanism == XOAUTH2:
        return Masked(_SEPARATOR.join((f"user={address}", bearer, "", "")))
    if mechanism == OAUTHBEARER:
        # RFC 5801 section 4: what would end the name is written as =2C and =3D.
        name = address.replace("=", "=3D").replace(",", "=2C")
        parts = (f"n,a={name},", f"host={host}", f"port={port}", bearer, "", "")
        return Masked(_SEPARATOR.join(parts))
    raise ValueError(f"{mechanism} carries no token")


def refusal_from(challenge: bytes) -> TokenRefusal | None:
    """Read a challenge after base64; None where it is no error. Never raises."""
    document = read_document(challenge[:_CHALLENGE_LIMIT])
    if document is None:
        return None
    status, scope = document.get("status"), document.get("scope")
    word = str(status) if isinstance(status, str | int) else ""
    scopes = scope.split()[:16] if isinstance(scope, str) else []
    return TokenRefusal(
        status=word.lower() if _STATUS.fullmatch(word) else "",
        scopes=tuple(
            scope_token[:128]
            for scope_token in scopes
            if scope_token.isascii() and scope_token.isprintable()
        ),
    )
