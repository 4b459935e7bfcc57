# SPDX-License-Identifier: Apache-2.0
"""What is assessed of a mail server: one probe, what it stands on, and what status keeps."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

import pytest

from postroom.api.conditions import ConditionType
from postroom.api.mailserver import ServerFacts
from postroom.api.reasons import Reason
from postroom.api.resource import MailServer
from postroom.reconcile import mailserver
from postroom.reconcile.signing_in.probing import CONFIRM_AFTER
from postroom.reconcile.status.assessment import Assessment
from postroom.reconcile.status.outcome import Memory
from unit.reconcile.mail_worlds import NAMESPACE, REFUSED, SERVER, MailWorld

LOGIN = {"credentialsRef": {"name": "login"}}


async def assessed(world: MailWorld, confirm_after: timedelta = timedelta()) -> Assessment:
    found = await world.get(SERVER.kind, NAMESPACE, SERVER.name)
    return await mailserver.assess(cast("MailServer", found), world, Memory(), confirm_after)


def world(**spec: Any) -> MailWorld:
    made = MailWorld()
    made.add_secret("login", username="relay", password="right")
    made.add(SERVER, host="smtp.example.com", **spec)
    return made


@pytest.mark.parametrize(
    ("spec", "message", "references"),
    [
        ({}, "smtp.example.com:587 answers.", set()),
        (LOGIN, "smtp.example.com:587 answers and accepts the credentials.", {"Secret/login"}),
        ({"default": True}, "smtp.example.com:587 answers.", {"MailServer/default=true"}),
        ({"port": 2525}, "smtp.example.com:2525 answers.", set()),
    ],
)
async def test_what_it_stands_on_and_says_when_it_is_well(
    spec: dict[str, Any], message: str, references: set[str]
) -> None:
    found = await assessed(world(**spec))
    assert (found.ready_message, found.references) == (message, references)
    assert not any(verdict.failed for verdict in found.verdicts)
    said = {verdict.type for verdict in found.verdicts}
    assert (ConditionType.SMTP_AUTHENTICATED in said) is ("credentialsRef" in spec)
    assert found.fields["endpoint"] == message.split()[0]


async def test_a_secret_that_is_missing_dials_nobody() -> None:
    made = world(credentialsRef={"name": "absent"})
    (verdict,) = (await assessed(made)).verdicts
    assert (verdict.type, verdict.reason) == (
        ConditionType.REFERENCES_RESOLVED,
        Reason.SECRET_NOT_FOUND,
    )
    assert made.probes.dialled == []


async def test_a_refusal_is_one_attempt_and_a_finding() -> None:
    made = world(**LOGIN)
    made.probes.refuses = {"right": REFUSED}
    found = await assessed(made)
    (dialled,) = made.probes.dialled
    assert (dialled.protocol, dialled.login is not None) == ("SMTP", True)
    failed = [verdict for verdict in found.verdicts if verdict.failed]
    assert [verdict.type for verdict in failed] == [ConditionType.SMTP_AUTHENTICATED]
    assert found.fields["findings"]


async def test_what_was_known_of_a_server_stays_where_nothing_is_dialled() -> None:
    made = world(credentialsRef={"name": "absent"})
    known = {"implementation": "Postfix"}
    made.objects[SERVER]["status"] = {"server": known}
    found = await assessed(made)
    assert found.fields["server"] == ServerFacts(implementation="Postfix")


async def test_a_mail_server_is_doubted_no_longer_than_it_takes() -> None:
    """A failure of a connection is confirmed sooner than one of a record."""
    assert (await assessed(world(), timedelta(hours=1))).confirm_after == CONFIRM_AFTER
    assert (await assessed(world(), timedelta())).confirm_after == timedelta()
