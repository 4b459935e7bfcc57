# SPDX-License-Identifier: Apache-2.0
"""Limits of an account that do not hold as they are written, and its plan in status.

Covers: findings, whose fixes make them go; a status that is the same on every day; when the account
connected; what a missing server leaves.
"""

from __future__ import annotations

import copy
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import given

from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Key, Kind
from postroom.api.resource import parse_spec
from postroom.api.send_limits import (
    LimitSource,
    SendLimits,
    SendPlan,
)
from postroom.reconcile.account.send_limits import findings_of
from postroom.reconcile.tenancy.ceilings import Limits
from postroom.reconcile.tenancy.send_plan import plan
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, SERVER, MailWorld
from unit.reconcile.send_plans import (
    LIMITS,
    OFFICE,
    cases,
    limits,
)

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "send-limits.md").read_text()


def told(found: tuple[SendLimits, Limits]) -> list[tuple[str, str]]:
    return [
        (finding.code.removeprefix("SEND_"), finding.subject) for finding in findings_of(*found)
    ]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (({"daily": 50}, {"daily": 50}), []),
        (({"daily": 51}, {"daily": 50}), [("LIMIT_ABOVE_SERVER", "sendLimits.daily")]),
        (({"hourly": 51}, {"hourly": 50}), [("LIMIT_ABOVE_SERVER", "sendLimits.hourly")]),
        (({"daily": 501}, {}, "Yahoo"), [("LIMIT_ABOVE_PROVIDER", "sendLimits.daily")]),
        (({"daily": 501}, {}, "Yandex"), [("LIMIT_ABOVE_PROVIDER", "sendLimits.daily")]),
        (({"daily": 500}, {}, "Yahoo"), []),
        (({"hourly": 1801}, {}, "Microsoft365"), [("LIMIT_ABOVE_PROVIDER", "sendLimits.hourly")]),
        (({"daily": 301}, {}, "Brevo"), [("LIMIT_NEEDS_PLAN", "sendLimits.daily")]),
        (({"daily": 101}, {}, "Resend"), [("LIMIT_NEEDS_PLAN", "sendLimits.daily")]),
        (({"daily": 101}, {"daily": 5000}, "Resend"), []),
        (
            ({"daily": 900}, {"daily": 600}, "Yahoo"),
            [
                ("LIMIT_ABOVE_SERVER", "sendLimits.daily"),
                ("LIMIT_ABOVE_PROVIDER", "sendLimits.daily"),
            ],
        ),
        (
            ({"daily": 50, "hourly": 5, "window": OFFICE},),
            [("WINDOW_TOO_SHORT", "sendLimits.daily")],
        ),
        (({"daily": 500, "hourly": 20},), [("WINDOW_TOO_SHORT", "sendLimits.daily")]),
        (({"daily": 40, "hourly": 5, "window": OFFICE},), []),
        # Nobody asked for all that the server would take.
        (({"hourly": 5, "window": OFFICE}, {"daily": 2000}), []),
        (
            ({"daily": 9, "rampUp": {"startDaily": 9, "dailyIncrease": 1}},),
            [("RAMP_UP_IDLE", "sendLimits.rampUp")],
        ),
        (({"daily": 9, "rampUp": {"startDaily": 8, "dailyIncrease": 1}},), []),
    ],
)
def test_findings(arguments: tuple[Any, ...], expected: list[tuple[str, str]]) -> None:
    assert told(limits(*arguments)) == expected


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ({"daily": 900}, {"daily": 600}),
            "spec.sendLimits.daily is 900, but spec.limits.daily of the MailServer is 600, and "
            "holds: lower it to 600, or raise the server's limit if its provider allows more.",
        ),
        (
            ({"daily": 900}, {}, "Yahoo"),
            "spec.sendLimits.daily is 900, but Yahoo Mail documents 500 a day for an account, and "
            "that holds: lower it to 500.",
        ),
        (
            ({"daily": 900}, {}, "Resend"),
            "spec.sendLimits.daily is 900, and Resend documents 100 a day for an account without a "
            "plan. If that is this one, lower it to 100; if more was granted, say how much in "
            "spec.limits.daily of the MailServer that the account sends through (where there is "
            "none, create it and name it in spec.serverRef).",
        ),
        (
            ({"daily": 50, "hourly": 5, "window": OFFICE},),
            "Of 50 messages a day 40 fit into the window, at 5 an hour: lower "
            "spec.sendLimits.daily to 40, allow more an hour, or open the window longer.",
        ),
    ],
)
def test_sentences(arguments: tuple[Any, ...], sentence: str) -> None:
    assert [finding.message for finding in findings_of(*limits(*arguments))] == [sentence]


