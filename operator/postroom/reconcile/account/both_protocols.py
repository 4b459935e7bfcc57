# SPDX-License-Identifier: Apache-2.0
"""The two protocols of an account judged together: what one tells of the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from postroom.api.conditions import Verdict
from postroom.api.findings import Finding
from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.api.reasons import Reason
from postroom.mail.presets import identify, preset, providers
from postroom.mail.replies import Cause
from postroom.mail.report import Endpoint, ProbeReport
from postroom.mail.session.echo_filter import without_withheld
from postroom.reconcile.signing_in import probing
from postroom.reconcile.signing_in.probing import Attempt

#: The ports that networks block for outgoing mail, since worms and spammers use them.
_BLOCKED_PORTS = frozenset({25, 465})
#: Refusals that say nothing of IMAP: they are about SMTP, or about how one signed in to it.
_OF_SMTP_ALONE = frozenset(
    {
        Cause.SMTP_AUTH_DISABLED_FOR_TENANT,
        Cause.SMTP_AUTH_DISABLED_FOR_MAILBOX,
        Cause.PROTOCOL_DISABLED,
        Cause.BASIC_AUTH_DISABLED,
    }
)
#: Refusals of the credentials themselves.
_OF_CREDENTIALS = frozenset({Reason.AUTHENTICATION_REJECTED, Reason.OAUTH_TOKEN_REJECTED})
_TIMEOUTS = frozenset({Reason.CONNECTION_TIMEOUT, Reason.PORT_BLOCKED})


@dataclass(frozen=True, slots=True)
class Side:
    """One protocol: what was tried, and what came of it."""

    attempt: Attempt
    report: ProbeReport


def same_family(one: Endpoint, other: Endpoint) -> bool:
    """Tell whether two hosts belong together, so that the one's lock-out may be the other's.

    They do where they are the same, or one provider's, or siblings: ``smtp.example.com`` and
    ``imap.example.com``.
    """
    names = [each.host.lower().rstrip(".") for each in (one, other)]
    if names[0] == names[1]:
        return True
    known = [identify(name) for name in names]
    if known[0] is not None and known[0] == known[1]:
        return True
    parents = [name.partition(".")[2] for name in names]
    return parents[0] == parents[1] and "." in parents[0]


def depends(smtp: Side, imap: Attempt) -> bool:
    """Tell whether SMTP has just refused what IMAP would send, so that IMAP would refuse it too.

    One refusal more would only bring the account nearer to being locked.
    """
    report, other = smtp.report, smtp.attempt
    return (
        report.reason in _OF_CREDENTIALS
        and report.cause not in _OF_SMTP_ALONE
        and bool(imap.version)
        and imap.version == other.version
        and _username(imap) == _username(other)
        and same_family(imap.endpoint, other.endpoint)
    )


def _username(attempt: Attempt) -> str | None:
    return attempt.login.username if attempt.login else None


def left_out(report: ProbeReport, attempt: Attempt) -> ProbeReport:
    """Say of a connection that was checked why nobody signed in; `report` is the connection's."""
    seen = without_withheld(report, attempt.endpoint, attempt.login)
    if seen.stage is not ProbeStage.DONE:
        return seen
    return replace(
        seen,
        stage=ProbeStage.AUTH,
        reason=Reason.NOT_ATTEMPTED,
        message="Signing in is left out: SMTP has refused the same credentials.",
        conclusive=False,
        authenticated=None,
    )


def judged_by(smtp: Side, imap: ProbeReport | None) -> ProbeReport:
    """Return SMTP's report in the light of IMAP's: where only SMTP times out, its port is blocked.

    Networks that have no way out at all let IMAP time out too.
    """
    report, endpoint = smtp.report, smtp.attempt.endpoint
    silent = report.stage is ProbeStage.CONNECT and report.reason is Reason.CONNECTION_TIMEOUT
    if not silent or endpoint.port not in _BLOCKED_PORTS:
        return report
    if imap is None or not probing.reached(imap, ProbeStage.CONNECT):
        return report
    message = (
        f"{endpoint.host}:{endpoint.port} does not answer, but IMAP works: the network blocks "
        f"port {endpoint.port}, as many clouds do. {_way_out(smtp.attempt)}"
    )
    return replace(
        report, reason=Reason.PORT_BLOCKED, message=message, cause=Cause.PORT_BLOCKED.value
    )


def _way_out(attempt: Attempt) -> str:
    name = attempt.provider if attempt.provider in providers() else identify(attempt.endpoint.host)
    if name is None:
        return (
            f"Use port 587 or 2525 with tls.mode {TLSMode.START_TLS.value} if the server has one "
            "of them, or have the port opened."
        )
    served = {one.port: one.tls for one in preset(name).smtp if one.port not in _BLOCKED_PORTS}
    if not served:
        return "The provider has no other port: have it opened."
    port = min(served)
    return f"Use port {port} with tls.mode {served[port].value}, or have the port opened."


def ranked(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Order verdicts so that a refusal of credentials decides before a timeout.

    Who corrects the password need not wait for a network; who opens the network first only finds
    the account nearer to being locked.
    """
    return tuple(sorted(verdicts, key=lambda one: one.failed and one.reason in _TIMEOUTS))


def findings_of(smtp: Side | None, imap: Side | None, now: datetime) -> tuple[Finding, ...]:
    """Return what both probes found: one finding where both failed for the same reason."""
    found = [
        (side, probing.findings_of(side.report, protocol, now))
        for side, protocol in ((smtp, probing.SMTP), (imap, probing.IMAP))
        if side is not None
    ]
    if smtp is None or imap is None or not _alike(smtp, imap):
        return tuple(finding for _, findings in found for finding in findings)
    code = probing.code_of(smtp.report.reason)
    both = f"{probing.SMTP.name}, {probing.IMAP.name}"
    first = [
        one.model_copy(update={"subject": both}) if one.code == code else one for one in found[0][1]
    ]
    return (*first, *(one for one in found[1][1] if one.code != code))


def _alike(smtp: Side, imap: Side) -> bool:
    """Tell whether both failed for one reason, which one change mends."""
    one, other = smtp.report, imap.report
    if one.stage is ProbeStage.DONE or (one.stage, one.reason) != (other.stage, other.reason):
        return False
    if smtp.attempt.host == imap.attempt.host:
        return True
    return one.stage is ProbeStage.AUTH and smtp.attempt.version == imap.attempt.version
