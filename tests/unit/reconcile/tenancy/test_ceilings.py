# SPDX-License-Identifier: Apache-2.0
"""What limits an account: the least of what it, its server and its provider say, and whose."""

from __future__ import annotations

from typing import Any, cast

import pytest

from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.mailserver import MailServerSpec
from postroom.api.names import Kind
from postroom.api.resource import parse_spec
from postroom.api.send_limits import LimitSource, SendLimits, ServerLimits
from postroom.mail.presets.sending import SendingLimit
from postroom.reconcile.tenancy.ceilings import Limited, documented, limits_behind, limits_of

OWN, SERVER, PROVIDER, _ = LimitSource


def account(**spec: Any) -> EmailAccountSpec:
    whole = {"address": "support@example.com", **spec}
    return cast("EmailAccountSpec", parse_spec(Kind.EMAIL_ACCOUNT, whole))


def server(**spec: Any) -> MailServerSpec:
    return cast("MailServerSpec", parse_spec(Kind.MAIL_SERVER, spec))


GMAIL = documented(server(provider="Gmail"))
RESEND = documented(server(provider="Resend"))


def limited(
    own: int | None, server: int | None, provider: int | None, *, raisable: bool = False
) -> Limited:
    known = None
    if provider is not None and GMAIL.daily is not None and RESEND.daily is not None:
        limit = (RESEND if raisable else GMAIL).daily.limit
        known = SendingLimit(provider, limit)
    return Limited("daily", own, server, known, "Gmail")


@pytest.mark.parametrize(
    ("numbers", "least", "ceiling"),
    [
        ((None, None, None), (None, None), None),
        ((9, None, None), (9, OWN), None),
        ((None, 9, None), (9, SERVER), 9),
        ((None, None, 9), (9, PROVIDER), 9),
        ((9, 8, 7), (7, PROVIDER), 7),
        ((9, 7, 8), (7, SERVER), 7),
        ((7, 8, 9), (7, OWN), 8),
        # Among equals the account's own, then the server's.
        ((9, 9, 9), (9, OWN), 9),
        ((None, 9, 9), (9, SERVER), 9),
    ],
)
def test_the_least_holds(
    numbers: tuple[int | None, int | None, int | None],
    least: tuple[int | None, LimitSource | None],
    ceiling: int | None,
) -> None:
    found = limited(*numbers)
    assert (found.least, found.ceiling) == (least, ceiling)


def test_what_a_plan_raises_is_no_ceiling_but_is_still_documented() -> None:
    found = limited(900, None, 100, raisable=True)
    assert (found.firm, found.ceiling, found.least) == (None, None, (900, OWN))
    assert found.documentation == "Gmail documents 100 a day for an account without a plan"


def test_the_unit_follows_the_kind() -> None:
    hourly = documented(server(provider="Microsoft365"))
    found = limits_of(SendLimits(), ServerLimits(), hourly)
    assert found.hourly.documentation == "Microsoft 365 documents 1800 an hour for a mailbox"
    assert found.daily.documentation == "Microsoft 365 documents 10000 a day for a mailbox"
    assert limited(None, 9, None).documentation == ""


@pytest.mark.parametrize(
    ("behind", "connections"), [({}, 3), ({"connections": 2}, 2), ({"connections": 9}, 3)]
)
def test_connections_are_the_fewest(behind: dict[str, int], connections: int) -> None:
    known = documented(server(provider="Microsoft365"))
    assert limits_of(SendLimits(), ServerLimits(**behind), known).connections == connections
    assert limits_of(SendLimits(), ServerLimits()).connections is None


def test_behind_a_server_its_provider_counts_and_without_one_the_accounts_own() -> None:
    own = account(
        address="desk@gmail.com",
        provider="Gmail",
        credentialsRef={"name": "mailbox"},
        sendLimits={"daily": 600},
    )
    found = limits_behind(own, None)
    assert (found.daily.own, found.daily.server, found.daily.firm) == (600, None, 500)
    relay = server(provider="Microsoft365", limits={"daily": 40})
    found = limits_behind(account(), relay)
    assert (found.daily.own, found.daily.server, found.daily.firm) == (None, 40, 10000)


def test_of_a_server_that_no_provider_runs_nothing_is_documented() -> None:
    found = documented(server(host="smtp.example.com"))
    assert (found.daily, found.hourly, found.connections) == (None, None, None)
