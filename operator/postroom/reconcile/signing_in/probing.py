# SPDX-License-Identifier: Apache-2.0
"""Probing on behalf of a resource: spares servers repeated looks and rejected credentials, and
turns a probe's report into verdicts."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from postroom.api.conditions import ConditionType, Verdict
from postroom.api.finding_texts import as_instruction, as_summary
from postroom.api.findings import INSTRUCTION_LIMIT, Finding, Fix, FixAction, Severity
from postroom.api.mailserver import ProbeFacts, ProbeStage
from postroom.api.reasons import Reason
from postroom.mail.replies import Cause, causes, is_same_refusal
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.mail.session.echo_filter import without_withheld
from postroom.reconcile.signing_in import alerts, certificates, retrying
from postroom.reconcile.signing_in.references import Credentials
from postroom.reconcile.signing_in.token_credentials import TokenCredentials
from postroom.reconcile.signing_in.token_probe import Probe, probe_with_token
from postroom.reconcile.status.assessment import failed, passed, unknown
from postroom.reconcile.status.outcome import Memory, RecentProbe, Rejection
from postroom.reconcile.status.remedies import WAITS
from postroom.reconcile.world import World

#: How long a working server must be seen failing before its verdict flips.
CONFIRM_AFTER = timedelta(seconds=30)
#: A probe with the same inputs is not repeated within this time, unless someone asks.
REUSE = timedelta(seconds=30)

_STAGES = list(ProbeStage)


@dataclass(frozen=True, slots=True)
class Protocol:
    """The condition types that a probe of one protocol decides."""

    name: str
    available: ConditionType
    authenticated: ConditionType


SMTP = Protocol("SMTP", ConditionType.SMTP_AVAILABLE, ConditionType.SMTP_AUTHENTICATED)
IMAP = Protocol("IMAP", ConditionType.IMAP_AVAILABLE, ConditionType.IMAP_AUTHENTICATED)


AnyCredentials = Credentials | TokenCredentials


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a probe is about: for whom, where, with what, and at whose request.

    `stored` is what the stored status tells of a refusal of the same credentials; `is_new` that
    it tells of others, and of no success that stands; `trusts_others` is that of authorities.
    `mark` stands in status for credentials whose Secrets must not be named there.
    """

    protocol: Protocol
    endpoint: Endpoint
    credentials: AnyCredentials | None
    request: str | None
    mailbox: str = ""
    provider: str | None = None
    stored: Rejection | None = None
    is_new: bool = False
    trusts_others: bool = False
    mark: str | None = None

    @property
    def version(self) -> str:
        """Identifies the version of the credentials; empty where nobody signs in."""
        return self.credentials.version if self.credentials else ""

    @property
    def host(self) -> str:
        """The host as limits know it, however it is written."""
        return self.endpoint.host.lower().rstrip(".")

    @property
    def slot(self) -> str:
        """What a refusal is remembered by: where which credentials were refused."""
        return f"{self.protocol.name} {self.host}:{self.endpoint.port} {self.version}"

    @property
    def login(self) -> Login | None:
        """The password to sign in with; None where a token is, or nobody signs in."""
        return self.credentials.login if isinstance(self.credentials, Credentials) else None

    @property
    def username(self) -> str | None:
        """As whom to sign in; None where nobody does."""
        match self.credentials:
            case Credentials(login=login):
                return login.username
            case TokenCredentials(grant=grant):
                return grant.subject
        return None

    @property
    def by_token(self) -> bool:
        """Whether a token is what one signs in with."""
        return isinstance(self.credentials, TokenCredentials)


async def probe_once(attempt: Attempt, probe: Probe, memory: Memory, world: World) -> ProbeReport:
    """Probe, or answer from memory where a look would repeat one or provoke a lock-out.

    A server that asked to be left alone is. A version of credentials that it has refused is sent
    only as `retrying` allows; the connection is still checked. A request token counts once.
    """
    now = world.now()
    name, inputs = attempt.protocol.name, (attempt.endpoint, attempt.version, attempt.mailbox)
    recent = memory.probes.get(name)
    asked = (*inputs, attempt.request)
    if recent is not None and recent.inputs == asked and now - recent.at < REUSE:
        return recent.report
    pause = memory.pauses.get(attempt.host)
    if pause is not None and retrying.holds(pause, inputs, attempt.request, now):
        memory.pauses[attempt.host] = replace(pause, request=attempt.request)
        memory.due[name] = pause.until
        told = retrying.told_by(pause, name, attempt.endpoint.host)
        return _counting_refusals(told, _standing_rejection(attempt, memory))
    if attempt.credentials is not None:
        # Of other versions of the credentials no refusal counts any more.
        slots = [slot for slot in memory.rejections if slot.startswith(f"{name} ")]
        for other in set(slots) - {attempt.slot}:
            del memory.rejections[other]
    rejection = _standing_rejection(attempt, memory)
    if rejection is not None and not retrying.may_send(rejection, attempt.request, now):
        rejection = memory.rejections[attempt.slot] = retrying.withheld(rejection, attempt.request)
        seen = without_withheld(await probe(None), attempt.endpoint, attempt.login)
        # The refusal stands, unless the server cannot even be reached now.
        report = retrying.worded(rejection) if seen.stage is ProbeStage.DONE else seen
    else:
        given = attempt.credentials
        if isinstance(given, TokenCredentials):
            report = await probe_with_token(given, name, probe, world.outbound.tokens)
        else:
            report = await probe(attempt.login)
        report = _note_answer(attempt, memory, rejection, report, now)
        report = alerts.standing(report, name, inputs, attempt.request, memory, now)
    report = _note_pause(attempt, memory, inputs, report, now)
    _note_due(attempt, memory, report, now)
    report = _counting_refusals(report, memory.rejections.get(attempt.slot))
    memory.probes[name] = RecentProbe(asked, now, report)
    return report


