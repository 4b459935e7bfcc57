# SPDX-License-Identifier: Apache-2.0
"""Final is final: what only an edit, a new Secret or a new consent mends stalls at the first sure
refusal, and nothing else does.

Covers: every reason of a refused sign-in, for servers and accounts, passwords and tokens; what is
not sure (temporary, throttled, on its way); a refusal beside something that is waited for; what had
worked; the way back by a Secret, an edit and a request; restarts; and random histories of them all.
And by tables: which failures are final, what could be looked at, what is waited for, the order of
findings, and which stored Ready counts.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kstatus import argo_health, compute, conditions_of, flux_health, lint
from postroom.api.conditions import ConditionStatus, ConditionType, Verdict, place
from postroom.api.findings import FINDINGS_LIMIT, Finding, Severity
from postroom.api.mailserver import ProbeStage
from postroom.api.names import REQUESTED_AT_ANNOTATIONS, Key
from postroom.api.reasons import Reason
from postroom.api.resource import AnyResource
from postroom.api.sendingdomain_status import SendingDomainStatus
from postroom.api.times import timestamp
from postroom.mail.oauth.answers import TokenFailure
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.replies.model import FailureClass
from postroom.mail.report import ProbeReport
from postroom.reconcile.signing_in.retrying import ATTEMPTS_APART, REFUSALS
from postroom.reconcile.status.assessment import (
    FINAL_REFUSALS,
    Evidence,
    awaited,
    failed,
    readiness,
    unknown,
    worst_first,
)
from unit.reconcile import mail_worlds
from unit.reconcile.assessments import BAD, BLIND, GOOD, NOW, assessment, resource
from unit.reconcile.mail_worlds import ACCOUNT, SERVER, MailWorld

MINUTE = timedelta(minutes=1)
STALLED, WAITING = ("Failed", "Degraded"), ("InProgress", "Progressing")
REGRESSED, WELL = ("InProgress", "Degraded"), ("Current", "Healthy")
#: What the expressions for Flux make of each: a regression fails at once, as for Argo CD.
FLUX = {STALLED: "Failed", WAITING: "InProgress", REGRESSED: "Failed", WELL: "Current"}
REFUSED = replace(mail_worlds.REFUSED, tls=mail_worlds.WELL.tls)
BUSY = replace(REFUSED, reason=Reason.TEMPORARY_FAILURE, conclusive=False, authenticated=None)


class Signing(MailWorld):
    """A server and an account of one Secret; `says` is what is said of the password "bad"."""

    def __init__(self, says: ProbeReport = REFUSED) -> None:
        super().__init__()
        self.put("bad")
        login = {"credentialsRef": {"name": "login"}, "progressDeadline": "0s"}
        self.add(SERVER, host="smtp.example.com", **login)
        self.add(ACCOUNT, address="support@gmail.com", provider="Gmail", **login)
        self.probes.refuses = {"bad": says}

    def put(self, password: str, version: str = "1") -> None:
        self.add_secret("login", version=version, username="support@gmail.com", password=password)

    async def shown(self, key: Key, wait: timedelta = 5 * MINUTE) -> tuple[str, str]:
        """Look; return what kstatus and Argo CD make of the object, which honours the contract."""
        await self.look(key, wait)
        assert lint(self.objects[key]) == []
        shown = compute(self.objects[key]), argo_health(self.objects[key])
        assert flux_health(self.objects[key]) == FLUX[shown]
        return shown

    def stalled(self, key: Key) -> Any:
        return conditions_of(self.objects[key]).get("Stalled", {}).get("reason")


@pytest.mark.parametrize("key", [SERVER, ACCOUNT])
async def test_a_refused_password_is_final_at_once(key: Key) -> None:
    world = Signing()
    assert await world.shown(key) == STALLED
    assert world.stalled(key) == "AuthenticationRejected"
    ready = conditions_of(world.objects[key])["Ready"]
    assert ready["reason"] == "AuthenticationRejected"
    assert ready["message"].startswith(REFUSED.message)


@pytest.mark.parametrize("key", [SERVER, ACCOUNT])
async def test_a_new_secret_is_tried_at_the_next_look(key: Key) -> None:
    world = Signing()
    await world.shown(key)
    world.put("good", "2")
    assert await world.shown(key) == WELL


@pytest.mark.parametrize("key", [SERVER, ACCOUNT])
async def test_whoever_asks_is_answered(key: Key) -> None:
    world = Signing()
    await world.shown(key)
    world.probes.refuses = {}
    assert await world.shown(key, MINUTE) == STALLED
    world.objects[key]["metadata"]["annotations"] = {REQUESTED_AT_ANNOTATIONS[0]: "now"}
    assert await world.shown(key, 5 * MINUTE) == WELL


async def test_another_secret_that_nobody_could_look_at_is_not_refused() -> None:
    world = Signing()
    await world.shown(ACCOUNT)
    world.put("good", "2")
    world.probes.away = replace(
        REFUSED, stage=ProbeStage.CONNECT, reason=Reason.SERVER_THROTTLED, conclusive=False
    )
    assert await world.shown(ACCOUNT) == WAITING
    world.probes.away = None
    assert await world.shown(ACCOUNT, timedelta(days=1)) == WELL


async def test_a_refusal_stands_while_nobody_can_look_again() -> None:
    world = Signing()
    await world.shown(ACCOUNT)
    world.probes.refuses = {"bad": BUSY}
    assert await world.shown(ACCOUNT, ATTEMPTS_APART) == STALLED


#: Not one of them says that what is in the Secret is wrong and stays so.
NOT_SURE = (
    (Reason.TEMPORARY_FAILURE, False),
    (Reason.SERVER_THROTTLED, False),
    (Reason.SERVICE_UNAVAILABLE, False),
    (Reason.HOST_AUTH_COOLDOWN, False),
    (Reason.CONNECTION_TIMEOUT, False),
    (Reason.AUTHENTICATION_REJECTED, False),
    (Reason.ACCOUNT_DISABLED, False),
    (Reason.CAPABILITY_MISSING, True),
)


@pytest.mark.parametrize("key", [SERVER, ACCOUNT])
@pytest.mark.parametrize(("reason", "conclusive"), NOT_SURE)
async def test_what_is_not_sure_waits(key: Key, reason: Reason, conclusive: bool) -> None:
    answer = replace(REFUSED, reason=reason, conclusive=conclusive, authenticated=None)
    world = Signing(answer)
    assert await world.shown(key) == WAITING


@pytest.mark.parametrize("key", [SERVER, ACCOUNT])
async def test_what_had_worked_is_final_when_it_was_refused_twice(key: Key) -> None:
    world = Signing()
    world.probes.refuses = {}
    assert await world.shown(key) == WELL
    world.probes.refuses = {"bad": REFUSED}
    assert await world.shown(key) == REGRESSED
    assert await world.shown(key) == REGRESSED
    assert await world.shown(key, ATTEMPTS_APART) == STALLED
    world._memories.clear()
    assert await world.shown(key) == STALLED
    world.probes.refuses = {}
    world.put("good", "2")
    assert await world.shown(key) == WELL


async def test_an_edit_is_a_new_object() -> None:
    world = Signing()
    world.probes.refuses = {}
    await world.shown(ACCOUNT)
    world.probes.refuses = {"bad": REFUSED}
    world.add(ACCOUNT, **world.objects[ACCOUNT]["spec"], displayName="Support")
    assert await world.shown(ACCOUNT) == STALLED


async def test_what_is_final_goes_before_what_may_still_come() -> None:
    world = Signing()
    spec = {**world.objects[ACCOUNT]["spec"], "serverRef": {"name": "away"}}
    world.add(ACCOUNT, **spec, imap={})
    assert await world.shown(ACCOUNT) == STALLED
    assert world.stalled(ACCOUNT) == "AuthenticationRejected"


def tokens(reason: OAuthReason, kind: FailureClass) -> Signing:
    """An account whose token endpoint answers so."""
    world = Signing()
    world.add_secret("oauth", refreshToken="r")
    reference = {"name": "oauth", "key": "refreshToken"}
    oauth = {"provider": "Google", "clientID": "gid", "refreshTokenRef": reference}
    world.add(ACCOUNT, address="support@gmail.com", provider="Gmail", oauth=oauth)
    world.scripted.script = [TokenFailure(reason, kind, "No token.")]
    return world


OF_TOKENS = sorted({reason for reason in FINAL_REFUSALS if reason.value.startswith("OAuth")})


@pytest.mark.parametrize("reason", OF_TOKENS)
async def test_a_grant_that_only_a_person_mends_is_final_at_once(reason: Reason) -> None:
    world = tokens(OAuthReason(reason.value), FailureClass.PERMANENT)
    assert await world.shown(ACCOUNT) == STALLED
    assert world.stalled(ACCOUNT) == reason.value


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (OAuthReason.ENDPOINT_UNAVAILABLE, FailureClass.TRANSIENT),
        (OAuthReason.THROTTLED, FailureClass.THROTTLED),
        # Granted by an administrator, it takes hours to arrive.
        (OAuthReason.DELEGATION_MISSING, FailureClass.PERMANENT),
        # A clock is set right without anybody touching a Secret.
        (OAuthReason.ASSERTION_INVALID, FailureClass.CONFIGURATION),
    ],
)
async def test_a_token_that_may_still_come_is_waited_for(
    reason: OAuthReason, kind: FailureClass
) -> None:
    assert await tokens(reason, kind).shown(ACCOUNT) == WAITING


def test_what_is_not_sent_again_is_final() -> None:
    # A lock ends, so that its credentials are sent again.
    assert {Reason.ACCOUNT_LOCKED} == REFUSALS - FINAL_REFUSALS


STEPS = st.sampled_from(
    ["refuse", "accept", "busy", "away", "secret", "edit", "request", "restart", "wait"]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, max_size=14), st.sampled_from([SERVER, ACCOUNT]))
def test_whatever_happens_only_refused_credentials_stall(steps: list[str], key: Key) -> None:
    asyncio.run(_lives(steps, key))


async def _lives(steps: list[str], key: Key) -> None:
    world, version = Signing(), 1
    refused_version: set[int] = set()
    for step in steps:
        world.probes.away = None
        match step:
            case "refuse" | "accept" | "busy":
                answers = {"refuse": {"bad": REFUSED}, "accept": {}, "busy": {"bad": BUSY}}
                world.probes.refuses = answers[step]
            case "away":
                world.probes.away = replace(BUSY, stage=ProbeStage.CONNECT)
            case "secret":
                version += 1
                world.put("bad", str(version))
            case "edit":
                spec = world.objects[key]["spec"]
                world.add(key, **{**spec, "suspend": False})
            case "request":
                metadata = world.objects[key]["metadata"]
                metadata["annotations"] = {REQUESTED_AT_ANNOTATIONS[0]: str(world.time)}
            case "restart":
                world._memories.clear()
        sent = len(world.probes.dialled)
        shown = await world.shown(key, ATTEMPTS_APART if step == "wait" else 6 * MINUTE)
        tried = any(each.login for each in world.probes.dialled[sent:])
        if tried and world.probes.refuses.get("bad") is REFUSED and world.probes.away is None:
            refused_version.add(version)
        if shown == STALLED:
            assert version in refused_version, "only what these credentials have met stalls"
        never_ready = (world.objects[key]["status"] or {}).get("lastReadyTime") is None
        if tried and never_ready and version in refused_version and step == "refuse":
            assert shown == STALLED, "a sure refusal of what never worked stalls at once"
        if step == "accept" and tried:
            assert shown == WELL


OF_SIGN_IN = ConditionType.SMTP_AUTHENTICATED
REFUSAL = failed(OF_SIGN_IN, Reason.AUTHENTICATION_REJECTED, "No.")
AGAIN = Evidence(repeated=frozenset({OF_SIGN_IN}))


@pytest.mark.parametrize(
    ("verdict", "changes", "once_ready", "expected"),
    [
        (REFUSAL, {}, False, True),
        (REFUSAL, {}, True, False),
        (REFUSAL, {"evidence": AGAIN}, True, True),
        (REFUSAL, {"advisory": frozenset({OF_SIGN_IN})}, False, False),
        (failed(OF_SIGN_IN, Reason.TEMPORARY_FAILURE, "No."), {}, False, False),
        (unknown(OF_SIGN_IN, Reason.AUTHENTICATION_REJECTED, "Is it?"), {}, False, False),
        # What only an edit mends is final whatever had worked, if it is a failure.
        (failed(ConditionType.TARGET_ALLOWED, Reason.PORT_DENIED, "No."), {}, True, True),
        (unknown(ConditionType.TARGET_ALLOWED, Reason.PORT_DENIED, "Is it?"), {}, True, False),
        # A refusal of something else than a sign-in is none.
        (failed(BAD.type, Reason.AUTHENTICATION_REJECTED, "No."), {}, False, False),
        (failed(BAD.type, Reason.AUTHENTICATION_REJECTED, "No."), {"evidence": AGAIN}, True, False),
    ],
)
def test_which_failures_are_final(
    verdict: Verdict, changes: dict[str, Any], once_ready: bool, expected: bool
) -> None:
    assert assessment(verdict, **changes).is_final(verdict, once_ready=once_ready) is expected


LAGGING = Evidence(lagging=frozenset({BLIND.type}))


@pytest.mark.parametrize(
    ("verdicts", "changes", "expected"),
    [
        ((), {}, True),
        ((GOOD,), {}, True),
        ((BAD,), {}, True),
        ((GOOD, BLIND), {}, False),
        ((BLIND,), {"evidence": LAGGING}, True),
        ((BLIND,), {"advisory": frozenset({BLIND.type})}, True),
        ((BLIND,), {"advisory": frozenset({OF_SIGN_IN})}, False),
        (
            (BLIND, unknown(OF_SIGN_IN, Reason.CONNECTION_TIMEOUT, "?")),
            {"evidence": LAGGING},
            False,
        ),
    ],
)
def test_what_could_be_looked_at(
    verdicts: tuple[Verdict, ...], changes: dict[str, Any], expected: bool
) -> None:
    assert assessment(*verdicts, **changes).conclusive is expected


def test_an_assessment_keeps_the_pace_of_its_interval_unless_it_says_so() -> None:
    assert not assessment().own_pace


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        (BAD, Reason.AWAITING_DNS),
        (BLIND, Reason.PROGRESSING_WITH_RETRY),
        (unknown(BLIND.type, Reason.RESOLVERS_DISAGREE, "Not yet."), Reason.AWAITING_DNS),
        (
            failed(ConditionType.REFERENCES_RESOLVED, Reason.SECRET_NOT_FOUND, "No."),
            Reason.AWAITING_DEPENDENCY,
        ),
        (
            failed(ConditionType.DEPENDENCIES_READY, Reason.LOOKUP_FAILED, "No."),
            Reason.AWAITING_DEPENDENCY,
        ),
        (REFUSAL, Reason.AWAITING_DEPENDENCY),
        (failed(OF_SIGN_IN, Reason.TEMPORARY_FAILURE, "No."), Reason.PROGRESSING_WITH_RETRY),
    ],
)
def test_what_is_waited_for(verdict: Verdict, expected: Reason) -> None:
    assert awaited(verdict) is expected


def test_the_worst_findings_come_first_and_keep_their_order() -> None:
    def told(severity: Severity, subject: int) -> Finding:
        return Finding(code="SPF_MULTIPLE", severity=severity, subject=str(subject), message="x")

    mixed = tuple(
        told(severity, subject)
        for subject in range(FINDINGS_LIMIT)
        for severity in reversed(Severity)
    )
    ordered = worst_first(mixed)
    assert ordered == [told(Severity.ERROR, subject) for subject in range(FINDINGS_LIMIT)]
    few = worst_first(mixed[:6])
    assert [finding.severity for finding in few] == [each for each in Severity for _ in range(2)]
    assert [finding.subject for finding in few] == ["0", "1"] * 3


def _about(observed: int, *verdicts: Verdict) -> AnyResource:
    """A stored domain of generation 300 whose status observed another one, or that one."""
    conditions = place(verdicts, (), observed, timestamp(NOW))
    # As JSON has it: an equal number, and another object.
    status = SendingDomainStatus(observed_generation=int(str(observed)), conditions=conditions)
    return resource(status, generation=300)


READY = Verdict(
    type=ConditionType.READY, status=ConditionStatus.TRUE, reason=Reason.SUCCEEDED, message="Well."
)


@pytest.mark.parametrize("observed", [1, 299, 301])
def test_a_verdict_on_another_generation_is_none(observed: int) -> None:
    assert readiness(_about(observed, READY)) is ConditionStatus.UNKNOWN


@pytest.mark.parametrize("status", ConditionStatus)
def test_what_is_stored_of_this_generation_counts(status: ConditionStatus) -> None:
    assert readiness(_about(300, READY.model_copy(update={"status": status}), GOOD)) is status


def test_what_is_not_there_or_was_not_looked_at_is_unknown() -> None:
    assert readiness(None) is ConditionStatus.UNKNOWN
    assert readiness(_about(300, GOOD)) is ConditionStatus.UNKNOWN
