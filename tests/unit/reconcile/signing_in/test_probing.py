# SPDX-License-Identifier: Apache-2.0
"""What is sent, and how often, as accounts are looked at again and again, through the engine.

Covers: refused credentials over time, after a change, on request, and through restarts of the
operator; servers that ask to be left alone; waits of the token endpoint; the host's cooldown; and
that status stays the same meanwhile.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postroom.api.conditions import ConditionType
from postroom.api.mailserver import ProbeStage, TLSFacts
from postroom.api.names import REQUESTED_AT_ANNOTATIONS, Key, Kind
from postroom.api.reasons import CATALOGUE, Reason
from postroom.api.resource import InvalidSpec, parse_spec
from postroom.controller.writer import differs
from postroom.mail.oauth.answers import TokenFailure
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.replies.model import FailureClass
from postroom.mail.report import ProbeReport
from postroom.reconcile.engine import Policy, reconcile
from postroom.reconcile.signing_in import retrying
from postroom.reconcile.status.outcome import Memory
from unit.reconcile.mail_worlds import (
    ACCOUNT,
    AT_ONCE,
    REFUSED,
    SERVER,
    WELL,
    MailWorld,
    message,
    verdict,
)

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
IN, READY = ConditionType.SMTP_AUTHENTICATED, ConditionType.READY
BUSY = ProbeReport(ProbeStage.AUTH, Reason.TEMPORARY_FAILURE, "Try later.", conclusive=False)
COOLING = ProbeReport(
    ProbeStage.AUTH,
    Reason.HOST_AUTH_COOLDOWN,
    "Pauses.",
    conclusive=False,
    retry_after=7 * MINUTE,
)


def world_with(says: ProbeReport, **spec: Any) -> MailWorld:
    """An account whose password "old" is answered so; all others are good."""
    world = MailWorld()
    world.add_secret("login", username="support@gmail.com", password="old")
    credentials = {"name": "login"}
    world.add(
        ACCOUNT, address="support@gmail.com", provider="Gmail", credentialsRef=credentials, **spec
    )
    world.probes.refuses = {"old": says}
    return world


def sent(world: MailWorld) -> int:
    """How often credentials were sent since the last call."""
    count = sum(one.login is not None for one in world.probes.dialled)
    world.probes.dialled.clear()
    return count


def ask(world: MailWorld, token: str) -> None:
    metadata = world.objects[ACCOUNT]["metadata"]
    metadata["annotations"] = {REQUESTED_AT_ANNOTATIONS[0]: token}


def restart(world: MailWorld) -> None:
    world._memories.clear()


async def looks(world: MailWorld, count: int, apart: timedelta) -> int:
    for _ in range(count):
        await world.look(ACCOUNT, apart)
    return sent(world)


async def test_a_rejected_password_is_sent_twice_and_then_no_more() -> None:
    world = world_with(REFUSED)
    assert await looks(world, 6, 5 * MINUTE) == 1
    assert await looks(world, 1, 5 * MINUTE) == 1
    assert await looks(world, 200, HOUR) == 0
    status = await world.look(ACCOUNT)
    assert verdict(status, IN) == ("False", "AuthenticationRejected")
    remedy = CATALOGUE[Reason.AUTHENTICATION_REJECTED].remedy
    assert message(status, IN) == f"The mailbox is not open to it. {remedy} {retrying.SUSPENDED}"


async def test_new_credentials_are_sent_at_once() -> None:
    world = world_with(REFUSED)
    await looks(world, 3, HOUR)
    world.add_secret("login", version="2", username="support@gmail.com", password="new")
    assert verdict(await world.look(ACCOUNT), IN) == ("True", "AuthenticationSucceeded")


async def test_a_backend_that_refused_by_mistake_is_forgiven() -> None:
    world = world_with(REFUSED)
    await world.look(ACCOUNT)
    world.probes.refuses = {}
    assert verdict(await world.look(ACCOUNT, 29 * MINUTE), IN) == (
        "False",
        "AuthenticationRejected",
    )
    assert verdict(await world.look(ACCOUNT, MINUTE), READY) == ("True", "Succeeded")


EXPIRED = ProbeReport(
    ProbeStage.MAILBOX, Reason.ACCOUNT_DISABLED, "Renew it.", conclusive=True, authenticated=True
)


async def test_an_account_that_expired_and_is_renewed_needs_no_new_credentials() -> None:
    """The server takes the sign-in, and says then that the account has expired: the Secret stays
    as it is when the provider renews it."""
    world = world_with(EXPIRED, imap={})
    await looks(world, 40, 15 * MINUTE)
    status = await world.look(ACCOUNT)
    assert verdict(status, ConditionType.IMAP_AUTHENTICATED) == ("True", "AuthenticationSucceeded")
    assert verdict(status, ConditionType.IMAP_AVAILABLE) == ("False", "AccountDisabled")
    assert retrying.SUSPENDED not in message(status, ConditionType.IMAP_AVAILABLE)
    world.probes.refuses = {}
    assert verdict(await world.look(ACCOUNT, 15 * MINUTE), READY)[0] == "True"


GONE = ProbeReport(ProbeStage.AUTH, Reason.PROBE_INCONCLUSIVE, "Gone.", conclusive=False)


async def test_an_attempt_that_was_broken_off_counts_as_sent() -> None:
    world = world_with(REFUSED)
    await looks(world, 1, MINUTE)
    world.probes.refuses = {"old": GONE}
    assert await looks(world, 1, 30 * MINUTE) == 1
    world.probes.refuses = {"old": REFUSED}
    assert await looks(world, 5, 5 * MINUTE) == 0
    assert await looks(world, 1, 5 * MINUTE) == 1
    assert await looks(world, 9, HOUR) == 0


async def test_a_cooldown_uses_up_no_attempt() -> None:
    world = world_with(replace(REFUSED, tls=WELL.tls))
    await looks(world, 1, MINUTE)
    world.probes.refuses = {"old": COOLING}
    status = await world.look(ACCOUNT, 30 * MINUTE)
    assert verdict(status, IN) == ("False", "AuthenticationRejected")
    world.probes.refuses = {}
    status = await world.look(ACCOUNT, 8 * MINUTE)
    assert verdict(status, IN) == ("True", "AuthenticationSucceeded")


async def test_restarts_do_not_send_what_was_rejected() -> None:
    world = world_with(REFUSED)
    assert await looks(world, 1, MINUTE) == 1
    count = 0
    for _ in range(20):
        restart(world)
        count += await looks(world, 3, 8 * MINUTE)
    assert count == 0


async def test_the_number_of_attempts_holds_through_restarts() -> None:
    world = world_with(REFUSED)
    await looks(world, 1, MINUTE)
    count = 0
    for _ in range(10):
        restart(world)
        count += await looks(world, 8, 30 * MINUTE)
    assert count == 1


@pytest.mark.parametrize(("unclear", "sent_again"), [(False, 0), (True, 1)])
async def test_what_nobody_understood_is_tried_a_day_after_a_restart(
    unclear: bool, sent_again: int
) -> None:
    world = world_with(replace(REFUSED, unclear=unclear))
    assert await looks(world, 3, HOUR) == 2
    restart(world)
    assert await looks(world, 20, HOUR) == 0
    assert await looks(world, 8, HOUR) == sent_again


@pytest.mark.parametrize("reason", [Reason.AUTHENTICATION_REJECTED, Reason.ACCOUNT_DISABLED])
@pytest.mark.parametrize("wrong", ["It says no.", "It says no:"])
@pytest.mark.parametrize("fix", ["", "mend it: now. Or not."])
@pytest.mark.parametrize("unclear", [False, True])
async def test_a_restart_changes_no_status(
    wrong: str, fix: str, reason: Reason, unclear: bool
) -> None:
    world = world_with(replace(REFUSED, wrong=wrong, fix=fix, reason=reason, unclear=unclear))
    for minutes in (1, 30, 30):
        before = await world.look(ACCOUNT, minutes * MINUTE)
        restart(world)
        after = await world.look(ACCOUNT, timedelta(seconds=20))
        lasting = {"last_check_time"}
        assert after.model_dump(exclude=lasting) == before.model_dump(exclude=lasting)


async def test_credentials_that_changed_while_nobody_ran_are_sent() -> None:
    world = world_with(REFUSED)
    await looks(world, 3, HOUR)
    restart(world)
    world.add_secret("login", version="2", username="support@gmail.com", password="new")
    assert verdict(await world.look(ACCOUNT), IN) == ("True", "AuthenticationSucceeded")


async def test_who_asks_is_answered_once() -> None:
    world = world_with(REFUSED)
    await looks(world, 3, HOUR)
    ask(world, "a")
    assert await looks(world, 3, MINUTE) == 1
    ask(world, "b")
    status = await world.look(ACCOUNT, MINUTE)
    assert retrying.DECLINED in message(status, IN)
    assert status.last_handled_reconcile_at == "b"
    assert await looks(world, 20, MINUTE) == 0
    ask(world, "c")
    assert await looks(world, 20, MINUTE) == 1
    restart(world)
    assert await looks(world, 3, MINUTE) == 0
    ask(world, "d")
    assert await looks(world, 3, MINUTE) == 1


async def test_a_server_that_asks_for_it_is_left_alone() -> None:
    world = world_with(BUSY)
    await world.look(ACCOUNT)
    world.probes.dialled.clear()
    await looks(world, 14, MINUTE)
    assert world.probes.dialled == []
    assert await looks(world, 1, MINUTE) == 1
    assert await looks(world, 29, MINUTE) == 0
    assert await looks(world, 1, MINUTE) == 1


async def test_a_server_that_answered_in_between_is_believed_anew() -> None:
    world = world_with(BUSY)
    for _ in range(3):
        assert await looks(world, 1, HOUR) == 1
        world.probes.refuses = {}
        assert await looks(world, 1, 15 * MINUTE) == 1
        world.probes.refuses = {"old": BUSY}


async def test_a_hint_of_the_server_outlasts_requests_and_changes() -> None:
    world = world_with(replace(BUSY, retry_after=2 * HOUR))
    await looks(world, 1, MINUTE)
    ask(world, "a")
    world.add_secret("login", version="2", username="support@gmail.com", password="new")
    assert await looks(world, 119, MINUTE) == 0
    assert verdict(await world.look(ACCOUNT, MINUTE), READY) == ("True", "Succeeded")


async def test_a_pause_takes_nothing_from_what_was_verified() -> None:
    world = world_with(BUSY)
    world.probes.refuses = {}
    await world.look(ACCOUNT)
    world.probes.refuses = {"old": BUSY}
    seen = [verdict(await world.look(ACCOUNT, MINUTE), READY) for _ in range(40)]
    assert set(seen) == {("True", "Succeeded")}


@pytest.mark.parametrize("verified", [True, False])
async def test_a_cooldown_of_the_host(verified: bool) -> None:
    world = world_with(COOLING)
    if verified:
        world.probes.refuses = {}
        await world.look(ACCOUNT)
        world.probes.refuses = {"old": COOLING}
    status = await world.look(ACCOUNT)
    expected = ("True", "AuthenticationSucceeded") if verified else ("Unknown", "HostAuthCooldown")
    assert verdict(status, IN) == expected
    assert verdict(status, ConditionType.SMTP_AVAILABLE) == ("True", "ProbeSucceeded")


async def next_look(world: MailWorld, memory: Memory, policy: Policy = AT_ONCE) -> timedelta:
    outcome = await reconcile(ACCOUNT.kind, world.objects[ACCOUNT], world, memory, policy)
    assert outcome.status is not None and outcome.next_check is not None
    stored = outcome.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    world.objects[ACCOUNT]["status"] = stored
    return outcome.next_check


@pytest.mark.parametrize(
    ("says", "least", "most"),
    [
        (COOLING, 7 * MINUTE, 9 * MINUTE),
        (replace(BUSY, retry_after=20 * MINUTE), 20 * MINUTE, 25 * MINUTE),
        (BUSY, 15 * MINUTE, 19 * MINUTE),
        (REFUSED, 30 * MINUTE, 38 * MINUTE),
        (
            ProbeReport(ProbeStage.GREETING, Reason.PROBE_INCONCLUSIVE, "Gone.", conclusive=False),
            30 * timedelta(seconds=1),
            38 * timedelta(seconds=1),
        ),
    ],
)
async def test_when_to_look_again(says: ProbeReport, least: timedelta, most: timedelta) -> None:
    world = world_with(says, sync={"interval": "3h"}, progressDeadline="0s")
    assert least <= await next_look(world, Memory()) <= most


async def test_what_passes_is_looked_at_ever_less_often() -> None:
    world, memory = world_with(GONE, sync={"interval": "3h"}, progressDeadline="0s"), Memory()
    waits = []
    for _ in range(8):
        waits.append(await next_look(world, memory))
        world.time += waits[-1]
    assert waits == sorted(waits)
    assert waits[0] < MINUTE
    assert 15 * MINUTE <= waits[-1] < 19 * MINUTE


async def test_a_server_without_an_account_counts_its_attempts_too() -> None:
    world = MailWorld()
    world.add_secret("login", username="relay", password="old")
    world.add(SERVER, host="smtp.example.com", credentialsRef={"name": "login"})
    world.probes.refuses = {"old": REFUSED}
    for _ in range(20):
        restart(world)
        await world.look(SERVER, MINUTE)
    assert sent(world) == 1
    for _ in range(50):
        status = await world.look(SERVER, 10 * MINUTE)
    assert sent(world) == retrying.ATTEMPTS - 1
    assert message(status, IN).endswith(retrying.SUSPENDED)


SILENT = ProbeReport(ProbeStage.CONNECT, Reason.CONNECTION_TIMEOUT, "Silent.", conclusive=True)


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        (SILENT, ["Succeeded", "Succeeded", "ConnectionTimeout"]),
        (REFUSED, ["Succeeded", "AuthenticationRejected", "AuthenticationRejected"]),
    ],
)
async def test_what_may_pass_must_be_seen_twice(says: ProbeReport, expected: list[str]) -> None:
    world, memory = world_with(says), Memory()
    answers: list[dict[str, ProbeReport]] = [{}, {"old": says}, {"old": says}]
    seen = []
    for world.probes.refuses in answers:
        wait = await next_look(world, memory, Policy())
        seen.append(world.objects[ACCOUNT]["status"]["conditions"][0]["reason"])
        world.time += max(wait, MINUTE / 2)
    assert seen == expected


def throttled(seconds: float | None) -> TokenFailure:
    return TokenFailure(OAuthReason.THROTTLED, FailureClass.THROTTLED, "Later.", seconds)


OUTAGE = TokenFailure(OAuthReason.ENDPOINT_UNAVAILABLE, FailureClass.TRANSIENT, "Away.")


def world_with_token(says: TokenFailure) -> MailWorld:
    """An account of Gmail whose token endpoint answers so."""
    world = MailWorld()
    world.add_secret("oauth", refreshToken="r")
    reference = {"name": "oauth", "key": "refreshToken"}
    oauth = {"provider": "Google", "clientID": "gid", "refreshTokenRef": reference}
    common = {"sync": {"interval": "3h"}, "progressDeadline": "0s"}
    world.add(ACCOUNT, address="support@gmail.com", provider="Gmail", oauth=oauth, **common)
    world.scripted.script = [says]
    return world


@pytest.mark.parametrize(
    ("says", "least"),
    [
        (throttled(1200.0), 20 * MINUTE),
        (throttled(1e12), 160 * MINUTE),
        (throttled(None), 15 * MINUTE),
        (OUTAGE, timedelta(seconds=30)),
    ],
)
async def test_a_token_endpoint_is_asked_again_when_it_says(
    says: TokenFailure, least: timedelta
) -> None:
    world, memory = world_with_token(says), Memory()
    wait = await next_look(world, memory)
    assert least <= wait <= 1.25 * least
    assert memory.pauses == {}
    assert [one.login for one in world.probes.dialled] == [None]


async def test_an_outage_of_the_token_endpoint_is_never_a_rejection() -> None:
    world = world_with_token(OUTAGE)
    for _ in range(20):
        status = await world.look(ACCOUNT, 20 * MINUTE)
        assert verdict(status, IN) == ("Unknown", "OAuthEndpointUnavailable")
    assert len(world.scripted.asked) == 20


SAID = "5.7.8 canary is not accepted"


async def test_the_words_of_a_server_stand_in_one_place_and_outlive_a_restart() -> None:
    world = world_with(replace(REFUSED, code=535, server_text=SAID))
    first = await world.look(ACCOUNT)
    for again in range(3):
        if again == 1:
            restart(world)
        status = await world.look(ACCOUNT, 10 * MINUTE)
        assert status.last_probe is not None
        assert status.last_probe.smtp is not None
        assert status.last_probe.smtp.server_text == SAID
        assert status.last_probe == first.last_probe
    stored = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert stored.pop("lastProbe")["smtp"]["serverText"] == SAID
    assert "canary" not in str(stored)


async def test_a_repeated_refusal_with_the_same_words_writes_nothing() -> None:
    world = world_with(replace(BUSY, code=454, server_text=SAID))
    await looks(world, 2, HOUR)
    before = world.objects[ACCOUNT]["status"]
    for _ in range(3):
        await world.look(ACCOUNT, HOUR)
        assert not differs(before, world.objects[ACCOUNT]["status"])
    world.probes.refuses = {"old": replace(BUSY, code=454, server_text="others")}
    await world.look(ACCOUNT, DAY)
    assert differs(before, world.objects[ACCOUNT]["status"])


#: What a farm of servers says, each under its own name.
VARIED = (
    "4.7.0 refused (at mxalpha), the server alpha is busy",
    "4.7.0 refused (at mxbravo), the server charlie is busy",
    "4.7.0 refused (at first), the server second is busy",
    "4.7.0 refused, the server … is busy",
    "4.7.0 refused (at … east wing) the server is busy",
)


@pytest.mark.parametrize("key", [ACCOUNT, SERVER])
async def test_a_repeated_refusal_of_another_machine_writes_nothing(key: Key) -> None:
    world = world_with(replace(BUSY, code=454, server_text=VARIED[0]))
    world.add(SERVER, host="smtp.example.com", credentialsRef={"name": "login"})
    for _ in range(2):
        await world.look(key, HOUR)
    before = world.objects[key]["status"]
    assert "mxalpha" in str(before)
    for said in VARIED:
        world.probes.refuses = {"old": replace(BUSY, code=454, server_text=said)}
        await world.look(key, HOUR)
        assert not differs(before, world.objects[key]["status"])


@pytest.mark.parametrize(
    "other",
    [
        replace(BUSY, code=454, server_text="4.7.0 refused (at mxalpha), account disabled"),
        replace(BUSY, code=421, server_text="4.7.0 refused (at mxbravo), the server … is busy"),
        replace(BUSY, code=454, server_text=None),
        replace(BUSY, code=454, enhanced_code="4.7.1", server_text=VARIED[1]),
    ],
)
async def test_another_refusal_is_told_in_its_own_words(other: ProbeReport) -> None:
    world = world_with(replace(BUSY, code=454, server_text=VARIED[0]))
    await looks(world, 2, HOUR)
    world.probes.refuses = {"old": other}
    status = await world.look(ACCOUNT, HOUR)
    assert status.last_probe is not None
    assert status.last_probe.smtp is not None
    assert status.last_probe.smtp.server_text == other.server_text


async def test_what_was_said_to_other_credentials_does_not_stay() -> None:
    """Nobody has looked whether it holds what is secret of these."""
    world = world_with(replace(BUSY, code=454, server_text=VARIED[0]))
    await looks(world, 2, HOUR)
    world.add_secret("login", version="2", username="support@gmail.com", password="mxalpha")
    world.probes.refuses = {"mxalpha": replace(BUSY, code=454, server_text=VARIED[3])}
    status = await world.look(ACCOUNT, HOUR)
    assert status.last_probe is not None
    assert status.last_probe.smtp is not None
    assert status.last_probe.smtp.server_text == VARIED[3]


async def test_words_of_a_session_without_the_refused_login_are_not_told() -> None:
    """Only who has the password at hand can tell that a server repeats it."""
    world = world_with(REFUSED)
    await world.look(ACCOUNT)

    async def greets(*_: object) -> ProbeReport:
        return ProbeReport(
            ProbeStage.GREETING, Reason.SERVICE_UNAVAILABLE, "No.", True, server_text=SAID
        )

    world.probes.probe = greets  # type: ignore[method-assign]
    status = await world.look(ACCOUNT, MINUTE)
    assert status.last_probe is not None
    assert status.last_probe.smtp is not None
    assert (status.last_probe.smtp.stage.value, status.last_probe.smtp.server_text) == (
        "Greeting",
        None,
    )


async def test_a_refused_password_is_not_read_in_a_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The server knows it from the attempt before; this time it is not sent."""
    told = TLSFacts(subject="correct-Horse7", dns_names=["correct-horse7.test", "mx.test"])
    monkeypatch.setattr("unit.reconcile.mail_worlds.WELL", replace(WELL, tls=told))
    world = world_with(REFUSED, imap={})
    world.add_secret("login", username="support@gmail.com", password="correct-Horse7")
    world.probes.refuses = {"correct-Horse7": REFUSED}
    await world.look(ACCOUNT)
    assert sent(world) >= 1
    status = str(await world.look(ACCOUNT, 5 * MINUTE))
    assert sent(world) == 0
    assert "mx.test" in status
    assert "horse7" not in status.lower()