def _standing_rejection(attempt: Attempt, memory: Memory) -> Rejection | None:
    """What is known of these credentials; the stored status counts until the first look."""
    if attempt.stored is not None and attempt.protocol.name not in memory.probes:
        memory.rejections.setdefault(attempt.slot, attempt.stored)
    return memory.rejections.get(attempt.slot)


def _counting_refusals(report: ProbeReport, rejection: Rejection | None) -> ProbeReport:
    """Let status tell a restarted operator how often these credentials were refused."""
    return report if rejection is None else replace(report, refusals=rejection.attempts)


def _note_answer(
    attempt: Attempt,
    memory: Memory,
    before: Rejection | None,
    report: ProbeReport,
    now: datetime,
) -> ProbeReport:
    """Remember a refusal until the server says something else of the same credentials."""
    if retrying.is_refusal(report):
        rejection = retrying.refused(before, attempt.request, report, now)
        memory.rejections[attempt.slot] = rejection
        return retrying.worded(rejection)
    judged = report.stage is ProbeStage.AUTH and report.conclusive
    if report.authenticated or judged:
        memory.rejections.pop(attempt.slot, None)
    elif before is not None and report.reason is not Reason.HOST_AUTH_COOLDOWN:
        # They may have been sent: the next attempt counts from now.
        memory.rejections[attempt.slot] = replace(before, at=now, token=attempt.request)
    return report


def _note_pause(
    attempt: Attempt,
    memory: Memory,
    inputs: tuple[object, ...],
    report: ProbeReport,
    now: datetime,
) -> ProbeReport:
    """Remember that the server wants to be left alone, or that it no longer does."""
    name, before = attempt.protocol.name, memory.pauses.get(attempt.host)
    pause = retrying.pause_after(report, before, name, inputs, attempt.request, now)
    if pause is not None:
        memory.pauses[attempt.host] = pause
        return pause.report
    if before is not None and before.protocol == name:
        del memory.pauses[attempt.host]
    return report


def _note_due(attempt: Attempt, memory: Memory, report: ProbeReport, now: datetime) -> None:
    """Plan the next look after a failure; after a success the interval decides."""
    name = attempt.protocol.name
    if retrying.class_of(report) is None:
        memory.failed_probes.pop(name, None)
        memory.due.pop(name, None)
        return
    failures = memory.failed_probes[name] = memory.failed_probes.get(name, 0) + 1
    rejection = memory.rejections.get(attempt.slot)
    wait = retrying.wait_after(report, failures)
    pause = memory.pauses.get(attempt.host)
    if pause is not None and pause.report is report:
        wait = max(wait or retrying.REQUESTS_APART, pause.until - now)
    if wait is not None:
        memory.due[name] = now + wait
    elif rejection is not None:
        memory.due[name] = retrying.next_attempt(rejection) or now + retrying.FAR


def reached(report: ProbeReport, stage: ProbeStage) -> bool:
    """Whether the probe got past a stage."""
    return _STAGES.index(report.stage) > _STAGES.index(stage)


def verdicts_of(
    report: ProbeReport, protocol: Protocol, *, tls: bool, auth: bool
) -> tuple[Verdict, ...]:
    """Turn a report into verdicts: guard, availability, TLS if used, authentication if asked for.

    A stage that was not reached has the verdict Unknown.
    """
    allowed, verified = ConditionType.TARGET_ALLOWED, ConditionType.TLS_VERIFIED
    if report.stage is ProbeStage.GUARD:
        guard = failed(allowed, report.reason, report.message)
    elif report.stage is ProbeStage.RESOLVE:
        guard = unknown(allowed, _unseen(report, Reason.LOOKUP_FAILED), report.message)
    else:
        guard = passed(allowed, Reason.ALLOWED, "The host and port may be dialled.")
    verdicts = [guard, _availability(report, protocol)]
    if tls and report.reason in TLS_REASONS:
        verdicts.append(failed(verified, report.reason, report.message))
    elif tls and report.tls is not None and report.tls.version is not None:
        message = "The certificate is trusted and fits."
        verdicts.append(passed(verified, Reason.CERTIFICATE_VALID, message))
    elif tls:
        verdicts.append(unknown(verified, Reason.NOT_ATTEMPTED, report.message))
    if auth:
        verdicts.append(_auth_verdict(report, protocol))
    return tuple(verdicts)


