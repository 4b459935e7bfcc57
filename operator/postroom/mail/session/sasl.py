# SPDX-License-Identifier: Apache-2.0
"""What SMTP and IMAP share when they sign in: the token's exchange, and who is behind a reply."""

import base64
import binascii
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.api.oauth import OAuthProvider
from postroom.mail.oauth import sasl
from postroom.mail.precheck import app_password_shaped
from postroom.mail.presets import identify, preset
from postroom.mail.replies import (
    TRANSACTION,
    Cause,
    Circumstances,
    Meaning,
    SignIn,
    Stage,
    meaning_of_cause,
)
from postroom.mail.report import Endpoint, Login
from postroom.mail.session.scram import SCRAM

#: The longest challenge that is read, in base64.
_CHALLENGE_LIMIT = 8192
#: The words of RFC 6750 section 3.1 and the numbers of HTTP: a server may say nothing else in a
#: message, since it could repeat the token.
_KNOWN_STATUS = re.compile(
    r"invalid_token|insufficient_scope|invalid_request|temporarily_unavailable|server_error"
    r"|[45]\d\d"
)
#: Those that are a verdict on the token even where the server says nothing after them.
_VERDICT = re.compile(r"invalid_token|insufficient_scope|40[013]")
#: Those that say of the server that it could not look at the token now (RFC 6749 section 4.1.2.1,
#: RFC 9110 section 15.6), whatever reply has to follow: a client has to hear a refusal there.
_PASSING = re.compile(r"temporarily_unavailable|server_error|429|5\d\d")
#: Mechanisms that send a password, and those that prove that one is known; one attempt is made with
#: the first that is offered. What is sent works whatever the server stores of it, so it goes first.
SENDING = ("PLAIN", "LOGIN")
PROVING = (*SCRAM, "CRAM-MD5")
_OTHER_SCOPE = (
    "The token is good, but it lacks the scope that the server wants: leave spec.oauth.scopes out "
    "or correct it, and sign in again."
)


@dataclass(frozen=True, slots=True)
class TokenExchange:
    """One attempt with one mechanism; `message` is the initial response before base64."""

    mechanism: str
    message: Masked

    @property
    def packed(self) -> Masked:
        """The initial response as it goes on the wire."""
        return Masked(base64.b64encode(self.message.reveal().encode()).decode())

    @property
    def farewell(self) -> bytes:
        """What answers the server's error, as it goes on the wire (RFC 7628 section 3.2.3)."""
        return base64.b64encode(sasl.FAREWELL[self.mechanism])


def token_exchange(
    offered: Iterable[str], endpoint: Endpoint, login: Login
) -> TokenExchange | None:
    """Choose among the mechanisms offered and write its message; None where none takes a token.

    Raises `ValueError` for a username or token that no message can carry.
    """
    name = identify(endpoint.host)
    known = preset(name).oauth if name is not None else None
    # Who hands out the tokens for the host, as far as that is known.
    issuer = OAuthProvider(known.value) if known is not None else OAuthProvider.GENERIC
    mechanism = sasl.mechanism_for(offered, issuer)
    if mechanism is None:
        return None
    message = sasl.message_for(
        mechanism, login.username, login.password, endpoint.host, endpoint.port
    )
    return TokenExchange(mechanism, message)


def cram_md5(login: Login, challenge: bytes) -> bytes:
    """What answers a challenge (RFC 2195 section 2), both before base64."""
    digest = hmac.new(login.password.reveal().encode(), challenge, "md5").hexdigest()
    return f"{login.username} {digest}".encode()


def circumstances(stage: Stage, endpoint: Endpoint, login: Login | None) -> Circumstances:
    """What is known besides a server's reply."""
    name = identify(endpoint.host)
    # Nothing of these is said before STARTTLS, and STARTTLS must work where it is asked for.
    late = stage in (Stage.AUTH, Stage.MAILBOX, Stage.SEND, *TRANSACTION)
    encrypted = endpoint.tls is TLSMode.IMPLICIT or (endpoint.tls is TLSMode.START_TLS and late)
    if login is None or login.token:
        kind = SignIn.PASSWORD if login is None else SignIn.TOKEN
        return Circumstances(stage, name, kind, encrypted=encrypted)
    chosen = preset(name) if name is not None else None
    shaped = app_password_shaped(chosen, login.password)
    return Circumstances(stage, name, SignIn.PASSWORD, shaped, encrypted)


def none_known(does: str) -> tuple[str, str]:
    """What is wrong with who `does` something instead of offering a mechanism for passwords that
    is known here, and what to do."""
    known = f"{', '.join((*SENDING, *PROVING)[:-1])} and {PROVING[-1]}"
    fix = (
        f"enable {SENDING[0]} or another mechanism for passwords on the server, or use oauth where "
        "it is offered."
    )
    return f"{does}; postroom knows {known} for passwords:", fix


def refusal_in(challenge: str | bytes | None) -> sasl.TokenRefusal | None:
    """Read a challenge as it came; None where it is no error. Never raises."""
    if not challenge:
        return None
    octets = challenge.encode("utf-8", "replace") if isinstance(challenge, str) else challenge
    try:
        return sasl.refusal_from(base64.b64decode(octets[:_CHALLENGE_LIMIT].strip()))
    except binascii.Error:
        return None


def status_of(refusal: sasl.TokenRefusal | None) -> str | None:
    """Return the status of a refusal if a message may show it."""
    return refusal.status if refusal and _KNOWN_STATUS.fullmatch(refusal.status) else None


def meaning_of_refusal(refusal: sasl.TokenRefusal | None) -> Meaning | None:
    """What an error means after which the server broke off; None where it is no verdict."""
    if refusal is None or not _VERDICT.fullmatch(refusal.status):
        return None
    return with_refusal(meaning_of_cause(Cause.OAUTH_TOKEN_REJECTED), refusal)


def with_refusal(meaning: Meaning, refusal: sasl.TokenRefusal | None) -> Meaning:
    """Make what the final reply means more precise by the error that came before it."""
    if meaning.cause is not Cause.OAUTH_TOKEN_REJECTED or refusal is None:
        return meaning
    if _PASSING.fullmatch(refusal.status):
        return meaning_of_cause(Cause.AUTH_TEMPORARY_FAILURE)
    return replace(meaning, hint=_OTHER_SCOPE) if refusal.wants_other_scope else meaning
