# SPDX-License-Identifier: Apache-2.0
"""When a failed probe may be repeated, and with what: pure, so that every rule can be tested.

What passes by itself is looked at again soon, ever less often. A server that asks to be left alone
is. Credentials that were refused are sent once more half an hour later, because a server whose
backend fails may refuse good ones, and then only when they change or somebody asks; those of a
locked account now and then, because locks end, and those of a disabled one once a day, because it
may be enabled and nobody would tell us. So are those that are refused in words that nobody here
knows: they may say that it passes.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from postroom.api.conditions import ConditionStatus, ConditionType, find
from postroom.api.finding_texts import as_instruction, as_summary
from postroom.api.mailserver import ProbeFacts, ProbeStage
from postroom.api.reasons import CATALOGUE, Reason
from postroom.api.resource import EmailAccount, MailServer
from postroom.api.status import ResolvedReference
from postroom.concurrency.backoff import doubled
from postroom.mail.replies import FailureClass
from postroom.mail.report import ProbeReport
from postroom.reconcile.signing_in.token_probe import TOKEN_REFUSALS
from postroom.reconcile.status.outcome import Pause, Rejection

#: What a refusal of credentials looks like that nothing but other credentials could change.
REFUSALS = TOKEN_REFUSALS | {
    Reason.AUTHENTICATION_REJECTED,
    Reason.ACCOUNT_DISABLED,
    Reason.ACCOUNT_LOCKED,
}
#: How often one version of refused credentials is sent on schedule, and how far apart at least.
ATTEMPTS = 2
ATTEMPTS_APART = timedelta(minutes=30)
#: How far apart those of a locked account are sent after that: attempts may prolong a lock.
LOCKED_APART = timedelta(hours=6)
#: And those of a disabled one: who says so has found the password right, or has not looked at it,
#: so that no lock comes nearer.
DISABLED_APART = timedelta(days=1)
#: The last: of credentials that are refused in words alone, since the code says that it passes.
_APART = {
    Reason.ACCOUNT_LOCKED: LOCKED_APART,
    Reason.ACCOUNT_DISABLED: DISABLED_APART,
    Reason.TEMPORARY_FAILURE: DISABLED_APART,
}
#: And those that are refused in words that nobody knows, which are of something that passes now and
#: then: so rarely that a wrong password comes near no lock.
UNCLEAR_APART = timedelta(days=1)
#: How far apart at least refused credentials are sent because somebody asked.
REQUESTS_APART = timedelta(minutes=5)
SUSPENDED = "They are not sent again until they change or somebody asks for a check."
DAILY = "The credentials are sent again once a day, or when somebody asks for a check."
DECLINED = (
    "They were sent less than 5 minutes before this check was asked for, and were not sent again."
)
PAUSED = "postroom leaves the server alone for a while."

#: Failures that are certain for now, and pass all the same.
_PASSING = frozenset({Reason.HOST_NOT_FOUND, Reason.CONNECTION_REFUSED, Reason.CONNECTION_TIMEOUT})
#: How servers and token endpoints say that they want to be left alone.
_THROTTLING = frozenset(
    {
        Reason.SERVICE_UNAVAILABLE,
        Reason.TEMPORARY_FAILURE,
        Reason.SERVER_THROTTLED,
        Reason.OAUTH_THROTTLED,
    }
)
#: What says nothing of the mail server itself.
_ELSEWHERE = frozenset({Reason.OAUTH_THROTTLED, Reason.HOST_AUTH_COOLDOWN, Reason.NOT_ATTEMPTED})
#: (first wait, longest wait); each doubles the one before.
_TRANSIENT = (timedelta(seconds=30), timedelta(minutes=15))
_THROTTLED = (timedelta(minutes=15), timedelta(hours=24))
#: Farther than any interval: what is due then waits for a change.
FAR = timedelta(days=365)


def is_refusal(report: ProbeReport) -> bool:
    """Whether a report is of refused credentials, which may lock an account if they are sent again.

    What a server says of an account once it has accepted its sign-in is none: whoever renews the
    account there changes no credentials, and must not have to ask for a look. What the server's
    words refuse is one, even where its code says that it passes.
    """
    in_words = report.needs_someone and report.authenticated is False
    return in_words or (report.reason in REFUSALS and not report.authenticated)


def class_of(report: ProbeReport) -> FailureClass | None:
    """Tell what kind of failure a probe ended with; None: it succeeded, or was not made."""
    if report.stage is ProbeStage.DONE or report.reason is Reason.NOT_ATTEMPTED:
        return None
    if is_refusal(report):
        return FailureClass.PERMANENT
    if not report.conclusive:
        throttled = report.reason in _THROTTLING or report.retry_after is not None
        return FailureClass.THROTTLED if throttled else FailureClass.TRANSIENT
    return FailureClass.TRANSIENT if report.reason in _PASSING else FailureClass.CONFIGURATION


def wait_after(report: ProbeReport, failures: int) -> timedelta | None:
    """Return how long to wait after so many failures in a row; None: the interval decides.

    After a refusal that is up to the `Rejection`.
    """
    match class_of(report):
        case FailureClass.THROTTLED:
            first = _TRANSIENT[0]
            hint = report.retry_after
            return doubled(*_THROTTLED, failures) if hint is None else _clamped(hint, first)
        case FailureClass.TRANSIENT | FailureClass.CONFIGURATION:
            return doubled(*_TRANSIENT, failures)
        case _:
            return None


def _clamped(hint: timedelta, least: timedelta = timedelta()) -> timedelta:
    """What a server says, believed up to a day."""
    return min(max(hint, least), _THROTTLED[1])


def pause_after(
    report: ProbeReport,
    before: Pause | None,
    protocol: str,
    inputs: tuple[object, ...],
    request: str | None,
    now: datetime,
) -> Pause | None:
    """Return the pause that a server's answer begins; None: it wants none."""
    if class_of(report) is not FailureClass.THROTTLED or report.reason in _ELSEWHERE:
        return None
    again = before is not None and before.protocol == protocol
    count = before.count + 1 if before is not None and again else 1
    hint = report.retry_after
    wait = doubled(*_THROTTLED, count) if hint is None else _clamped(hint)
    told = replace(report, after=PAUSED)
    return Pause(protocol, told, now, now + wait, inputs, request, hint is not None, count)