#: Failures that are the certificate's or the handshake's.
TLS_REASONS = frozenset(
    {
        Reason.CERTIFICATE_EXPIRED,
        Reason.CERTIFICATE_NOT_YET_VALID,
        Reason.CERTIFICATE_NAME_MISMATCH,
        Reason.CERTIFICATE_UNTRUSTED,
        Reason.CERTIFICATE_CHAIN_INCOMPLETE,
        Reason.CERTIFICATE_WEAK,
        Reason.CLIENT_CERTIFICATE_REQUIRED,
        Reason.HANDSHAKE_FAILED,
        Reason.PROTOCOL_TOO_OLD,
        Reason.CA_BUNDLE_INVALID,
    }
)


def _availability(report: ProbeReport, protocol: Protocol) -> Verdict:
    condition = protocol.available
    if report.stage is ProbeStage.MAILBOX:
        verdict = failed if report.conclusive else unknown
        return verdict(condition, report.reason, report.message)
    if reached(report, ProbeStage.CAPABILITIES):
        return passed(
            condition, Reason.PROBE_SUCCEEDED, f"The server answers as an {protocol.name} server."
        )
    if report.stage is ProbeStage.GUARD or report.reason in TLS_REASONS:
        return unknown(condition, Reason.NOT_ATTEMPTED, report.message)
    if not report.conclusive:
        return unknown(condition, _unseen(report, Reason.PROBE_INCONCLUSIVE), report.message)
    return failed(condition, report.reason, report.message)


def _unseen(report: ProbeReport, usual: Reason) -> Reason:
    """Why a probe that ended early tells nothing: we had not the means, or what usually is."""
    return report.reason if report.reason is Reason.RESOURCES_EXHAUSTED else usual


def _auth_verdict(report: ProbeReport, protocol: Protocol) -> Verdict:
    condition = protocol.authenticated
    if report.authenticated:
        return passed(
            condition, Reason.AUTHENTICATION_SUCCEEDED, "The server accepted the credentials."
        )
    if report.stage is not ProbeStage.AUTH:
        return unknown(condition, Reason.NOT_ATTEMPTED, report.message)
    if not report.conclusive:
        return unknown(condition, report.reason, report.message)
    return failed(condition, report.reason, report.message)


def facts_of(
    report: ProbeReport, before: ProbeFacts | None = None, mark: str | None = None
) -> ProbeFacts:
    """Return how far the probe came, for status, and by its `mark` what was refused.

    Of `before`, which status has, the server's words stay where they tell the same: it may name
    another of its machines each time, which is no reason to write.
    """
    facts = ProbeFacts(
        stage=report.stage,
        reason=report.reason.value,
        code=report.code,
        enhanced_code=report.enhanced_code,
        server_text=report.server_text,
        refusals=report.refusals,
        unclear=True if report.unclear else None,
        refused=mark if report.refusals else None,
    )
    if before is None or not before.server_text or not facts.server_text:
        return facts
    kept = facts.model_copy(update={"server_text": before.server_text})
    same = kept == before and is_same_refusal(before.server_text, facts.server_text)
    return kept if same else facts


def findings_of(
    report: ProbeReport, protocol: Protocol, now: datetime, server_name: str
) -> tuple[Finding, ...]:
    """Return the cause of a failed probe and warnings about the certificate."""
    found = []
    # What was left out because of something else is told there.
    if report.stage is not ProbeStage.DONE and report.reason is not Reason.NOT_ATTEMPTED:
        fix = _fix_of(report)
        found.append(
            Finding(
                code=code_of(report.reason),
                severity=Severity.ERROR if report.conclusive else Severity.WARNING,
                subject=protocol.name,
                message=report.message,
                summary=as_summary(report.wrong) if fix is not None else "",
                fix=fix,
            )
        )
    if report.mailbox is not None and report.mailbox.selected:
        found.append(_SELECTED)
    found += certificates.warnings_of(report.tls, protocol.name, server_name, now)
    return tuple(found)


def _fix_of(report: ProbeReport) -> Fix | None:
    """What the probe itself says to do, which knows more than the reason's entry in the catalogue;
    None for what passes by itself by that entry, and by its cause, if one is known."""
    waits = causes()[Cause(report.cause)].waits if report.cause is not None else None
    lasts = report.conclusive or report.needs_someone or report.reason not in WAITS
    if not report.fix or not (lasts or waits is False):
        return None
    action = FixAction.WAIT if waits else FixAction.EXTERNAL
    told = as_instruction(report.fix)[:INSTRUCTION_LIMIT]
    return Fix(action=action, instruction=told, meanwhile=report.after)


_SELECTED = Finding(
    code="MAILBOX_OPENED_WITH_SELECT",
    severity=Severity.WARNING,
    subject=IMAP.name,
    message="The server does not take EXAMINE, and imap.allowSelect is true: the mailbox was "
    "opened with SELECT, which may take the mark \\Recent from new messages; none is marked as "
    "read.",
)


def code_of(reason: Reason) -> str:
    """Return the code of a finding for a reason: the reason in upper snake case."""
    return reason.name
