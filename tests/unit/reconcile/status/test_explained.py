# SPDX-License-Identifier: Apache-2.0
"""Whatever is not Ready has a finding that says why, with a fix, for every reason there is.

Covers: every reason as what decides Ready, False and Unknown, of every kind, beside other findings;
what the reconcilers make of references, Secrets, defaults, rest, bad specs and bugs; that a finding
goes when its cause does, and is told once.
"""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.conditions import ConditionStatus, ConditionType, Verdict, find, place
from postroom.api.findings import FINDINGS_LIMIT, Finding, FixAction, Severity
from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.api.resource import STATUSES
from postroom.api.sendingdomain_status import SendingDomainStatus
from postroom.api.status import CommonStatus, MarkedStatus
from postroom.reconcile.status.explained import explained
from postroom.reconcile.status.outcome import Outcome
from postroom.reconcile.world import LookupUnavailable
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, SERVER, MailWorld

READY, TIME = ConditionType.READY, "2026-11-21T10:00:00Z"
WELL = Verdict(type=READY, status=ConditionStatus.TRUE, reason=Reason.SUCCEEDED, message="Well.")
SMTP = {"serverRef": {"name": "smtp"}}
UNDECIDED = frozenset({"LookupFailed", "NotAttempted", "ProbeInconclusive"})
DIMENSIONS = [each for each in ConditionType if each not in list(ConditionType)[:4]]


def holds(status: CommonStatus) -> None:
    """What must be true of every status."""
    findings = cast("MarkedStatus", status).findings
    ready = find(status.conditions, READY)
    assert ready is not None
    keys = [(finding.code, finding.subject) for finding in findings]
    assert len(keys) == len(set(keys))
    if ready.status is ConditionStatus.TRUE:
        return
    telling = [
        finding
        for finding in findings
        if ready.message.removesuffix("…") in finding.message
        or finding.code == Reason(ready.reason).name
        or (isinstance(status, SendingDomainStatus) and finding.severity is not Severity.INFO)
    ]
    assert telling, ready
    if isinstance(status, MarkedStatus):
        for finding in findings:
            assert finding.fix is not None, finding
            assert finding.fix.action not in (FixAction.EXTERNAL, FixAction.WAIT) or (
                finding.fix.instruction
            )


def _other(told: tuple[str, str, Severity]) -> Finding:
    code, subject, severity = told
    return Finding(code=code, severity=severity, subject=subject, message="Something else.")


OTHERS = st.lists(
    st.sampled_from(
        [
            ("CERTIFICATE_EXPIRING_SOON", "SMTP", Severity.WARNING),
            ("CERTIFICATE_EXPIRING_SOON", "IMAP", Severity.WARNING),
            ("MAILBOX_OPENED_WITH_SELECT", "IMAP", Severity.WARNING),
            *(("NO_DEFAULT", "default", severity) for severity in Severity),
            *(("SPF_MULTIPLE", "", severity) for severity in Severity),
        ]
    ).map(_other),
    unique_by=lambda finding: (finding.code, finding.subject),
)


@given(
    kind=st.sampled_from(Kind),
    reason=st.sampled_from(Reason),
    dimension=st.sampled_from(DIMENSIONS),
    state=st.sampled_from([ConditionStatus.FALSE, ConditionStatus.UNKNOWN]),
    repeated=st.booleans(),
    others=OTHERS,
    message=st.sampled_from(["It is not there: create it.", "x" * 600]),
)
def test_every_reason_is_told_with_a_fix(
    kind: Kind,
    reason: Reason,
    dimension: ConditionType,
    state: ConditionStatus,
    repeated: bool,
    others: list[Finding],
    message: str,
) -> None:
    verdicts = [Verdict(type=READY, status=state, reason=reason, message=message)]
    if repeated:
        verdicts.append(Verdict(type=dimension, status=state, reason=reason, message=message))
    conditions = place(verdicts, (), 1, TIME)
    status = STATUSES[kind](conditions=conditions).model_copy(update={"findings": others})
    once = explained(Outcome(status, None))
    assert once.status is not None
    holds(once.status)
    assert explained(once) == once
    told = cast("MarkedStatus", once.status).findings
    codes = {each.code for each in others}
    assert codes <= {finding.code for finding in told} <= codes | {reason.name}
    # What Ready says goes before all that is as bad; a domain's stand in the order of mending.
    ours = [each for each in told if each.message == message and len(told) > len(others)]
    assert all(each == next(e for e in told if e.severity is each.severity) for each in ours)
    if kind is not Kind.SENDING_DOMAIN or not others:
        assert reason.name in {finding.code for finding in told}
    mended = once.status.model_copy(update={"conditions": place([WELL], (), 1, TIME)})
    left = explained(Outcome(mended, None)).status
    kept = {(each.code, each.subject) for each in cast("MarkedStatus", left).findings}
    assert kept == {(each.code, each.subject) for each in others}