def reworded(world: MailWorld) -> None:
    """Let an upgrade have changed every sentence that is stored."""
    for condition in world.objects[SERVER]["status"]["conditions"]:
        condition["message"] = "It says this otherwise now."


async def test_how_often_credentials_were_refused_stands_in_a_field_and_in_no_sentence() -> None:
    world = MailWorld()
    world.add_secret("login", username="relay", password="old")
    world.add(SERVER, host="smtp.example.com", credentialsRef={"name": "login"})
    world.probes.refuses = {"old": REFUSED}
    for _ in range(12):
        status = await world.look(SERVER, 10 * MINUTE)
    assert (sent(world), status.last_probe.refusals) == (retrying.ATTEMPTS, retrying.ATTEMPTS)
    restart(world)
    reworded(world)
    for _ in range(50):
        status = await world.look(SERVER, 10 * MINUTE)
    assert (sent(world), status.last_probe.refusals) == (0, retrying.ATTEMPTS)


async def test_a_server_that_is_away_takes_nothing_from_the_count() -> None:
    world = MailWorld()
    world.add_secret("login", username="relay", password="old")
    world.add(SERVER, host="smtp.example.com", credentialsRef={"name": "login"})
    world.probes.refuses = {"old": REFUSED}
    for _ in range(12):
        await world.look(SERVER, 10 * MINUTE)
    world.probes.away = SILENT
    status = await world.look(SERVER, HOUR)
    assert status.last_probe.refusals == retrying.ATTEMPTS


