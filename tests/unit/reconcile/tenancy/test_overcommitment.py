# SPDX-License-Identifier: Apache-2.0
"""The accounts behind a server against what the server may send.

Covers: sums of a day and of the same hour, whoever signs in as themselves, providers with and
without a plan, accounts that ask for nothing or are suspended; the sentences; that what a finding
advises makes it go.
"""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.mailserver import MailServerSpec, MailServerStatus
from postroom.api.names import API_VERSION, Key, Kind
from postroom.api.resource import EmailAccount, parse
from postroom.reconcile.tenancy.overcommitment import findings_of
from unit.reconcile.mail_worlds import NAMESPACE, SERVER, MailWorld

LOGIN = {"credentialsRef": {"name": "x"}}
MORNING = {"timeZone": "Europe/Berlin", "start": "08:00", "end": "12:00"}
LATE = {**MORNING, "start": "12:00", "end": "16:00"}
WEEKEND = {**MORNING, "days": ["Sat", "Sun"]}
WORKDAY = {**MORNING, "days": ["Mon"]}
ABROAD = {**MORNING, "timeZone": "America/New_York"}


def account(name: str, asked: dict[str, Any] | None = None, **spec: Any) -> EmailAccount:
    raw = {"address": f"{name}@example.com", "serverRef": {"name": "smtp"}, **spec}
    raw |= {"sendLimits": asked} if asked is not None else {}
    built = {"apiVersion": API_VERSION, "metadata": {"name": name, "namespace": "m"}, "spec": raw}
    return cast("EmailAccount", parse(Kind.EMAIL_ACCOUNT, built))


def server(**spec: Any) -> MailServerSpec:
    base: dict[str, Any] = {} if "provider" in spec else {"host": "smtp.example.com"}
    return MailServerSpec.model_validate({**base, **spec}, by_name=False, by_alias=True)


def told(spec: MailServerSpec, *asked: dict[str, Any] | None, **more: Any) -> list[tuple[str, str]]:
    accounts = [account(f"a{number}", each, **more) for number, each in enumerate(asked)]
    return [(finding.code, finding.subject) for finding in findings_of(spec, accounts, "m")]


SUM_DAILY = [("SEND_LIMITS_OVERCOMMITTED", "limits.daily")]
SUM_HOURLY = [("SEND_LIMITS_OVERCOMMITTED", "limits.hourly")]
SUM_LOGIN = [("SEND_LIMITS_OVERCOMMITTED", "credentialsRef")]
ABOVE = [("SEND_LIMIT_ABOVE_PROVIDER", "limits.daily")]


@pytest.mark.parametrize(
    ("spec", "asked", "expected"),
    [
        ({}, ({"daily": 9}, {"daily": 9}), []),
        ({"limits": {"daily": 18}}, ({"daily": 9}, {"daily": 9}), []),
        ({"limits": {"daily": 17}}, ({"daily": 9}, {"daily": 9}), SUM_DAILY),
        # Alone an account is only cut down, which it is told itself.
        ({"limits": {"daily": 5}}, ({"daily": 9},), []),
        ({"limits": {"daily": 5}}, (None,), []),
        ({"limits": {"daily": 5}}, (None, None), SUM_DAILY),
        ({"limits": {"daily": 5}}, (None, {"daily": 1}), SUM_DAILY),
        # Each is counted with what its plan leaves it.
        ({"limits": {"daily": 10}}, ({"daily": 1}, {"hourly": 1, "window": WORKDAY}), []),
        ({"limits": {"hourly": 9}}, ({"hourly": 5}, {"hourly": 5}), SUM_HOURLY),
        ({"limits": {"hourly": 10}}, ({"hourly": 5}, {"hourly": 5}), []),
        (
            {"limits": {"hourly": 9}},
            ({"hourly": 5, "window": MORNING}, {"hourly": 5, "window": LATE}),
            [],
        ),
        (
            {"limits": {"hourly": 9}},
            ({"hourly": 5, "window": MORNING}, {"hourly": 5, "window": MORNING}),
            SUM_HOURLY,
        ),
        (
            {"limits": {"hourly": 9}},
            ({"hourly": 5, "window": WORKDAY}, {"hourly": 5, "window": WEEKEND}),
            [],
        ),
        ({"limits": {"hourly": 9}}, ({"hourly": 5, "window": MORNING}, {"hourly": 5}), SUM_HOURLY),
        # Whether these coincide changes with the seasons.
        (
            {"limits": {"hourly": 9}},
            ({"hourly": 5, "window": MORNING}, {"hourly": 5, "window": ABROAD}),
            [],
        ),
        # One login, one mailbox at the provider.
        ({"provider": "Yahoo", **LOGIN}, ({"daily": 300}, {"daily": 300}), SUM_LOGIN),
        ({"provider": "Yahoo", **LOGIN}, ({"daily": 300}, {"daily": 200}), []),
        ({"provider": "Yahoo", **LOGIN}, (None, None, None), []),
        ({"provider": "Yahoo"}, ({"daily": 300}, {"daily": 300}), []),
        ({"provider": "Yahoo", **LOGIN, "limits": {"daily": 501}}, (), ABOVE),
        ({"provider": "Yahoo", **LOGIN, "limits": {"daily": 500}}, (), []),
        # A plan raises it, and the server says that there is one.
        ({"provider": "Resend", **LOGIN, "limits": {"daily": 50000}}, ({"daily": 900},), []),
        ({"provider": "Resend", **LOGIN}, ({"daily": 900}, {"daily": 900}), []),
    ],
)
def test_sums(
    spec: dict[str, Any],
    asked: tuple[dict[str, Any] | None, ...],
    expected: list[tuple[str, str]],
) -> None:
    assert told(server(**spec), *asked) == expected