@pytest.mark.parametrize("kind", [Kind.MAIL_SERVER, Kind.EMAIL_ACCOUNT])
def test_the_finding_that_ready_repeats_goes_first_among_those_as_bad(kind: Kind) -> None:
    """In a status, and so on the page, in a terminal and in whatever shows one of them."""

    def error(code: str, message: str, subject: str = "SMTP") -> Finding:
        return Finding(code=code, severity=Severity.ERROR, subject=subject, message=message)

    said = "The server refused. " + "It says why at length. " * 40
    verdicts = [
        Verdict(type=each, status=ConditionStatus.FALSE, reason=reason, message=said)
        for each, reason in (
            (READY, Reason.AUTHENTICATION_REJECTED),
            (ConditionType.SMTP_AUTHENTICATED, Reason.AUTHENTICATION_REJECTED),
        )
    ]
    findings = [
        error("CERTIFICATE_EXPIRED", "It has expired.", "IMAP"),
        error("AUTHENTICATION_REJECTED", "It refused there, too.", "IMAP"),
        error("AUTHENTICATION_REJECTED", said),
    ]
    status = STATUSES[kind](conditions=place(verdicts, (), 1, TIME))
    outcome = explained(Outcome(status.model_copy(update={"findings": findings}), None))
    told = cast("MarkedStatus", outcome.status).findings
    assert [(each.code, each.subject) for each in told] == [
        ("AUTHENTICATION_REJECTED", "SMTP"),
        ("AUTHENTICATION_REJECTED", "IMAP"),
        ("CERTIFICATE_EXPIRED", "IMAP"),
    ]


@pytest.mark.parametrize(
    ("dimension", "reason", "code", "subject", "is_told"),
    [
        # By the code of its reason, whatever the finding is about.
        ("DependenciesReady", "FallbackSenderNotVerified", None, "fallbackSender", True),
        ("SMTPAuthenticated", "OAuthScopeMissing", None, "SMTP, IMAP", True),
        # By a cause that the reason stands for, and by no other.
        ("SMTPAuthenticated", "AuthenticationRejected", "USERNAME_MUST_BE", "SMTP username", True),
        ("TLSVerified", "HandshakeFailed", "PORT_CONTRADICTS_TLS", "SMTP tls.mode", True),
        ("TLSVerified", "CertificateExpired", "PORT_CONTRADICTS_TLS", "SMTP tls.mode", False),
        ("SMTPAvailable", "MailboxNotFound", "USERNAME_MUST_BE", "SMTP username", False),
        # Where a probe failed, and nothing is known of the rest: by its finding.
        ("TargetAllowed", "LookupFailed", "HOST_NOT_FOUND", "SMTP", True),
        ("TLSVerified", "NotAttempted", "CONNECTION_REFUSED", "IMAP", True),
        ("SMTPAvailable", "ProbeInconclusive", "CONNECTION_TIMEOUT", "SMTP", True),
        ("IMAPAuthenticated", "NotAttempted", "OAUTH_THROTTLED", "SMTP, IMAP", True),
        ("IMAPAuthenticated", "NotAttempted", "CONNECTION_TIMEOUT", "SMTP", False),
        ("SMTPAvailable", "ProbeInconclusive", "CERTIFICATE_EXPIRING_SOON", "SMTP", False),
        ("ReferencesResolved", "LookupFailed", "HOST_NOT_FOUND", "SMTP", False),
        ("SMTPAvailable", "ConnectionRefused", "CONNECTION_TIMEOUT", "SMTP", False),
    ],
)
def test_what_a_finding_tells_is_not_told_twice(
    dimension: str, reason: str, code: str | None, subject: str, is_told: bool
) -> None:
    state = ConditionStatus.UNKNOWN if reason in UNDECIDED else ConditionStatus.FALSE
    verdicts = [
        Verdict(type=READY, status=state, reason=Reason(reason), message="It is so."),
        Verdict(
            type=ConditionType(dimension), status=state, reason=Reason(reason), message="It is so."
        ),
    ]
    finding = Finding(
        code=code or Reason(reason).name,
        severity=Severity.ERROR,
        subject=subject,
        message="In words of its own.",
    )
    status = STATUSES[Kind.EMAIL_ACCOUNT](conditions=place(verdicts, (), 1, TIME))
    status = status.model_copy(update={"findings": [finding]})
    told = explained(Outcome(status, None, deciding=ConditionType(dimension))).status
    codes = {(each.code, each.subject) for each in cast("MarkedStatus", told).findings}
    own = set() if is_told else {(Reason(reason).name, dimension)}
    assert codes == {(finding.code, subject)} | own