async def test_other_credentials_begin_a_count_of_their_own() -> None:
    world = MailWorld()
    world.add_secret("login", username="relay", password="old")
    world.add(SERVER, host="smtp.example.com", credentialsRef={"name": "login"})
    world.probes.refuses = {"old": REFUSED, "other": REFUSED}
    for _ in range(12):
        await world.look(SERVER, 10 * MINUTE)
    world.add_secret("login", version="2", username="relay", password="other")
    assert (await world.look(SERVER, HOUR)).last_probe.refusals == 1


async def test_of_what_an_earlier_release_has_written_in_one_text_the_reason_counts() -> None:
    world = MailWorld()
    world.add_secret("login", username="relay", password="old")
    world.add(SERVER, host="smtp.example.com", credentialsRef={"name": "login"})
    world.probes.refuses = {"old": REFUSED}
    for _ in range(12):
        await world.look(SERVER, 10 * MINUTE)
    status = world.objects[SERVER]["status"]
    del status["lastProbe"]["refusals"]
    for found in status["findings"]:
        found.pop("summary", None)
    sent(world)
    restart(world)
    # How often they were sent nobody knows: once more, not sooner than half an hour later.
    told = await world.look(SERVER, 10 * MINUTE)
    assert CATALOGUE[Reason.AUTHENTICATION_REJECTED].meaning in message(told, IN)
    assert sent(world) == 0
    for _ in range(20):
        told = await world.look(SERVER, 10 * MINUTE)
    assert sent(world) == 1
    assert message(told, IN).count(retrying.SUSPENDED) == 1