def test_who_signs_in_as_themselves_has_a_mailbox_of_their_own() -> None:
    spec = server(provider="Yahoo", **LOGIN, limits={"daily": 1000})
    assert told(spec, {"daily": 500}, {"daily": 500}, **LOGIN) == []
    assert told(spec, {"daily": 500}, {"daily": 500}, {"daily": 1}, **LOGIN) == SUM_DAILY


def test_who_is_suspended_sends_nothing() -> None:
    spec = server(limits={"daily": 9})
    assert told(spec, {"daily": 9}, {"daily": 9}, suspend=True) == []


def test_the_largest_are_named() -> None:
    accounts = [account(f"a{number}", {"daily": number}) for number in range(1, 8)]
    (finding,) = findings_of(server(limits={"daily": 20}), accounts, "m")
    assert finding.message == (
        "The accounts behind this server may together send 28 a day (a7 7, a6 6, a5 5, a4 4, a3 3 "
        "and 2 more), but spec.limits.daily is 20: set spec.sendLimits.daily of them so that "
        "together it is at most 20, or raise spec.limits.daily if the provider allows more."
    )
    assert [finding] == list(findings_of(server(limits={"daily": 20}), accounts[::-1], "m"))


WINDOW = st.sampled_from([None, MORNING, LATE, WEEKEND, WORKDAY])
ASKED = st.fixed_dictionaries(
    {"daily": st.none() | st.integers(1, 50), "hourly": st.none() | st.integers(1, 9)},
    optional={"window": WINDOW},
)


@given(st.integers(1, 100), st.lists(ASKED, max_size=5), st.randoms())
def test_a_sum_within_the_limit_is_never_told_of_and_any_other_is(
    ceiling: int, asked: list[dict[str, Any]], random: Any
) -> None:
    shares = [{**each, "daily": max(ceiling // len(asked), 1)} for each in asked]
    if len(asked) <= ceiling:
        assert told(server(limits={"daily": ceiling}), *shares) == []
    over = [{"daily": ceiling}, {"daily": random.randint(1, ceiling)}, *asked]
    assert told(server(limits={"daily": ceiling}), *over) == SUM_DAILY


async def test_the_server_says_it_and_stays_ready() -> None:
    world = MailWorld()
    world.add(SERVER, host="smtp.example.com", limits={"daily": 10}, default=True)
    for name in ("one", "two"):
        key = Key(Kind.EMAIL_ACCOUNT, NAMESPACE, name)
        world.add(key, address=f"{name}@example.com", sendLimits={"daily": 6})
    status = cast("MailServerStatus", await world.look(SERVER))
    assert [finding.code for finding in status.findings] == ["SEND_LIMITS_OVERCOMMITTED"]
    assert (status.accounts, status.last_ready_generation) == (2, 1)


def test_an_account_of_another_namespace_counts_and_is_not_named() -> None:
    accounts = [account(f"a{number}", {"daily": 15}) for number in range(2)]
    (finding,) = findings_of(server(limits={"daily": 20}), accounts, "elsewhere")
    assert "together send 30 a day" in finding.message
    assert "a0" not in finding.message and "a1" not in finding.message