@given(cases())
def test_the_plan_is_what_the_findings_advise(case: tuple[SendLimits, Limits, SendPlan]) -> None:
    """Who lowers the limits to those of the plan changes no number, and hears no more of them."""
    asked, limited, made = case
    update = {
        kind: number
        for kind, number in (("daily", made.daily), ("hourly", made.hourly))
        if getattr(asked, kind) is not None
    }
    lowered = asked.model_copy(update=update)
    anew = Limits(
        *(
            type(each)(each.kind, update.get(each.kind), each.server, each.documented, "")
            for each in (limited.daily, limited.hourly)
        ),
        limited.connections,
    )
    after = plan(lowered, anew)
    assert after is not None
    assert (after.daily, after.hourly, after.hours) == (made.daily, made.hourly, made.hours)
    codes = {finding.code for finding in findings_of(lowered, anew)}
    assert codes <= {"RAMP_UP_IDLE", "SEND_LIMIT_NEEDS_PLAN"}


# In status.


class Mail(MailWorld):
    """A server without a password, and an account behind it."""

    def __init__(self, server: dict[str, Any] | None = None, **spec: Any) -> None:
        super().__init__()
        self.add(SERVER, host="smtp.example.com", **(server or {}))
        self.spec = {"address": "support@example.com", "serverRef": {"name": "smtp"}, **spec}
        self.add(ACCOUNT, **self.spec)

    async def account(self, wait: timedelta = timedelta(minutes=5)) -> EmailAccountStatus:
        return cast("EmailAccountStatus", await self.look(ACCOUNT, wait))


async def test_status_shows_the_plan_and_since_when_the_account_could_send() -> None:
    world = Mail({"limits": {"daily": 40}}, sendLimits=LIMITS)
    before = await world.account()
    assert before.connected_at is None
    assert before.send_plan is not None
    await world.look(SERVER)
    status = await world.account()
    assert status.effective_sender is not None
    assert status.effective_sender.address == "support@example.com"
    since = status.connected_at
    assert since is not None
    assert status.send_plan is not None
    assert (status.send_plan.daily, status.send_plan.daily_from) == (40, LimitSource.MAIL_SERVER)
    assert [finding.code for finding in status.findings] == ["SEND_LIMIT_ABOVE_SERVER"]
    # What comes later does not move it: an edit, a server that is gone and back.
    world.add(ACCOUNT, **{**world.spec, "sendLimits": {"daily": 5}})
    gone = world.objects.pop(SERVER)
    without = await world.account()
    assert (without.connected_at, without.send_plan) == (since, None)
    world.objects[SERVER] = gone
    back = await world.account()
    assert back.connected_at == since
    assert back.send_plan is not None
    assert back.send_plan.daily == 5


async def test_at_rest_no_byte_of_the_status_changes_from_one_day_to_the_next() -> None:
    world = Mail({"limits": {"daily": 40}}, sendLimits=LIMITS)
    await world.look(SERVER)
    await world.account()
    times = {"lastCheckTime": "", "lastReadyTime": ""}
    stored = copy.deepcopy(world.objects[ACCOUNT]["status"])
    for _ in range(30):
        await world.look(SERVER, timedelta(hours=12))
        await world.account(timedelta(hours=12))
        now = copy.deepcopy(world.objects[ACCOUNT]["status"])
        assert {**now, **times} == {**stored, **times}


async def test_an_account_without_limits_has_no_plan_and_no_finding() -> None:
    world = Mail()
    await world.look(SERVER)
    status = await world.account()
    assert (status.send_plan, status.findings) == (None, [])


async def test_what_an_account_lacks_its_server_gives() -> None:
    status = await Mail({"limits": {"daily": 40, "connections": 2}}).account()
    assert status.send_plan is not None
    assert (status.send_plan.daily, status.send_plan.connections) == (40, 2)


async def test_a_provider_without_a_server_is_the_ceiling() -> None:
    world = Mail()
    world.add_secret("mailbox", username="support@example.com", password="p" * 16)
    key = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, "desk")
    world.add(
        key,
        address="desk@gmail.com",
        provider="Gmail",
        credentialsRef={"name": "mailbox"},
        sendLimits={"daily": 600},
    )
    status = cast("EmailAccountStatus", await world.look(key))
    assert status.send_plan is not None
    assert (status.send_plan.daily, status.send_plan.daily_from) == (500, LimitSource.PROVIDER)
    assert "SEND_LIMIT_ABOVE_PROVIDER" in [finding.code for finding in status.findings]


def test_identities_have_no_limits_of_their_own() -> None:
    spec = {
        "address": "support@example.com",
        "identities": [{"address": "b@example.com", "sendLimits": {"daily": 3}}],
    }
    with pytest.raises(ValueError, match="is not a field of this kind"):
        parse_spec(Kind.EMAIL_ACCOUNT, spec)


async def test_the_example_of_the_page_is_what_comes_of_it() -> None:
    written, shown = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    server, support = yaml.load_all(written, Loader=yaml.CSafeLoader)
    world = MailWorld()
    server_key = Key(Kind.MAIL_SERVER, NAMESPACE, server["metadata"]["name"])
    account_key = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, support["metadata"]["name"])
    world.add(server_key, **server["spec"])
    world.add(account_key, **support["spec"])
    await world.look(server_key)
    status = cast("EmailAccountStatus", await world.look(account_key))
    expected = yaml.load(shown, Loader=yaml.CSafeLoader)["status"]
    stored = world.objects[account_key]["status"]
    assert {key: stored[key] for key in expected} == expected
    assert status.findings == []
