# SPDX-License-Identifier: Apache-2.0
"""What is assessed of an account: what is dialled in which order, and what it stands on."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import pytest

from postroom.api.conditions import ConditionType
from postroom.api.mailserver import ProbeStage
from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount
from postroom.mail.report import ProbeReport
from postroom.reconcile.account import emailaccount, reviews
from postroom.reconcile.signing_in.probing import CONFIRM_AFTER
from postroom.reconcile.status.assessment import Assessment
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.world import LookupUnavailable, SecretContent
from unit.reconcile.account.test_relations import DOMAIN, Mail
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, REFUSED, SERVER

SILENT = ProbeReport(ProbeStage.CONNECT, Reason.CONNECTION_TIMEOUT, "Silent.", conclusive=True)


async def assessed(
    world: Mail, memory: Memory | None = None, confirm_after: timedelta = timedelta(hours=1)
) -> Assessment:
    found = await world.get(Kind.EMAIL_ACCOUNT, NAMESPACE, ACCOUNT.name)
    resource = cast("EmailAccount", found)
    kept = memory if memory is not None else Memory()
    return await emailaccount.assess(resource, world, kept, confirm_after, reviews.Thresholds())


def said(found: Assessment, condition: ConditionType) -> tuple[str, str] | None:
    verdict = next((each for each in found.verdicts if each.type is condition), None)
    return (verdict.status.value, verdict.reason.value) if verdict is not None else None


async def test_one_that_works_is_signed_in_to_once_by_each_protocol() -> None:
    mail = Mail()
    mail.domain()
    found = await assessed(mail)
    assert sorted(dialled.protocol for dialled in mail.probes.dialled) == ["IMAP", "SMTP"]
    assert not any(verdict.failed for verdict in found.verdicts)
    assert (said(found, ConditionType.SMTP_AUTHENTICATED) or "")[0] == "True"
    assert (said(found, ConditionType.IMAP_AUTHENTICATED) or "")[0] == "True"
    assert found.confirm_after == CONFIRM_AFTER


async def test_what_it_stands_on_brings_it_back() -> None:
    mail = Mail()
    mail.domain()
    references = (await assessed(mail)).references
    assert references >= {"Secret/mailbox", f"MailServer/{SERVER.name}"}
    assert any(reference.startswith("SendingDomain/") for reference in references)


async def test_a_server_that_is_not_ready_is_not_signed_in_to() -> None:
    """A second failure at the same server would say nothing new."""
    mail = Mail()
    mail.domain()
    mail.ready(SERVER, "False")
    found = await assessed(mail)
    assert [dialled.protocol for dialled in mail.probes.dialled] == ["IMAP"]
    assert said(found, ConditionType.SMTP_AUTHENTICATED) == ("Unknown", "NotAttempted")
    assert (said(found, ConditionType.DEPENDENCIES_READY) or "")[0] == "False"


async def test_whether_the_server_answers_is_the_servers_verdict_unless_it_fails_here() -> None:
    mail = Mail()
    assert said(await assessed(mail), ConditionType.SMTP_AVAILABLE) is None
    mail.probes.away = SILENT
    found = await assessed(mail)
    assert said(found, ConditionType.SMTP_AVAILABLE) == ("False", "ConnectionTimeout")


async def test_what_smtp_has_refused_is_not_sent_over_imap_and_no_longer_claimed() -> None:
    mail = Mail()
    mail.add(SERVER, host="mail.example.com")
    mail.ready(SERVER)
    mail.add(ACCOUNT, **{**mail.spec, "imap": {"host": "mail.example.com"}})
    mail.probes.refuses = {"p": REFUSED}
    found = await assessed(mail)
    tried = [(dialled.protocol, dialled.login is not None) for dialled in mail.probes.dialled]
    assert tried == [("SMTP", True), ("IMAP", False)]
    assert said(found, ConditionType.SMTP_AUTHENTICATED) == ("False", "AuthenticationRejected")
    assert ConditionType.IMAP_AUTHENTICATED in found.evidence.withdrawn


class Unreadable(Mail):
    """Secrets cannot be read now."""

    async def secret(self, namespace: str, name: str) -> SecretContent | None:
        raise LookupUnavailable("Secrets")


@pytest.mark.parametrize("rival", [False, True])
async def test_a_secret_that_cannot_be_read_holds_back_no_refusal(rival: bool) -> None:
    mail = Unreadable()
    if not rival:
        with pytest.raises(LookupUnavailable):
            await assessed(mail)
        return
    older = Key(Kind.EMAIL_ACCOUNT, "another", "older")
    mail.add(older, address=mail.spec["address"])
    for key, created in ((older, "2026-01-01T00:00:00Z"), (ACCOUNT, "2026-06-01T00:00:00Z")):
        mail.objects[key]["metadata"]["creationTimestamp"] = created
    found = await assessed(mail)
    assert any(verdict.failed for verdict in found.verdicts)
    assert mail.probes.dialled == []


async def test_without_a_policy_nothing_is_said_of_messages() -> None:
    mail = Mail()
    mail.domain()
    assert mail.message_policy is None
    found = await assessed(mail)
    assert "last_test" in found.fields
    assert "round_trip" not in found.fields
    assert DOMAIN in mail.objects
