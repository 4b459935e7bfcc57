# SPDX-License-Identifier: Apache-2.0
"""From a reply or a signal to its meaning: the first row of the catalogue that fits decides."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from postroom.api.reasons import Reason
from postroom.mail.replies.catalogue import causes, rows, signals
from postroom.mail.replies.causes import Cause
from postroom.mail.replies.model import (
    FailureClass,
    Protocol,
    ReplyRow,
    Result,
    SignalRow,
    SignIn,
    Stage,
)

_TEXT_LIMIT = 4096
_LONGEST_WAIT = timedelta(days=1)
#: Reasons that are a verdict on the credentials, which must not be tried again as they are.
_REFUSALS = frozenset({Reason.AUTHENTICATION_REJECTED, Reason.ACCOUNT_DISABLED})

_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
_RESPONSE = re.compile(r"\s*\[([A-Za-z-]{1,32})")
#: Exchange Online, in milliseconds.
_BACK_OFF = re.compile(r"suggested backoff time: (\d{1,12}) milliseconds")


class Signal(StrEnum):
    """What can be seen that is no reply; `Stage` says where."""

    SECRET_MISSING = "SecretMissing"  # noqa: S105 - the names of signals, not secrets
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105
    SECRET_EMPTY = "SecretEmpty"  # noqa: S105
    WHITE_SPACE = "WhiteSpace"
    SPEC_INVALID = "SpecInvalid"
    HOST_NOT_ALLOWED = "HostNotAllowed"
    NO_SUCH_NAME = "NoSuchName"
    NO_ADDRESS = "NoAddress"
    RESOLVER_FAILED = "ResolverFailed"
    TIMEOUT = "Timeout"
    FORBIDDEN = "Forbidden"
    REFUSED = "Refused"
    #: IMAP of the same account works.
    TIMEOUT_ON_SMTP_ONLY = "TimeoutOnSMTPOnly"
    UNREACHABLE = "Unreachable"
    TLS_RECORD = "TLSRecord"
    NO_TLS_RECORD = "NoTLSRecord"
    HANDSHAKE_FAILED = "HandshakeFailed"
    CERTIFICATE_REFUSED = "CertificateRefused"
    INTERMEDIATE_MISSING = "IntermediateMissing"
    EXPIRES_SOON = "ExpiresSoon"
    START_TLS_MISSING = "StartTLSMissing"
    FOREIGN_BANNER = "ForeignBanner"
    MALFORMED = "Malformed"
    TOO_LARGE = "TooLarge"
    CLOSED = "Closed"
    AUTH_MISSING = "AuthMissing"
    LOGIN_DISABLED = "LoginDisabled"
    NO_SHARED_MECHANISM = "NoSharedMechanism"
    QUOTA_REACHED = "QuotaReached"
    QUOTA_NEARLY_REACHED = "QuotaNearlyReached"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known besides the reply.

    `provider` is the preset whose host it is, None if unknown; `sign_in` what was sent; and
    `app_password_shaped` whether the password looks like one of the provider's app passwords,
    None where that cannot be told.
    """

    stage: Stage = Stage.AUTH
    provider: str | None = None
    sign_in: SignIn = SignIn.PASSWORD
    app_password_shaped: bool | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a refusal means: the precise cause, the reason of the condition, and what to do.

    `wait` is how long to leave the server alone at least, None for the usual time; `row` the id
    of the row that decided, None for a signal.
    """

    cause: Cause
    reason: Reason
    failure_class: FailureClass
    hint: str
    wait: timedelta | None = None
    row: str | None = None

    @property
    def conclusive(self) -> bool:
        """Whether it will stay that way until someone changes something."""
        return self.failure_class.hard

    @property
    def refuses_credentials(self) -> bool:
        """Whether it is a verdict on the credentials, and not on how they were sent."""
        return self.reason in _REFUSALS


_USUAL = Circumstances()


def meaning_of_smtp(code: int, text: str, circumstances: Circumstances = _USUAL) -> Meaning:
    """Say what an error reply means (RFC 4954 section 6, RFC 5321 section 4.2).

    `text` may have several lines. A code that is none is judged as one of the class 5xx.
    """
    if not 400 <= code <= 599:
        code = 599
    reply = _Reply(Protocol.SMTP, _words(text), circumstances, str(code), enhanced_code(text))
    return _meaning_of(reply)


def meaning_of_imap(
    text: str, result: str = "NO", circumstances: Circumstances = _USUAL
) -> Meaning:
    """Say what NO, BAD or BYE means, by its response code (RFC 5530), else by its words.

    NO is the refusal of a login (RFC 9051 section 6.2.3). BAD is not: the server did not
    understand the command, or does not want to now. Any other result is judged as BAD.
    """
    found = _RESPONSE.match(text[:_TEXT_LIMIT])
    kind = Result(result) if result in set(Result) else Result.BAD
    reply = _Reply(
        Protocol.IMAP,
        _words(text),
        circumstances,
        result=kind,
        response=found[1].upper() if found else None,
    )
    return _meaning_of(reply)


def meaning_of_signal(
    stage: Stage,
    signal: Signal,
    protocol: Protocol = Protocol.SMTP,
    verify_code: int | None = None,
) -> Meaning:
    """Say what something means that is no reply.

    `verify_code` is OpenSSL's; one without a row of its own is judged as untrusted. Raises
    `KeyError` for a signal that cannot be seen at the stage.
    """
    for code in (verify_code, None):
        for row in signals():
            if (row.signal, row.verify_code) != (signal.value, code) or stage not in row.stages:
                continue
            if row.protocol in (None, protocol):
                return _of_signal(row)
    raise KeyError(f"{signal} cannot be seen at {stage}")


def meaning_of_cause(cause: Cause, hint: str = "") -> Meaning:
    """Say what a cause means that was found otherwise, such as by a check before dialling."""
    entry = causes()[cause]
    wait = timedelta(seconds=entry.wait) if entry.wait else None
    return Meaning(cause, entry.reason, entry.failure_class, hint or entry.remedy, wait)


def enhanced_code(text: str) -> str | None:
    """Return the enhanced status code that a reply begins with (RFC 3463, RFC 2034)."""
    found = _ENHANCED.match(text)
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class _Reply:
    """A reply, taken apart as far as rows look at it; `words` are lowercase."""

    protocol: Protocol
    words: str
    circumstances: Circumstances
    code: str = ""
    enhanced: str | None = None
    result: Result | None = None
    response: str | None = None

    def fits(self, row: ReplyRow) -> bool:
        """Tell whether all that the row names is so."""
        about = self.circumstances
        return (
            row.protocol is self.protocol
            and row.reaches(about.stage)
            and (not row.codes or self.code in row.codes or f"{self.code[:1]}xx" in row.codes)
            and (not row.results or self.result in row.results)
            and row.enhanced in (None, self.enhanced)
            and row.response in (None, self.response)
            and row.sign_in in (None, about.sign_in)
            and row.app_password_shaped in (None, about.app_password_shaped)
            and (not row.only_at_provider or row.provider == about.provider)
            and all(fragment in self.words for fragment in row.text)
        )


def _meaning_of(reply: _Reply) -> Meaning:
    row = next((one for one in rows() if reply.fits(one)), None)
    if row is None:
        # A stage at which no command is sent: nothing there can be a reply.
        return meaning_of_cause(Cause.PROTOCOL_ERROR)
    entry = causes()[row.cause]
    seconds = row.wait or entry.wait
    wait = _suggested(reply.words) or (timedelta(seconds=seconds) if seconds else None)
    failure_class = row.failure_class or entry.failure_class
    return Meaning(row.cause, entry.reason, failure_class, row.hint or entry.remedy, wait, row.id)


def _of_signal(row: SignalRow) -> Meaning:
    return meaning_of_cause(row.cause, row.hint)


def _suggested(words: str) -> timedelta | None:
    found = _BACK_OFF.search(words)
    return min(timedelta(milliseconds=int(found[1])), _LONGEST_WAIT) if found else None


def _words(text: str) -> str:
    """Join the lines of a reply, in which a sentence may run on after a repeated code."""
    lines = text[:_TEXT_LIMIT].splitlines()
    code = enhanced_code(text)
    if code:
        lines = lines[:1] + [line.strip().removeprefix(code) for line in lines[1:]]
    return " ".join(" ".join(lines).lower().split())
