# SPDX-License-Identifier: Apache-2.0
"""Probing on behalf of a resource: spares servers repeated looks and rejected credentials, and
turns a probe's report into verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from postroom.api.conditions import ConditionType, Verdict
from postroom.api.findings import Finding, Severity
from postroom.api.mailserver import ProbeFacts, ProbeStage, TLSFacts, TLSMode
from postroom.api.reasons import Reason
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.reconcile import schedule
from postroom.reconcile.assessment import failed, passed, unknown
from postroom.reconcile.grants import TokenCredentials
from postroom.reconcile.outcome import Memory, RecentProbe, Rejection
from postroom.reconcile.references import Credentials
from postroom.reconcile.signing_in import TOKEN_REFUSALS, Probe, probe_with_token
from postroom.reconcile.world import World

#: A probe with the same inputs is not repeated within this time, unless someone asks.
REUSE = timedelta(seconds=30)
#: How long before its end a certificate is worth a warning.
EXPIRY_WARNING = timedelta(days=21)
#: What a refusal of credentials looks like that nothing but other credentials could change.
_REFUSALS = frozenset({Reason.AUTHENTICATION_REJECTED, Reason.ACCOUNT_DISABLED}) | TOKEN_REFUSALS

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
    """What a probe is about: for whom, where, with what, and at whose request."""

    protocol: Protocol
    endpoint: Endpoint
    credentials: AnyCredentials | None
    request: str | None
    extra: str = ""
    provider: str | None = None

    @property
    def login(self) -> Login | None:
        """The password to sign in with; None where a token is, or nobody signs in."""
        return self.credentials.login if isinstance(self.credentials, Credentials) else None

    @property
    def by_token(self) -> bool:
        """Whether a token is what one signs in with."""
        return isinstance(self.credentials, TokenCredentials)


async def probe_once(attempt: Attempt, probe: Probe, memory: Memory, world: World) -> ProbeReport:
    """Probe, or answer from memory where a look would repeat one or provoke a lock-out.

    A version of credentials that the server has refused is not sent again until it changes or
    someone asks anew; the connection is still checked. A request token counts once.
    """
    now = world.now()
    version = attempt.credentials.version if attempt.credentials else ""
    inputs = (attempt.endpoint, version, attempt.request, attempt.extra)
    name = attempt.protocol.name
    recent = memory.probes.get(name)
    if recent is not None and recent.inputs == inputs and now - recent.at < REUSE:
        return recent.report
    slot = f"{name} {attempt.endpoint.host}:{attempt.endpoint.port} {version}"
    rejection = memory.rejections.get(slot)
    if rejection is not None and rejection.token == attempt.request:
        report = _with_refusal(await probe(None), rejection.report)
    else:
        report = await _sign_in(attempt, probe, world)
        _note_refusal(memory, slot, attempt, report)
    memory.probes[name] = RecentProbe(inputs, now, report)
    return report


async def _sign_in(attempt: Attempt, probe: Probe, world: World) -> ProbeReport:
    if isinstance(attempt.credentials, TokenCredentials):
        return await probe_with_token(
            attempt.credentials, attempt.protocol.name, probe, world.tokens
        )
    return await probe(attempt.login)


def _note_refusal(memory: Memory, slot: str, attempt: Attempt, report: ProbeReport) -> None:
    """Remember a refusal, and forget those of other versions of the credentials."""
    for old in [one for one in memory.rejections if one.startswith(f"{attempt.protocol.name} ")]:
        del memory.rejections[old]
    if report.reason in _REFUSALS:
        memory.rejections[slot] = Rejection(attempt.request, report)


def _with_refusal(report: ProbeReport, refusal: ProbeReport) -> ProbeReport:
    """Keep the standing refusal, unless the server cannot even be reached now."""
    return refusal if report.stage is ProbeStage.DONE else report


def reached(report: ProbeReport, stage: ProbeStage) -> bool:
    """Tell whether the probe got past a stage."""
    return _STAGES.index(report.stage) > _STAGES.index(stage)


def verdicts_of(
    report: ProbeReport, protocol: Protocol, *, tls: bool, auth: bool
) -> tuple[Verdict, ...]:
    """Turn a report into verdicts: guard, availability, TLS if used, authentication if asked for.

    A stage that was not reached has the verdict Unknown.
    """
    verdicts = [_guard_verdict(report), _availability(report, protocol)]
    if tls:
        verdicts.append(_tls_verdict(report))
    if auth:
        verdicts.append(_auth_verdict(report, protocol))
    return tuple(verdicts)


def _guard_verdict(report: ProbeReport) -> Verdict:
    condition = ConditionType.TARGET_ALLOWED
    if report.stage is ProbeStage.GUARD:
        return failed(condition, report.reason, report.message)
    if report.stage is ProbeStage.RESOLVE:
        return unknown(condition, Reason.LOOKUP_FAILED, report.message)
    return passed(condition, Reason.ALLOWED, "The host and port may be dialled.")


#: Failures that are the certificate's or the handshake's.
TLS_REASONS = frozenset(
    {
        Reason.CERTIFICATE_EXPIRED,
        Reason.CERTIFICATE_NOT_YET_VALID,
        Reason.CERTIFICATE_NAME_MISMATCH,
        Reason.CERTIFICATE_UNTRUSTED,
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
        return unknown(condition, Reason.PROBE_INCONCLUSIVE, report.message)
    return failed(condition, report.reason, report.message)


def _tls_verdict(report: ProbeReport) -> Verdict:
    condition = ConditionType.TLS_VERIFIED
    if report.reason in TLS_REASONS:
        return failed(condition, report.reason, report.message)
    if report.tls is not None and report.tls.version is not None:
        return passed(condition, Reason.CERTIFICATE_VALID, "The certificate is trusted and fits.")
    return unknown(condition, Reason.NOT_ATTEMPTED, report.message)


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


def facts_of(report: ProbeReport) -> ProbeFacts:
    """Return how far the probe came, for status."""
    return ProbeFacts(
        stage=report.stage,
        reason=report.reason.value,
        code=report.code,
        enhanced_code=report.enhanced_code,
    )


def findings_of(report: ProbeReport, protocol: Protocol, now: datetime) -> tuple[Finding, ...]:
    """Return the cause of a failed probe and warnings about the certificate."""
    found = []
    if report.stage is not ProbeStage.DONE:
        found.append(
            Finding(
                code=code_of(report.reason),
                severity=Severity.ERROR if report.conclusive else Severity.WARNING,
                subject=protocol.name,
                message=report.message,
            )
        )
    found.extend(_expiry(report.tls, protocol, now))
    return tuple(found)


def code_of(reason: Reason) -> str:
    """Return the code of a finding for a reason: the reason in upper snake case."""
    return reason.name


def _expiry(tls: TLSFacts | None, protocol: Protocol, now: datetime) -> list[Finding]:
    if tls is None or tls.not_after is None:
        return []
    end = min(one for one in (tls.not_after, tls.chain_not_after) if one is not None)
    left = schedule.parse_timestamp(end) - now
    if not timedelta() < left < EXPIRY_WARNING:
        return []
    # The date, not the days left: the message must not change from day to day.
    return [
        Finding(
            code="CERTIFICATE_EXPIRING_SOON",
            severity=Severity.WARNING,
            subject=protocol.name,
            message=f"The certificate chain expires on {end[:10]}: renew it on the server.",
        )
    ]


def uses_tls(mode: TLSMode) -> bool:
    """Tell whether a connection of this mode has a certificate to judge."""
    return mode is not TLSMode.NONE