@pytest.mark.parametrize(
    ("reason", "code", "is_told"),
    [
        # That a record is published, and a resolver does not show it yet, is news and no fault.
        ("ResolversDisagree", "STALE_NEGATIVE", True),
        ("ResolversDisagree", "STALE_POSITIVE", True),
        ("ResolversDisagree", "RESOLVER_ONLY", False),
        ("LookupFailed", "STALE_NEGATIVE", False),
    ],
)
def test_what_caches_still_say_is_told_once(reason: str, code: str, is_told: bool) -> None:
    unknown = ConditionStatus.UNKNOWN
    verdicts = [
        Verdict(type=kind, status=unknown, reason=Reason(reason), message="It is late.")
        for kind in (READY, ConditionType.DKIM_VERIFIED)
    ]
    late = Finding(code=code, severity=Severity.INFO, subject="dkim-s1", message="It is late.")
    status = STATUSES[Kind.SENDING_DOMAIN](conditions=place(verdicts, (), 1, TIME))
    status = status.model_copy(update={"findings": [late]})
    told = explained(Outcome(status, None, deciding=ConditionType.DKIM_VERIFIED)).status
    codes = {each.code for each in cast("SendingDomainStatus", told).findings}
    assert codes == ({code} if is_told else {code, Reason(reason).name})


def test_there_is_room_for_what_decides() -> None:
    verdict = Verdict(
        type=READY, status=ConditionStatus.FALSE, reason=Reason.NO_DEFAULT, message="None."
    )
    many = [
        Finding(code="SPF_MULTIPLE", severity=Severity.ERROR, subject=str(each), message="x")
        for each in range(FINDINGS_LIMIT)
    ]
    status = STATUSES[Kind.EMAIL_ACCOUNT](conditions=place([verdict], (), 1, TIME))
    told = explained(Outcome(status.model_copy(update={"findings": many}), None)).status
    findings = cast("MarkedStatus", told).findings
    assert (len(findings), findings[0].code) == (FINDINGS_LIMIT, "NO_DEFAULT")


PASSWORD = {"credentialsRef": {"name": "mailbox"}}
HOST = {"host": "smtp.example.com"}
ADDRESS = {"address": "support@example.com"}


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ({}, "NO_DEFAULT"),
        ({"serverRef": {"name": "away"}}, "MAIL_SERVER_NOT_FOUND"),
        (SMTP, "DEPENDENCY_UNKNOWN"),
        ({**SMTP, **PASSWORD}, "SECRET_NOT_FOUND"),
        ({"provider": "GoogleWorkspace", **PASSWORD}, "SECRET_NOT_FOUND"),
        (
            {**SMTP, "fallbackSender": "a@x.example"},
            "SENDING_DOMAIN_NOT_FOUND",
        ),
        (
            {**SMTP, "roundTrip": {"receiverRef": {"name": "away"}}},
            "EMAIL_ACCOUNT_NOT_FOUND",
        ),
        ({**SMTP, "suspend": True}, "SUSPENDED"),
        ({**SMTP, "connection": "Disconnected"}, "DISCONNECTED"),
        ({"serverRef": 5}, "INVALID_SPEC"),
    ],
)
async def test_what_accounts_stand_on(spec: dict[str, Any], code: str) -> None:
    world = MailWorld()
    world.add(SERVER, **HOST)
    world.add(ACCOUNT, **ADDRESS, **spec)
    status = await world.look(ACCOUNT)
    holds(status)
    assert code in {finding.code for finding in cast("MarkedStatus", status).findings}


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        (PASSWORD, "SECRET_NOT_FOUND"),
        ({"credentialsRef": {"name": "half"}}, "SECRET_KEY_MISSING"),
        ({"tls": {"caBundleRef": {"name": "ca"}}}, "CONFIG_MAP_NOT_FOUND"),
        ({"suspend": True}, "SUSPENDED"),
        ({"port": "many"}, "INVALID_SPEC"),
    ],
)
async def test_what_servers_stand_on(spec: dict[str, Any], code: str) -> None:
    world = MailWorld()
    world.add_secret("half", username="relay")
    world.add(SERVER, **HOST, **spec)
    status = await world.look(SERVER)
    holds(status)
    assert code in {finding.code for finding in cast("MarkedStatus", status).findings}
    world.add(SERVER, **HOST)
    mended = await world.look(SERVER)
    assert cast("MarkedStatus", mended).findings == []


