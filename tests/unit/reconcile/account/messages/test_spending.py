# SPDX-License-Identifier: Apache-2.0
"""Which messages of a status count, and for whom they do."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import pytest

from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.api.names import Kind
from postroom.api.resource import EmailAccount, MailServer, parse
from postroom.mail.report import Endpoint, Login
from postroom.reconcile.account.messages.spending import learn, message_id, spender_of
from postroom.reconcile.signing_in.probing import SMTP, Attempt
from postroom.reconcile.signing_in.references import Credentials
from postroom.reconcile.tenancy.budgets import Budgets, Spender
from unit.reconcile.assessments import NOW

AT = "2026-11-21T11:5{}:00Z"
TO = "other@example.net"


def account(status: dict[str, Any] | None = None, **spec: Any) -> EmailAccount:
    metadata = {"name": "support", "namespace": "mail", "uid": "u-1"}
    whole = {"address": "support@example.com", **spec}
    raw = {"metadata": metadata, "spec": whole, "status": status}
    return cast("EmailAccount", parse(Kind.EMAIL_ACCOUNT, raw))


def server(namespace: str = "mail") -> MailServer:
    spec = {"host": "smtp.example.com", "credentialsRef": {"name": "relay"}}
    raw = {"metadata": {"name": "smtp", "namespace": namespace}, "spec": spec}
    return cast("MailServer", parse(Kind.MAIL_SERVER, raw))


def sender(signs_in: bool = True) -> Attempt:
    login = Credentials(Login("relay-user", Masked("p")), (), "v") if signs_in else None
    endpoint = Endpoint("smtp.example.com", 465, TLSMode.IMPLICIT, "", None, "mail")
    return Attempt(SMTP, endpoint, login, None)


OWN = {"credentialsRef": {"name": "own"}}
TOKEN = {
    "oauth": {
        "provider": "Google",
        "clientID": "id",
        "refreshTokenRef": {"name": "oauth", "key": "refreshToken"},
    }
}


@pytest.mark.parametrize(
    ("spec", "behind", "secret"),
    [
        ({}, None, None),
        (OWN, None, "own"),
        (OWN, server(), "own"),
        ({}, server(), "relay"),
        # An account with a token of its own signs in with no Secret of the server.
        (TOKEN, server(), None),
        # What a server of another namespace signs in with is not for this one to count.
        ({}, server("relays"), None),
    ],
)
def test_whose_secret_the_messages_count_for(
    spec: dict[str, Any], behind: MailServer | None, secret: str | None
) -> None:
    found = spender_of(account(**spec), behind)
    assert found == Spender("mail", "support", "support@example.com", secret, None)


def test_the_login_counts_once_it_is_known() -> None:
    assert spender_of(account(), None, sender()).login == ("relay-user", "smtp.example.com")
    assert spender_of(account(), None, sender(signs_in=False)).login is None


@dataclass
class Learned:
    """Stands for budgets, and keeps what it is told."""

    told: list[tuple[str, str]] = field(default_factory=list)

    def learn(
        self, spender: Spender, recipient: str, message: str, moment: datetime, now: datetime
    ) -> None:
        assert spender.name == "support"
        assert message == message_id("u-1", moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
        assert now == NOW
        self.told.append((message.removeprefix("u-1 "), recipient))


def result(outcome: str, minute: int) -> dict[str, Any]:
    return {
        "outcome": outcome,
        "time": AT.format(minute),
        "recipient": TO,
        "reason": "x",
        "message": "x",
    }


@pytest.mark.parametrize(
    ("outcome", "counts"),
    [
        ("Accepted", True),
        ("Delivered", True),
        ("DeliveredToSpam", True),
        ("NotDelivered", True),
        ("Unknown", True),
        ("Failed", False),
        ("Deferred", False),
    ],
)
def test_what_a_server_took_or_may_have_taken_counts(outcome: str, counts: bool) -> None:
    status = {
        "lastTest": {"nonce": "n", "result": result(outcome, 1)},
        "roundTrip": {
            "senders": [
                {
                    "address": "sales@example.com",
                    "outcome": outcome,
                    "time": AT.format(2),
                    "reason": "x",
                }
            ]
        },
    }
    book = Learned()
    learn(cast("Budgets", book), account(status), None, NOW)
    # A round trip of an identity goes to the account itself.
    assert book.told == (
        [(AT.format(1), TO), (AT.format(2), "support@example.com")] if counts else []
    )


def test_what_is_under_way_and_what_went_out_lately_counts() -> None:
    flight = {
        "step": "Sending",
        "token": "t",
        "time": AT.format(3),
        "sender": "support@example.com",
        "recipient": TO,
    }
    status = {
        "roundTrip": {"inFlight": flight},
        "recentMessages": [{"time": AT.format(4), "recipient": TO}],
    }
    book = Learned()
    learn(cast("Budgets", book), account(status), None, NOW)
    assert book.told == [(AT.format(3), TO), (AT.format(4), TO)]