KEYS = {"usernameKey": "user", "passwordKey": "pass"}


async def test_the_keys_of_a_secret_may_be_those_of_its_other_reader() -> None:
    world = MailWorld()
    world.add_secret("login", user="relay", **{"pass": "right"})
    world.add(SERVER, host="smtp.example.com", credentialsRef={"name": "login", **KEYS})
    status = await world.look(SERVER)
    assert verdict(status, IN) == ("True", "AuthenticationSucceeded")
    login = world.probes.dialled[-1].login
    assert login is not None
    assert (login.username, login.password.reveal()) == ("relay", "right")


async def test_a_key_that_is_not_there_is_named() -> None:
    world = MailWorld()
    world.add_secret("login", username="relay", password="right")
    world.add(SERVER, host="smtp.example.com", credentialsRef={"name": "login", **KEYS})
    status = await world.look(SERVER)
    told = message(status, ConditionType.REFERENCES_RESOLVED)
    assert told == "Secret login (spec.credentialsRef): key user is missing: add it."
    assert not world.probes.dialled


async def test_two_logins_of_one_secret_are_two_credentials() -> None:
    """What was refused under some keys is not held against others of the same Secret."""
    world = MailWorld()
    world.add_secret("login", user="relay", **{"pass": "old"}, other="right")
    reference = {"name": "login", **KEYS}
    world.add(SERVER, host="smtp.example.com", credentialsRef=reference)
    world.probes.refuses = {"old": REFUSED}
    assert verdict(await world.look(SERVER), IN) == ("False", "AuthenticationRejected")
    world.add(SERVER, host="smtp.example.com", credentialsRef={**reference, "passwordKey": "other"})
    assert verdict(await world.look(SERVER, MINUTE), IN) == ("True", "AuthenticationSucceeded")


