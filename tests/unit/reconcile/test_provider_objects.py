# SPDX-License-Identifier: Apache-2.0
"""``spec.provider`` of MailServer and EmailAccount through the engine.

Covers: endpoints and usernames of the provider, an account without any MailServer, and pre-checks,
of which those that block become the verdict without a connection and the others warnings.
"""

from __future__ import annotations

from postroom.api.conditions import ConditionType
from postroom.api.mailserver import MailServerStatus
from unit.reconcile.mail_worlds import ACCOUNT, SERVER, MailWorld, message, verdict

ADDRESS = "support@example.com"
SECRET = {"name": "login"}
KEY = "SG.aaaaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"


async def test_a_server_is_where_its_provider_says_and_needs_no_username() -> None:
    world = MailWorld()
    world.add_secret("login", password=KEY)
    world.add(SERVER, provider="SendGrid", credentialsRef=SECRET)
    status = await world.look(SERVER)
    (dialled,) = world.probes.dialled
    assert (dialled.endpoint.host, dialled.endpoint.port) == ("smtp.sendgrid.net", 465)
    assert dialled.login is not None and dialled.login.username == "apikey"
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")
    assert message(status) == "smtp.sendgrid.net:465 answers and accepts the credentials."


async def test_the_username_of_the_secret_wins_and_is_judged() -> None:
    world = MailWorld()
    world.add_secret("login", username="me", password=KEY)
    world.add(SERVER, provider="SendGrid", credentialsRef=SECRET)
    status = await world.look(SERVER)
    assert world.probes.dialled == []
    assert verdict(status, ConditionType.SMTP_AUTHENTICATED) == ("False", "AuthenticationRejected")
    assert verdict(status, ConditionType.SMTP_AVAILABLE) == ("Unknown", "NotAttempted")
    assert message(status) == (
        "The username for SendGrid must be the word apikey, and not the key itself: correct it in "
        "the Secret."
    )


async def test_a_mode_that_the_port_cannot_have_is_told_without_dialling() -> None:
    world = MailWorld()
    world.add(SERVER, host="smtp.gmail.com", port=465, tls={"mode": "StartTLS"})
    status = await world.look(SERVER)
    assert world.probes.dialled == []
    assert verdict(status, ConditionType.TLS_VERIFIED) == ("False", "HandshakeFailed")
    assert "set tls.mode to Implicit" in message(status)
    assert isinstance(status, MailServerStatus)
    assert [(finding.code, finding.subject) for finding in status.findings] == [
        ("PORT_CONTRADICTS_TLS", "SMTP tls.mode")
    ]


async def test_what_only_looks_wrong_is_tried_and_warned_of() -> None:
    world = MailWorld()
    world.add_secret("login", username="me@gmail.com", password="no app password")
    world.add(SERVER, provider="Gmail", credentialsRef=SECRET)
    status = await world.look(SERVER)
    assert len(world.probes.dialled) == 1
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")
    assert isinstance(status, MailServerStatus)
    assert [(finding.code, finding.severity.value) for finding in status.findings] == [
        ("APP_PASSWORD_REQUIRED", "Warning")
    ]
    assert "no app" not in status.findings[0].message


async def test_wrong_parameters_stall_the_object() -> None:
    world = MailWorld()
    world.add(SERVER, provider="AmazonSES")
    status = await world.look(SERVER)
    assert verdict(status, ConditionType.STALLED) == ("True", "InvalidSpec")
    assert message(status).startswith("spec.parameters.region: is required")


async def test_an_account_of_a_provider_needs_no_mail_server() -> None:
    world = MailWorld()
    world.add_secret("login", password="abcdabcdabcdabcd")
    world.add(ACCOUNT, address=ADDRESS, provider="Gmail", credentialsRef=SECRET, imap={})
    status = await world.look(ACCOUNT)
    hosts = sorted((one.protocol, one.endpoint.host) for one in world.probes.dialled)
    assert hosts == [("IMAP", "imap.gmail.com"), ("SMTP", "smtp.gmail.com")]
    assert {one.login.username for one in world.probes.dialled if one.login} == {ADDRESS}
    assert message(status) == f"{ADDRESS} sends through Gmail and reads INBOX."
    assert verdict(status, ConditionType.SMTP_AVAILABLE) == ("True", "ProbeSucceeded")
    assert verdict(status, ConditionType.DEPENDENCIES_READY) is None


async def accounts_of(world: MailWorld) -> int | None:
    status = await world.look(SERVER)
    assert isinstance(status, MailServerStatus)
    return status.accounts


async def test_an_account_of_a_provider_is_none_of_the_default_server() -> None:
    world = MailWorld()
    world.add(SERVER, host="smtp.example.com", default=True)
    world.add(ACCOUNT, address=ADDRESS, provider="Gmail", credentialsRef=SECRET)
    assert await accounts_of(world) == 0
    world.add(ACCOUNT, address=ADDRESS, credentialsRef=SECRET)
    assert await accounts_of(world) == 1


async def test_a_fallback_without_a_domain_is_told_to_an_account_of_a_provider() -> None:
    world = MailWorld()
    world.add_secret("login", password="abcdabcdabcdabcd")
    spec = {"address": ADDRESS, "provider": "Gmail", "credentialsRef": SECRET}
    world.add(ACCOUNT, **spec, fallbackSender="noreply@example.net")
    status = await world.look(ACCOUNT)
    expected = ("False", "SendingDomainNotFound")
    assert verdict(status, ConditionType.REFERENCES_RESOLVED) == expected


async def test_an_account_with_a_server_sends_through_it_and_reads_at_its_provider() -> None:
    world = MailWorld()
    world.add_secret("login", username="me", password="abcdabcdabcdabcd")
    world.add(SERVER, host="smtp.example.com")
    await world.look(SERVER)
    reference = {"serverRef": {"name": "smtp"}, "credentialsRef": SECRET}
    world.add(ACCOUNT, address=ADDRESS, provider="Gmail", imap={}, **reference)
    world.probes.dialled.clear()
    await world.look(ACCOUNT)
    hosts = sorted(one.endpoint.host for one in world.probes.dialled)
    assert hosts == ["imap.gmail.com", "smtp.example.com"]


async def test_passwords_are_not_tried_where_the_provider_takes_none() -> None:
    world = MailWorld()
    world.add_secret("login", username=ADDRESS, password="p")
    world.add(ACCOUNT, address=ADDRESS, provider="OutlookCom", credentialsRef=SECRET, imap={})
    status = await world.look(ACCOUNT)
    assert world.probes.dialled == []
    for one in (ConditionType.SMTP_AUTHENTICATED, ConditionType.IMAP_AUTHENTICATED):
        assert verdict(status, one) == ("False", "MechanismUnsupported")
    assert "configure oauth" in message(status)
