# SPDX-License-Identifier: Apache-2.0
"""Signing in with a token: getting it, reading what it tells, showing it, and judging a refusal."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from postroom.api.mailserver import ProbeStage
from postroom.api.reasons import CATALOGUE, Reason
from postroom.mail.oauth.answers import TokenFailure
from postroom.mail.oauth.diagnosis import TokenFault, fault_of
from postroom.mail.replies.model import Protocol
from postroom.mail.report import Login, ProbeReport
from postroom.reconcile.signing_in.token_credentials import TokenCredentials
from postroom.reconcile.world import Tokens

#: Seconds that a token endpoint may ask for.
_LONGEST_WAIT = 24 * 3600.0

Probe = Callable[[Login | None], Awaitable[ProbeReport]]

#: What only another Secret or spec can mend: not asked for again until then. All else, such as a
#: consent or a delegation, somebody grants elsewhere, and nobody would tell us.
TOKEN_REFUSALS = frozenset(
    {
        Reason.OAUTH_TOKEN_REJECTED,
        Reason.OAUTH_GRANT_REVOKED,
        Reason.OAUTH_GRANT_EXPIRED,
        Reason.OAUTH_INTERACTION_REQUIRED,
        Reason.OAUTH_CLIENT_SECRET_INVALID,
        Reason.OAUTH_CLIENT_SECRET_EXPIRED,
        Reason.OAUTH_CREDENTIALS_INVALID,
        Reason.OAUTH_WRONG_AUDIENCE,
    }
)


async def probe_with_token(
    given: TokenCredentials, protocol: str, probe: Probe, tokens: Tokens
) -> ProbeReport:
    """Probe with a token, asking for another one where a kept one is refused.

    Without a token, or with one that cannot serve, the connection is checked all the same.
    `protocol` is SMTP or IMAP.
    """
    grant = given.grant
    for last in (False, True):
        got = await tokens.token(grant)
        if isinstance(got, TokenFailure):
            reason = Reason(got.reason.value)
            report = _unsigned(await probe(None), reason, got, conclusive=got.conclusive)
            if report.reason is reason and got.retry_after is not None:
                # So long the token endpoint wants to be left alone.
                wait = timedelta(seconds=min(got.retry_after, _LONGEST_WAIT))
                report = replace(report, retry_after=wait)
            return report
        fault = fault_of(got, Protocol(protocol), grant.provider, grant.flow, given.cloud)
        if fault is not None:
            # The next one may carry what was granted meanwhile.
            tokens.drop(grant)
            reason = Reason(fault.reason.value)
            return _unsigned(await probe(None), reason, fault, conclusive=True)
        report = await probe(Login(grant.subject, got.value, token=True, secret=grant.secret))
        if report.reason is not Reason.AUTHENTICATION_REJECTED:
            return report
        tokens.drop(grant)
        if got.fresh or last:
            break
    # A token was refused that has just been handed out.
    reason = Reason.OAUTH_TOKEN_REJECTED
    return replace(report, reason=reason, wrong=f"{CATALOGUE[reason].meaning} {report.wrong}")


def _unsigned(
    report: ProbeReport, reason: Reason, why: TokenFailure | TokenFault, *, conclusive: bool
) -> ProbeReport:
    """Why nobody signed in, unless the server cannot even be reached."""
    if report.stage is not ProbeStage.DONE:
        return report
    return replace(
        report,
        stage=ProbeStage.AUTH,
        reason=reason,
        wrong=why.wrong,
        fix=why.fix,
        conclusive=conclusive,
        authenticated=None,
    )
