# SPDX-License-Identifier: Apache-2.0
"""What a token endpoint answered: a token, or why there is none."""

from dataclasses import dataclass, field

from postroom.api.finding_texts import in_full
from postroom.api.masked import Masked
from postroom.api.oauth import OAuthFlow, OAuthProvider
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.oauth.errors import error_document, meaning_of, shown
from postroom.mail.oauth.exchange import TokenAnswer
from postroom.mail.oauth.reasons import CATALOGUE, OAuthReason
from postroom.mail.replies.model import FailureClass

#: Seconds that a token lasts whose answer does not say (RFC 6749 section 5.1 only recommends it).
_UNSAID_LIFE = 300.0
_LONGEST_LIFE = 24 * 3600.0
_TOKEN_LIMIT = 32 * 1024
#: How an endpoint refuses (RFC 6749 section 5.2).
_BAD_REQUEST = 400


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token to sign in with.

    `expires_in` is in seconds from when it was asked for. `rotated` is the refresh token that the
    provider handed out with it, if it is another than the one that was shown: it should be kept.
    `fresh` tells that this very call got it: refused by a mail server, it needs no second try.
    """

    value: Masked
    expires_in: float
    # A server may repeat the token there.
    scopes: tuple[str, ...] | None = field(default=None, repr=False)
    rotated: Masked | None = None
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class TokenFailure:
    """Why there is no token.

    `wrong`, and `fix` as in `postroom.mail.report`, are deterministic; `retry_after` is in seconds,
    where the endpoint asked for a pause; `error` is the endpoint's word and number, if any.
    """

    reason: OAuthReason
    failure_class: FailureClass
    wrong: str
    retry_after: float | None = None
    error: str = ""
    fix: str = ""

    @property
    def message(self) -> str:
        """What is wrong and what to do, in one text."""
        return in_full(self.wrong, self.fix)

    @property
    def conclusive(self) -> bool:
        """Whether it is a verdict on the credentials; False for all that passes by itself."""
        return self.failure_class.hard


#: A token that came when it had ended, counted from when it was asked for.
OUTLIVED = TokenFailure(
    OAuthReason.ENDPOINT_UNEXPECTED,
    FailureClass.TRANSIENT,
    "The token endpoint takes longer to answer than its tokens last, by its expires_in.",
    fix="Have its tokens last for some minutes at least.",
)


def token_from(
    answer: TokenAnswer | NoAnswer,
    provider: OAuthProvider,
    flow: OAuthFlow,
    shown_token: Masked | None,
) -> AccessToken | TokenFailure:
    """Read what an endpoint answered (RFC 6749 sections 5.1 and 5.2). Never raises."""
    if isinstance(answer, NoAnswer):
        return no_answer_failure(answer)
    if answer.status != 200 or answer.document is None:
        return failure_from(answer, provider, flow)
    value = answer.document.get("access_token")
    kind = answer.document.get("token_type")
    bearer = isinstance(kind, str) and kind.lower() == "bearer"
    if not (isinstance(value, str) and _sendable(value) and bearer):
        return failure_from(answer, provider, flow)
    lasts = answer.document.get("expires_in")
    if isinstance(lasts, str) and lasts.isascii() and lasts.isdecimal():
        # Some servers write the number as text.
        lasts = int(lasts[:9])
    if isinstance(lasts, bool) or not isinstance(lasts, int | float) or not lasts > 0:
        lasts = _UNSAID_LIFE
    scope = answer.document.get("scope")
    rotated = answer.document.get("refresh_token")
    another = isinstance(rotated, str) and _sendable(rotated)
    if another and shown_token is not None and shown_token.reveal() == rotated:
        another = False
    return AccessToken(
        value=Masked(value),
        # An integer of JSON may be too large for a float.
        expires_in=min(float(lasts), _LONGEST_LIFE) if lasts < 1e9 else _LONGEST_LIFE,
        scopes=tuple(scope.split()) if isinstance(scope, str) else None,
        rotated=Masked(rotated) if another and isinstance(rotated, str) else None,
    )


def _sendable(token: str) -> bool:
    """Whether a token can go into a SASL message: RFC 6750's b64token, and a little more."""
    return 0 < len(token) <= _TOKEN_LIMIT and token.isascii() and token.isprintable()


def no_answer_failure(answer: NoAnswer) -> TokenFailure:
    """Why there is no answer: never a verdict on the credentials."""
    reason, kind = OAuthReason.ENDPOINT_UNAVAILABLE, FailureClass.TRANSIENT
    if answer.denied:
        reason, kind = OAuthReason.ENDPOINT_DENIED, FailureClass.CONFIGURATION
    return TokenFailure(reason, kind, answer.wrong, fix=answer.fix)


def failure_from(answer: TokenAnswer, provider: OAuthProvider, flow: OAuthFlow) -> TokenFailure:
    """Why an answer holds no token."""
    fault = error_document(answer.document) if answer.document is not None else None
    # A success without a token is no refusal, whatever else it holds; some endpoints say so why.
    said = fault if answer.status >= 400 else None
    meaning = meaning_of(answer.status, said, provider, flow)
    word = shown(fault)
    sentence = CATALOGUE[meaning.reason].meaning
    hint = meaning.hint
    if said is None and word:
        why = meaning_of(_BAD_REQUEST, fault, provider, flow).hint
        hint = f"{why} It is asked again all the same: a refusal has 400 (RFC 6749 section 5.2)."
    if meaning.reason is OAuthReason.ASSERTION_INVALID and answer.clock_differs:
        hint = "Set the clock of the operator's machine: it is minutes off."
    cause = f" The endpoint answers {word}." if word else ""
    return TokenFailure(
        reason=meaning.reason,
        failure_class=meaning.failure_class,
        wrong=f"{sentence}{cause}",
        fix=hint,
        retry_after=answer.retry_after,
        error=word,
    )