def holds(pause: Pause, inputs: tuple[object, ...], request: str | None, now: datetime) -> bool:
    """Whether a pause forbids a probe.

    What the server itself has named stands. Otherwise other credentials, another endpoint or a
    request, which may not come too soon, are worth a try.
    """
    if now >= pause.until:
        return False
    if pause.hinted:
        return True
    asked = _asks(request, pause.request) and now - pause.since >= REQUESTS_APART
    return not asked and inputs == pause.inputs


def told_by(pause: Pause, protocol: str, host: str) -> ProbeReport:
    """Return what a probe that was not made is answered with."""
    if pause.protocol == protocol:
        return pause.report
    return ProbeReport(
        ProbeStage.CONNECT,
        Reason.SERVER_THROTTLED,
        f"{host} has asked to be left alone when it was checked over {pause.protocol}.",
        conclusive=False,
        after=PAUSED,
    )


def may_send(rejection: Rejection, request: str | None, now: datetime) -> bool:
    """Whether refused credentials may be sent now."""
    if _asks(request, rejection.token):
        return rejection.asked_at is None or now - rejection.asked_at >= REQUESTS_APART
    due = next_attempt(rejection)
    return due is not None and now >= due


def withheld(rejection: Rejection, request: str | None) -> Rejection:
    """Note that credentials were not sent, whoever asked."""
    if not _asks(request, rejection.token):
        return rejection
    return replace(rejection, token=request, declined=True)


def refused(
    before: Rejection | None, request: str | None, report: ProbeReport, now: datetime
) -> Rejection:
    """Note that credentials were sent and refused, in words that a status keeps apart."""
    fix = as_instruction(report.fix) or CATALOGUE[report.reason].remedy
    report = replace(report, wrong=as_summary(report.wrong) or report.wrong, fix=fix)
    if before is None:
        return Rejection(request, report, now)
    asked = _asks(request, before.token)
    early = now - before.at < ATTEMPTS_APART
    attempts = before.attempts if asked and early else min(before.attempts + 1, ATTEMPTS)
    return Rejection(request, report, now, attempts, now if asked else before.asked_at)


def next_attempt(rejection: Rejection) -> datetime | None:
    """Return when refused credentials are sent again; None: only when something changes."""
    if rejection.attempts < ATTEMPTS:
        return rejection.at + ATTEMPTS_APART
    apart = _apart(rejection.report)
    return rejection.at + apart if apart is not None else None


def _apart(report: ProbeReport) -> timedelta | None:
    """How far apart credentials are sent that were refused as often as is tried at first."""
    return UNCLEAR_APART if report.unclear else _APART.get(report.reason)


def worded(rejection: Rejection) -> ProbeReport:
    """Return the refusal with a word on what becomes of the credentials."""
    told = [DECLINED] if rejection.declined else []
    if rejection.attempts >= ATTEMPTS and _apart(rejection.report) == DISABLED_APART:
        told.append(DAILY)
    elif next_attempt(rejection) is None:
        told.append(SUSPENDED)
    return replace(rejection.report, after=" ".join(told))


def _asks(request: str | None, answered: str | None) -> bool:
    return request is not None and request != answered


def are_known(resource: EmailAccount | MailServer, used: Sequence[ResolvedReference]) -> bool:
    """Whether a stored status is about these versions of the Secrets of some credentials."""
    known = resource.status.resolved_refs
    return all(reference.resource_version and reference in known for reference in used)


def restored(
    resource: EmailAccount | MailServer,
    protocol: str,
    condition: ConditionType,
    facts: ProbeFacts | None,
    now: datetime,
) -> Rejection | None:
    """Read from a stored status that the credentials were refused that it is about; None: it does
    not say so.

    `facts` are those of the last probe. An operator that was restarted must not send at once what
    it knows to be refused. When that was is not stored: it counts from now on.
    """
    status = resource.status
    stored = find(status.conditions, condition)
    if stored is None or stored.status is not ConditionStatus.FALSE:
        return None
    same = stored.observed_generation == resource.metadata.generation
    if not same or stored.reason not in REFUSALS:
        return None
    attempts = facts.refusals if facts is not None and facts.refusals is not None else 1
    about = facts if facts is not None and facts.reason == stored.reason else None
    reason = Reason(stored.reason)
    # In the words of the catalogue where an earlier release has stored others in one text.
    wrong, fix = CATALOGUE[reason].meaning, CATALOGUE[reason].remedy
    for found in status.findings:
        of_it = (found.code, found.subject) == (reason.name, protocol)
        if of_it and found.summary and found.fix is not None:
            wrong, fix = found.summary, found.fix.instruction
    report = ProbeReport(
        ProbeStage.AUTH,
        reason,
        wrong,
        conclusive=True,
        authenticated=False,
        code=about.code if about else None,
        enhanced_code=about.enhanced_code if about else None,
        server_text=about.server_text if about else None,
        fix=fix,
        unclear=about is not None and about.unclear is True,
    )
    return Rejection(status.last_handled_reconcile_at, report, now, attempts)