@pytest.mark.parametrize(
    ("refused", "other"),
    [
        ({"usernameKey": "shared"}, {"passwordKey": "shared"}),
        ({"passwordKey": "shared"}, {"usernameKey": "shared"}),
    ],
)
async def test_a_key_in_another_place_is_another_credential(
    refused: dict[str, str], other: dict[str, str]
) -> None:
    world = MailWorld()
    world.add_secret("login", username="relay", password="one", shared="two")
    world.add(SERVER, host="smtp.example.com", credentialsRef={"name": "login", **refused})
    passwords = {"usernameKey": "one", "passwordKey": "two"}
    world.probes.refuses = {passwords[next(iter(refused))]: REFUSED}
    assert verdict(await world.look(SERVER), IN) == ("False", "AuthenticationRejected")
    world.add(SERVER, host="smtp.example.com", credentialsRef={"name": "login", **other})
    assert verdict(await world.look(SERVER, MINUTE), IN) == ("True", "AuthenticationSucceeded")


async def test_the_same_keys_written_out_are_the_same_credentials() -> None:
    """What was refused is not sent once more because the spec now names the keys."""
    world = MailWorld()
    world.add_secret("login", username="relay", password="old")
    world.add(SERVER, host="smtp.example.com", credentialsRef={"name": "login"})
    world.probes.refuses = {"old": REFUSED}
    await world.look(SERVER)
    assert sent(world) == 1
    named = {"name": "login", "usernameKey": "username", "passwordKey": "password"}
    world.add(SERVER, host="smtp.example.com", credentialsRef=named)
    status = await world.look(SERVER, MINUTE)
    assert verdict(status, IN) == ("False", "AuthenticationRejected")
    assert sent(world) == 0


@pytest.mark.parametrize("keys", [{"usernameKey": "password"}, {"passwordKey": "username"}])
def test_one_key_cannot_hold_both(keys: dict[str, str]) -> None:
    with pytest.raises(InvalidSpec, match="another key than that of the username"):
        parse_spec(
            Kind.MAIL_SERVER,
            {"host": "smtp.example.com", "credentialsRef": {"name": "login", **keys}},
        )
