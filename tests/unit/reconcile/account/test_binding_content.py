# SPDX-License-Identifier: Apache-2.0
"""What goes into a binding, whose credentials may, and when a Secret is one already."""

from __future__ import annotations

import base64
import ssl
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import trustme

from postroom.api.conditions import ConditionType
from postroom.api.mailserver import ProbeStage
from postroom.api.masked import Masked
from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.mail.report import ProbeReport
from unit.reconcile.account.test_relations import FALLBACK, RELAY_ADDRESS
from unit.reconcile.binding_worlds import BindingWorld
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, SERVER, message, verdict

NAME, ADDRESS = "support-mail", "support@send.example.com"
ASKED = {"binding": {"secretName": NAME}}
FITS = {
    "type": "smtp",
    "host": "smtp.example.com",
    "port": "587",
    "username": ADDRESS,
    "password": "p",
}
BINDING = ConditionType.BINDING_READY


def written(world: BindingWorld, name: str = NAME) -> dict[str, str]:
    data = world.kube.there[name]["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


@pytest.mark.parametrize("asked", [{}, ASKED])
@pytest.mark.parametrize("more", [{}, {"security": "starttls", "from": ADDRESS, "provider": "x"}])
async def test_a_secret_that_has_all_is_referenced_and_nothing_is_written(
    asked: dict[str, Any], more: dict[str, str]
) -> None:
    world = BindingWorld(**asked)
    world.add_secret("mailbox", **FITS, **more)
    status = await world.evaluate(ACCOUNT)
    assert status.binding is not None
    assert (status.binding.name, status.binding.secrets) == ("mailbox", ())
    assert world.kube.writes == []
    assert verdict(status, BINDING) == (("True", "SecretReferenced") if asked else None)
    world.add(ACCOUNT, **world.spec, connection="Disconnected")
    assert (await world.evaluate(ACCOUNT)).binding is None


@pytest.mark.parametrize(
    "change",
    [
        *({key: None} for key in FITS if key not in ("username", "password")),
        {"type": "postgresql"},
        {"host": "smtp.example.net"},
        {"port": "465"},
        {"security": "implicit"},
        {"from": "other@example.com"},
    ],
)
async def test_a_secret_that_lacks_or_contradicts_anything_is_not(change: dict[str, Any]) -> None:
    world = BindingWorld(**ASKED)
    data = {key: value for key, value in (FITS | change).items() if value is not None}
    world.add_secret("mailbox", **data)
    status = await world.evaluate(ACCOUNT)
    assert status.binding is not None
    assert status.binding.name == NAME


async def test_other_keys_are_projected_under_the_usual_ones() -> None:
    login = {"name": "mailbox", "usernameKey": "user", "passwordKey": "secret"}
    world = BindingWorld(**ASKED, credentialsRef=login)
    world.add_secret("mailbox", user="me", secret="hush", database="other")
    await world.evaluate(ACCOUNT)
    found = written(world)
    assert (found["username"], found["password"]) == ("me", "hush")
    assert "other" not in found.values()


async def test_a_fallback_sender_is_what_one_sends_from() -> None:
    world = BindingWorld(**ASKED, fallbackSender=RELAY_ADDRESS)
    world.domain(status="False")
    world.domain(FALLBACK, "relay.example.net")
    world.add_secret("mailbox", **FITS)
    status = await world.evaluate(ACCOUNT)
    assert status.binding is not None
    assert status.binding.name == NAME
    found = written(world)
    assert (found["from"], found["reply-to"]) == (RELAY_ADDRESS, ADDRESS)


async def test_with_a_token_only_where_it_is_to_be_had() -> None:
    world = BindingWorld(**ASKED)
    del world.spec["credentialsRef"], world.spec["serverRef"]
    oauth = {
        "provider": "Google",
        "clientID": "client",
        "clientSecretRef": {"name": "app", "key": "clientSecret"},
        "refreshTokenRef": {"name": "app", "key": "refreshToken"},
    }
    spec = {**world.spec, "provider": "GoogleWorkspace", "oauth": oauth, "imap": None}
    world.add(ACCOUNT, **{key: value for key, value in spec.items() if value is not None})
    world.add_secret("app", clientSecret="canary-1", refreshToken="canary-2")
    status = await world.evaluate(ACCOUNT)
    assert status.binding is not None, message(status)
    found = written(world)
    assert found["auth"] == "xoauth2"
    assert found["client-id"] == "client"
    assert found["token-endpoint"].startswith("https://")
    assert "password" not in found
    assert "canary" not in str(found)


async def server_login(**uses: Any) -> tuple[BindingWorld, Any]:
    """An account that signs in with its server's credentials."""
    world = BindingWorld(**ASKED)
    del world.spec["credentialsRef"], world.spec["imap"]
    world.add(ACCOUNT, **world.spec)
    world.secrets["mailbox"] = replace(world.secrets["mailbox"], **uses)
    await world.look(SERVER)
    return world, await world.evaluate(ACCOUNT)


def rotate(world: BindingWorld, version: str, password: str) -> None:
    """Put another password into the Secret of the login, which its owner lets be copied."""
    data = {"username": Masked("me"), "password": Masked(password)}
    before = world.secrets["mailbox"]
    world.secrets["mailbox"] = replace(before, resource_version=version, data=data)


AWAY = ProbeReport(ProbeStage.CONNECT, Reason.CONNECTION_TIMEOUT, "Away.", conclusive=False)


@pytest.mark.parametrize("restarts", [False, True])
async def test_of_its_own_what_no_server_has_taken_is_not_published(restarts: bool) -> None:
    world = BindingWorld(**ASKED)
    assert verdict(await world.evaluate(ACCOUNT), BINDING) == ("True", "SecretProjected")
    rotate(world, "2", "next")
    world.probes.away = AWAY
    for _ in range(2):
        status = await world.evaluate(ACCOUNT)
        assert verdict(status, BINDING) == ("True", "SecretProjected")
        assert written(world)["password"] == "p"
        if restarts:
            world.restart()
    world.probes.away = None
    await world.evaluate(ACCOUNT)
    assert written(world)["password"] == "next"


@pytest.mark.parametrize("restarts", [False, True])
async def test_of_its_server_what_that_was_not_proven_with_is_not_published(
    restarts: bool,
) -> None:
    world, _ = await server_login(allowed_uses=frozenset({"binding"}))
    assert written(world)["password"] == "p"
    rotate(world, "2", "next")
    if restarts:
        world.restart()
    status = await world.evaluate(ACCOUNT)
    assert verdict(status, BINDING) == ("True", "SecretProjected")
    assert written(world)["password"] == "p"
    # That the server takes it is no other verdict, of which anybody would be told.
    assert world.outcome is not None and world.outcome.next_check is not None
    assert world.outcome.next_check <= timedelta(seconds=30)
    await world.look(SERVER)
    await world.evaluate(ACCOUNT)
    assert written(world)["password"] == "next"


async def test_a_servers_credentials_are_copied_with_their_owners_word_only() -> None:
    world, status = await server_login()
    assert verdict(status, BINDING) == ("False", "ReferenceNotPermitted")
    assert world.kube.there == {}
    assert "postroom.dev/allow: binding" in message(status, BINDING)
    world, status = await server_login(allowed_uses=frozenset({"binding"}))
    assert verdict(status, BINDING) == ("True", "SecretProjected")
    assert written(world)["password"] == "p"


async def test_by_the_grant_of_its_server_an_account_signs_in_as_itself() -> None:
    world = BindingWorld()
    world.add_secret("client", secret="hunter2")
    grant = {
        "provider": "Microsoft",
        "flow": "ClientCredentials",
        "clientID": "id",
        "tenant": "contoso.onmicrosoft.com",
        "clientSecretRef": {"name": "client", "key": "secret"},
        "subject": "noreply@send.example.com",
    }
    lent = [{"addresses": [ADDRESS]}]
    world.add(SERVER, provider="Microsoft365", oauth=grant, mailboxes=lent)
    world.ready(SERVER)
    spec = {"address": ADDRESS, "serverRef": {"name": "smtp"}, "binding": {"secretName": NAME}}
    world.add(ACCOUNT, **spec)
    await world.evaluate(ACCOUNT)
    found = written(world)
    assert (found["username"], found["auth"]) == (ADDRESS, "xoauth2")
    assert "hunter2" not in str(found)


async def test_a_server_without_a_login_needs_no_word() -> None:
    world = BindingWorld(**ASKED)
    world.add(SERVER, host="smtp.example.com")
    world.ready(SERVER)
    del world.spec["credentialsRef"], world.spec["imap"]
    world.add(ACCOUNT, **world.spec)
    await world.evaluate(ACCOUNT)
    assert written(world)["auth"] == "none"


async def test_a_server_of_another_namespace_gives_nothing_away() -> None:
    world = BindingWorld(**ASKED)
    foreign = Key(Kind.MAIL_SERVER, "elsewhere", "hidden-relay")
    login = {"name": "mailbox"}
    allowed = {"from": "All"}
    world.add(foreign, host="smtp.example.net", credentialsRef=login, allowedNamespaces=allowed)
    world.ready(foreign)
    world.secrets["mailbox"] = replace(
        world.secrets["mailbox"], allowed_uses=frozenset({"binding"})
    )
    spec = {"address": ADDRESS, "serverRef": {"name": "hidden-relay", "namespace": "elsewhere"}}
    world.add(ACCOUNT, **spec, **ASKED)
    status = await world.evaluate(ACCOUNT)
    assert status.effective_sender is not None
    assert status.effective_sender.address is None
    assert verdict(status, BINDING) == ("False", "BindingWithdrawn")
    assert world.kube.there == {}


async def test_where_silence_is_no_consent_the_owner_must_speak() -> None:
    world = BindingWorld(**ASKED)
    silent = replace(world.secrets["mailbox"], silence_consents=False)
    world.secrets["mailbox"] = silent
    status = await world.evaluate(ACCOUNT)
    assert verdict(status, BINDING) == ("False", "ReferenceNotPermitted")
    assert NAMESPACE == "mail" and world.kube.there == {}
    world.secrets["mailbox"] = replace(silent, allowed_uses=frozenset({"binding"}))
    status = await world.evaluate(ACCOUNT)
    assert verdict(status, BINDING) == ("True", "SecretProjected")


async def test_consent_that_is_taken_back_withdraws() -> None:
    world, _ = await server_login(allowed_uses=frozenset({"binding"}))
    world.secrets["mailbox"] = replace(
        world.secrets["mailbox"], allowed_uses=frozenset(), resource_version="2"
    )
    status = await world.evaluate(ACCOUNT)
    assert world.kube.there == {}
    assert verdict(status, BINDING) == ("False", "ReferenceNotPermitted")


AUTHORITY = trustme.CA()
PEM = AUTHORITY.cert_pem.bytes().decode()
TRUST = {"caBundleRef": {"kind": "Secret", "name": "authorities"}}


def trusting(*, bundle: str = PEM, asked: bool = True, **tls: Any) -> BindingWorld:
    world = BindingWorld(**ASKED if asked else {})
    world.add(SERVER, host="smtp.example.com", tls={**TRUST, **tls})
    world.ready(SERVER)
    world.add_secret("authorities", ca_crt=bundle)
    return world


@pytest.mark.parametrize(("more", "fits"), [({}, True), ({"ca_crt": "none"}, False)])
async def test_whoever_asks_for_none_keeps_the_secret_that_there_is(
    more: dict[str, str], fits: bool
) -> None:
    world = trusting(asked=False)
    world.add_secret("mailbox", **FITS, **more)
    status = await world.evaluate(ACCOUNT)
    assert (status.binding.name if status.binding else None) == ("mailbox" if fits else None)


async def test_an_application_is_told_whom_to_trust_and_nothing_else_of_the_object() -> None:
    key = AUTHORITY.private_key_pem.bytes().decode()
    world = trusting(bundle=f"password=hush\n{PEM}# größer\n{key}\n{PEM}", serverName="mx.example")
    await world.evaluate(ACCOUNT)
    found = written(world)
    assert found["ca.crt"].split() == (PEM + PEM).split()
    assert found["server-name"] == "mx.example"
    assert ssl.create_default_context(cadata=found["ca.crt"]).cert_store_stats()["x509_ca"] == 1
    assert not {"hush", "PRIVATE"} & set(found["ca.crt"].replace("-", " ").split())


async def test_what_stands_within_a_certificate_by_mistake_is_not_copied() -> None:
    begin, end = "-----BEGIN CERTIFICATE-----\n", "-----END CERTIFICATE-----\n"
    world = trusting(bundle=f"{begin}password=hush\n{end}")
    await world.evaluate(ACCOUNT)
    assert "ca.crt" not in written(world)
    assert "hush" not in str(written(world))


async def test_the_public_authorities_have_no_key() -> None:
    world = BindingWorld(**ASKED)
    world.add(SERVER, host="smtp.example.com", tls={"serverName": "smtp.example.com"})
    world.ready(SERVER)
    await world.evaluate(ACCOUNT)
    assert not {"ca.crt", "server-name", "certificates"} & written(world).keys()


@pytest.mark.parametrize(
    ("more", "fits"),
    [
        ({}, False),
        ({"ca_crt": PEM}, True),
        ({"ca_crt": f"# ours\n{PEM}\n\n"}, True),
        ({"ca_crt": trustme.CA().cert_pem.bytes().decode()}, False),
        ({"ca_crt": "none"}, False),
        ({"ca_crt": PEM, "server-name": "other.example"}, False),
    ],
)
async def test_a_secret_is_a_binding_only_with_the_authorities(
    more: dict[str, str], fits: bool
) -> None:
    world = trusting()
    world.add_secret("mailbox", **FITS, **more)
    status = await world.evaluate(ACCOUNT)
    assert status.binding is not None
    assert status.binding.name == ("mailbox" if fits else NAME)
