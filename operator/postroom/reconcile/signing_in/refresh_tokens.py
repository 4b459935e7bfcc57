# SPDX-License-Identifier: Apache-2.0
"""Keeping the refresh tokens that a provider hands out anew: where, how often, and what to say.

Microsoft hands out a new one with every use, each good for 90 days, and does not revoke the old one
(learn.microsoft.com/entra/identity-platform/refresh-tokens, checked 2026-11-21). One that is a day
old is therefore as good as the newest, and one write a day is enough. Of other providers nothing
such is known: they may revoke the old one at its use (RFC 9700 section 4.14.2), so that each new
one is kept at once.
"""

from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from postroom.api.findings import Finding, Fix, FixAction, Severity
from postroom.api.names import Kind
from postroom.api.oauth import OAuthProvider
from postroom.mail.oauth.grant import Grant, KeptFor
from postroom.mail.oauth.refresh_token_store import NOT_KEPT, Keeping, KeepingProblem
from postroom.reconcile.signing_in.probing import AnyCredentials
from postroom.reconcile.signing_in.references import Written
from postroom.reconcile.signing_in.token_credentials import TokenCredentials
from postroom.reconcile.world import Tokens

_AT_MOST_EVERY = {OAuthProvider.MICROSOFT: timedelta(days=1)}
#: How long Microsoft's refresh tokens live in days, and when to worry that none was kept since.
MICROSOFT_LIFE, WORRY = 90, timedelta(days=60)

NOT_KEPT_CODE, AGING_CODE = "REFRESH_TOKEN_NOT_KEPT", "REFRESH_TOKEN_AGING"
SUBJECT = "oauth"
#: Where the rights are; see docs/oauth.md.
COMPONENT = "manifests/install/token-rotation (Helm: settings.allowTokenRotation)"


@runtime_checkable
class KeepsRefreshTokens(Protocol):
    """Tokens whose refresh tokens may be kept; one that has no such method keeps nothing."""

    def keeping(self, grant: Grant) -> Keeping:
        """Return what is known of how a grant's refresh tokens are kept."""
        ...


def secret_name(kept_for: KeptFor) -> str:
    """Return the name of the Secret that the operator owns for an object."""
    suffix = "oauth" if kept_for.kind == Kind.EMAIL_ACCOUNT else "server-oauth"
    return f"{kept_for.name}-{suffix}"


def due(provider: OAuthProvider, kept_at: datetime, now: datetime) -> bool:
    """Whether a newer refresh token is worth a write; `kept_at` is that of the kept one."""
    # A time in the future is somebody's edit, or a clock's mistake.
    return not timedelta() <= now - kept_at < _AT_MOST_EVERY.get(provider, timedelta())


def keeping_of(tokens: Tokens, grant: Grant) -> Keeping:
    """What is known of how a grant's refresh tokens are kept."""
    return tokens.keeping(grant) if isinstance(tokens, KeepsRefreshTokens) else NOT_KEPT


def findings_of(
    tokens: Tokens, credentials: AnyCredentials | None, now: datetime
) -> tuple[Finding, ...]:
    """What keeps the refresh token of some credentials from being kept, if they ask for it."""
    if not isinstance(credentials, TokenCredentials) or credentials.grant.kept_for is None:
        return ()
    grant, kept_for = credentials.grant, credentials.grant.kept_for
    keeping = keeping_of(tokens, grant)
    found = []
    if keeping.problem is not None:
        here = keeping.problem is KeepingProblem.NOT_AVAILABLE
        found.append(
            Finding(
                code=NOT_KEPT_CODE,
                severity=Severity.INFO if here else Severity.WARNING,
                subject=SUBJECT,
                message=_sentence(keeping.problem, kept_for),
                fix=None if here else Fix(action=FixAction.EXTERNAL),
            )
        )
    aging = keeping.kept_at is not None and now - keeping.kept_at >= WORRY
    if aging and grant.provider is OAuthProvider.MICROSOFT:
        found.append(
            Finding(
                code=AGING_CODE,
                severity=Severity.WARNING,
                subject=SUBJECT,
                message=f"The refresh token in Secret {secret_name(kept_for)} has not been "
                f"replaced for {WORRY.days} days, and Microsoft's end after {MICROSOFT_LIFE}: "
                "mend what else is reported here, see that spec.oauth.scopes has offline_access, "
                "or sign in again: postroom auth login.",
                fix=Fix(action=FixAction.EXTERNAL),
            )
        )
    return tuple(found)


def left_alone(credentials: AnyCredentials | None) -> Written | None:
    """The refresh token of a Secret that ends at a known age, and that nobody is to replace.

    It was handed out when it was written, or before.
    """
    if not isinstance(credentials, TokenCredentials) or credentials.grant.kept_for is not None:
        return None
    ends = credentials.grant.provider is OAuthProvider.MICROSOFT
    return credentials.written if ends else None


def aging(secret: str) -> Finding:
    """That a refresh token nears its end, which nobody replaces by itself."""
    return Finding(
        code=AGING_CODE,
        severity=Severity.WARNING,
        subject=SUBJECT,
        message=f"The refresh token in Secret {secret} has not been replaced for {WORRY.days} "
        f"days, and Microsoft's end after {MICROSOFT_LIFE}: sign in again (postroom auth login), "
        "or have new ones kept by spec.oauth.rotation: WriteBack.",
        fix=Fix(action=FixAction.EXTERNAL),
    )


def _sentence(problem: KeepingProblem, kept_for: KeptFor) -> str:
    name = secret_name(kept_for)
    match problem:
        case KeepingProblem.NOT_AVAILABLE:
            return (
                "spec.oauth.rotation is WriteBack, which is not available without an operator: the "
                "refresh token in the referenced Secret stays as it is."
            )
        case KeepingProblem.NOT_ALLOWED:
            return (
                "spec.oauth.rotation is WriteBack, but this operator writes no Secrets, so new "
                f"refresh tokens are lost when it ends: install {COMPONENT}, which sets "
                "--allow-token-rotation, or leave rotation out."
            )
        case KeepingProblem.NAME_TAKEN:
            return (
                f"Secret {name} exists and does not belong to this {kept_for.kind}, so it is left "
                "alone and new refresh tokens are not kept: delete it, or give it another name."
            )
        case KeepingProblem.FORBIDDEN:
            return (
                f"Secret {name} could not be written, so new refresh tokens are not kept: the "
                "operator lacks the permission to create and patch Secrets here; install "
                f"{COMPONENT}, and look for a quota on Secrets."
            )
        case KeepingProblem.UNGUARDED:
            return (
                "New refresh tokens are not kept: no admission policy is in force that keeps the "
                "operator from all other Secrets, so it writes none. Install the policy of "
                f"{COMPONENT}, with its binding; the operator looks again with the next token."
            )
        case KeepingProblem.REFUSED:
            return (
                f"The API server does not accept Secret {name}, so new refresh tokens are not "
                "kept: see that it is not immutable and that its name is not too long."
            )
        case KeepingProblem.UNAVAILABLE:
            return (
                f"Secret {name} could not be written: the API server did not answer. It is tried "
                "again with the next token."
            )