@pytest.mark.parametrize(
    ("failure", "code"),
    [(LookupUnavailable("Away."), "PROGRESSING"), (KeyError(), "INTERNAL_ERROR")],
)
async def test_what_cannot_be_looked_at(failure: Exception, code: str) -> None:
    class Failing(MailWorld):
        async def secret(self, namespace: str, name: str) -> Any:
            raise failure

    world = Failing()
    server = Key(Kind.MAIL_SERVER, NAMESPACE, "smtp")
    world.add(server, **HOST, **PASSWORD)
    status = await world.look(server)
    holds(status)
    assert code in {finding.code for finding in cast("MarkedStatus", status).findings}


@pytest.mark.parametrize(
    ("spec", "fix"),
    [
        ({"credentialsRef": {"name": "half"}}, "Add key password of Secret half."),
        ({"port": "many"}, "Correct spec.port."),
    ],
)
async def test_the_fix_names_what_to_change_also_of_what_is_kept(
    spec: dict[str, Any], fix: str
) -> None:
    world = MailWorld()
    world.add_secret("half", username="relay")
    world.add(SERVER, **HOST, **spec)

    async def told() -> list[str]:
        status = cast("MarkedStatus", await world.look(SERVER))
        found = (each.fix for each in status.findings if each.severity is Severity.ERROR)
        return [each.instruction for each in found if each is not None]

    assert await told() == [fix]
    if "port" not in spec:
        world.add(SERVER, **HOST, **spec, suspend=True)
        assert await told() == [fix]


FULLY: dict[str, Any] = {
    "provider": "Gmail",
    "credentialsRef": {"name": "own"},
    "imap": {"credentialsRef": {"name": "other"}},
}


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (FULLY, "spec.imap.credentialsRef"),
        (FULLY | {"imap": {}, "credentialsRef": {"name": "away"}}, "spec.credentialsRef"),
        ({"serverRef": {"name": "away"}}, "spec.serverRef"),
        ({"serverRef": {"name": "smtp", "namespace": "unwatched"}}, "spec.serverRef.namespace"),
        ({**SMTP, "roundTrip": {"receiverRef": {"name": "away"}}}, "spec.roundTrip.receiverRef"),
        ({"serverRef": 5}, "spec.serverRef"),
        ({"serverReff": SMTP["serverRef"]}, "spec.serverReff"),
    ],
)
async def test_what_keeps_an_object_from_being_ready_names_its_field(
    spec: dict[str, Any], field: str
) -> None:
    world = MailWorld()
    world.add_secret("own", username="a@example.com", password="x")
    world.add(SERVER, **HOST)
    world.add(ACCOUNT, **ADDRESS, **spec)

    async def told() -> list[str]:
        status = cast("MarkedStatus", await world.look(ACCOUNT))
        return [each.field for each in status.findings if each.severity is Severity.ERROR]

    assert await told() == [field]
    if "serverReff" not in spec and spec.get("serverRef") != 5:
        # What is kept of a status keeps its field, too.
        world.add(ACCOUNT, **ADDRESS, **spec, suspend=True)
        assert await told() == [field]
