# SPDX-License-Identifier: Apache-2.0
"""The two protocols of an account judged together: what one tells of the other."""

from collections.abc import Iterable
from dataclasses import replace
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
from postroom.reconcile.signing_in.protocol_check import ProtocolCheck

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


def same_family(one: Endpoint, other: Endpoint) -> bool:
    """Whether two hosts belong together, so that the one's lock-out may be the other's.

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


def depends(smtp: ProtocolCheck, imap: Attempt) -> bool:
    """Whether SMTP has just refused what IMAP would send, so that IMAP would refuse it too.

    One refusal more would only bring the account nearer to being locked.
    """
    report, sent = smtp.report, smtp.attempt
    if report is None or sent is None or not (sent.version and sent.version == imap.version):
        return False
    users = [login.username if (login := each.login) else None for each in (sent, imap)]
    return (
        report.reason in _OF_CREDENTIALS
        and report.cause not in _OF_SMTP_ALONE
        and users[0] == users[1]
        and same_family(imap.endpoint, sent.endpoint)
    )


def without_signing_in(report: ProbeReport, attempt: Attempt) -> ProbeReport:
    """The report on a connection, with why nobody signed in as `attempt` would have."""
    seen = without_withheld(report, attempt.endpoint, attempt.login)
    if seen.stage is not ProbeStage.DONE:
        return seen
    return replace(
        seen,
        stage=ProbeStage.AUTH,
        reason=Reason.NOT_ATTEMPTED,
        wrong="Signing in is left out: SMTP has refused the same credentials.",
        fix="",
        conclusive=False,
        authenticated=None,
    )


def smtp_report(smtp: ProtocolCheck, imap: ProbeReport | None) -> ProbeReport | None:
    """SMTP's report in the light of IMAP's: where only SMTP times out, its port is blocked.

    Networks that have no way out at all let IMAP time out too.
    """
    report, attempt = smtp.report, smtp.attempt
    if report is None or attempt is None or attempt.endpoint.port not in _BLOCKED_PORTS:
        return report
    if report.stage is not ProbeStage.CONNECT or report.reason is not Reason.CONNECTION_TIMEOUT:
        return report
    if imap is None or not probing.reached(imap, ProbeStage.CONNECT):
        return report
    host, port = attempt.endpoint.host, attempt.endpoint.port
    provider = attempt.provider if attempt.provider in providers() else identify(host)
    rows = preset(provider).smtp if provider is not None else ()
    served = {row.port: row.tls for row in rows if row.port not in _BLOCKED_PORTS}
    if served:
        other = min(served)
        advice = f"Use port {other} with tls.mode {served[other].value}, or have the port opened."
    elif provider is not None:
        advice = "The provider has no other port: have it opened."
    else:
        advice = (
            f"Use port 587 or 2525 with tls.mode {TLSMode.START_TLS.value} if the server has one "
            "of them, or have the port opened."
        )
    wrong = (
        f"{host}:{port} does not answer, but IMAP works: the network blocks port {port}, as many "
        "clouds do."
    )
    return replace(
        report, reason=Reason.PORT_BLOCKED, wrong=wrong, fix=advice, cause=Cause.PORT_BLOCKED.value
    )


def ranked(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """Order verdicts so that a refusal of credentials decides before a timeout.

    Who corrects the password need not wait for a network; who opens the network first only finds
    the account nearer to being locked.
    """
    return tuple(
        sorted(verdicts, key=lambda verdict: verdict.failed and verdict.reason in _TIMEOUTS)
    )


def findings_of(smtp: ProtocolCheck, imap: ProtocolCheck, now: datetime) -> tuple[Finding, ...]:
    """What both probes found: one finding where both failed for one reason, and then prechecks'."""
    of_smtp, of_imap = smtp.findings(now), imap.findings(now)
    shared = _shared_reason(smtp, imap)
    if shared is not None:
        code = probing.code_of(shared)
        both = {"subject": f"{probing.SMTP.name}, {probing.IMAP.name}"}
        of_smtp = tuple(
            finding.model_copy(update=both) if finding.code == code else finding
            for finding in of_smtp
        )
        of_imap = tuple(finding for finding in of_imap if finding.code != code)
    return of_smtp + of_imap + smtp.precheck_findings + imap.precheck_findings


def _shared_reason(smtp: ProtocolCheck, imap: ProtocolCheck) -> Reason | None:
    """The one reason why both failed, which one change mends."""
    if not (smtp.attempt and smtp.report and imap.attempt and imap.report):
        return None
    stage, reason = smtp.report.stage, smtp.report.reason
    if stage is ProbeStage.DONE or (stage, reason) != (imap.report.stage, imap.report.reason):
        return None
    same_version = smtp.attempt.version == imap.attempt.version
    alike = smtp.attempt.host == imap.attempt.host or (stage is ProbeStage.AUTH and same_version)
    return reason if alike else None
