# SPDX-License-Identifier: Apache-2.0
"""A Secret that changes between two looks, or in the middle of one: what a server said to the
former content is never told of the new one, and keeps nobody from trying it."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.conditions import ConditionType
from postroom.api.mailserver import ProbeStage
from postroom.api.names import Key
from postroom.api.reasons import Reason
from postroom.api.status import CommonStatus
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.reconcile.world import ConfigMapContent, SecretContent
from unit.reconcile.mail_worlds import (
    ACCOUNT,
    REFUSED,
    SERVER,
    WELL,
    MailWorld,
    Probes,
    verdict,
)

AWAY = ProbeReport(ProbeStage.CONNECT, Reason.CONNECTION_TIMEOUT, "No answer.", conclusive=False)
UNTRUSTED = ProbeReport(
    ProbeStage.TLS, Reason.CERTIFICATE_UNTRUSTED, "Not of these authorities.", conclusive=True
)
_SIGNS_IN = {"credentialsRef": {"name": "login"}}
_ACCOUNT = {"address": "support@example.com", "serverRef": {"name": "smtp"}}
SMTP, IMAP = ConditionType.SMTP_AUTHENTICATED, ConditionType.IMAP_AUTHENTICATED
#: Whose Secret it is, and the condition that tells of its content.
PLACES = [
    (SERVER, _SIGNS_IN, SMTP),
    (ACCOUNT, _SIGNS_IN, SMTP),
    (ACCOUNT, {"imap": {"host": "imap.example.net", **_SIGNS_IN}}, IMAP),
]


async def placed(key: Key, spec: dict[str, Any]) -> MailWorld:
    world = MailWorld()
    put(world, 1)
    world.add(SERVER, host="smtp.example.com", **(spec if key == SERVER else {}))
    await world.look(SERVER)
    if key == ACCOUNT:
        world.add(ACCOUNT, **_ACCOUNT, **spec)
    return world


def put(world: MailWorld, version: int) -> None:
    world.add_secret("login", version=str(version), username="me", password=f"password-{version}")


def versions(status: CommonStatus) -> list[str]:
    found = [each.resource_version for each in getattr(status, "resolved_refs", ())]
    return [each for each in found if each]


def sent(world: MailWorld) -> list[str]:
    return [each.login.password.reveal() for each in world.probes.dialled if each.login]


@pytest.mark.parametrize(("key", "spec", "condition"), PLACES)
@pytest.mark.parametrize("once_ready", [False, True])
@pytest.mark.parametrize("restarts", [False, True])
async def test_a_refusal_is_not_told_of_what_is_tried_next(
    key: Key, spec: dict[str, Any], condition: ConditionType, once_ready: bool, restarts: bool
) -> None:
    world = await placed(key, spec)
    if once_ready:
        assert verdict(await world.look(key), ConditionType.READY) == ("True", "Succeeded")
    world.probes.refuses = {"password-1": REFUSED}
    refused = ("False", Reason.AUTHENTICATION_REJECTED.value)
    assert verdict(await world.look(key), condition) == refused
    put(world, 2)
    world.probes.away = AWAY
    for _ in range(2):
        status = await world.look(key)
        assert versions(status) == ["2"]
        assert verdict(status, condition) == ("Unknown", Reason.NOT_ATTEMPTED.value)
    if restarts:
        world.restart()
    world.probes.away = None
    world.probes.dialled.clear()
    assert verdict(await world.look(key), ConditionType.READY) == ("True", "Succeeded")
    assert set(sent(world)) == {"password-2"}


@pytest.mark.parametrize(("key", "spec", "condition"), PLACES)
@pytest.mark.parametrize("restarts", [False, True])
async def test_what_works_is_not_taken_back_by_a_server_that_is_away(
    key: Key, spec: dict[str, Any], condition: ConditionType, restarts: bool
) -> None:
    world = await placed(key, spec)
    await world.look(key)
    put(world, 2)
    world.probes.away = AWAY
    for _ in range(2):
        status = await world.look(key)
        assert verdict(status, condition) == ("True", "AuthenticationSucceeded")
        # Which is said of the one that was tried.
        assert versions(status) == ["1"]
    if restarts:
        world.restart()
    world.probes.away = None
    world.probes.dialled.clear()
    assert versions(await world.look(key)) == ["2"]
    assert set(sent(world)) == {"password-2"}


class ChangedMeanwhile(Probes):
    """A Secret gets another content while the server is still at the former one."""

    def __init__(self, world: MailWorld) -> None:
        super().__init__(refuses={"password-1": REFUSED})
        self._world = world

    async def probe(
        self, endpoint: Endpoint, login: Login | None, mailbox: str | None = None
    ) -> ProbeReport:
        put(self._world, 2)
        return await super().probe(endpoint, login, mailbox)


@pytest.mark.parametrize(("key", "spec", "condition"), PLACES)
@pytest.mark.parametrize("restarts", [False, True])
async def test_changed_while_it_is_tried(
    key: Key, spec: dict[str, Any], condition: ConditionType, restarts: bool
) -> None:
    world = await placed(key, spec)
    world.probes = ChangedMeanwhile(world)
    put(world, 1)
    status = await world.look(key)
    told = versions(status), verdict(status, condition)
    assert told == (["1"], ("False", Reason.AUTHENTICATION_REJECTED.value))
    if restarts:
        world.restart()
    status = await world.look(key)
    assert versions(status) == ["2"]
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")
    assert sent(world)[0] == "password-1"
    assert set(sent(world)[1:]) == {"password-2"}


class ChangedBetweenReads(MailWorld):
    """A Secret gets another content after the first read of a look."""

    async def secret(self, namespace: str, name: str) -> SecretContent | None:
        found = await super().secret(namespace, name)
        put(self, 2)
        return found


async def test_changed_between_two_reads_of_one_look() -> None:
    world = ChangedBetweenReads()
    world.add(SERVER, host="smtp.example.com")
    await world.look(SERVER)
    world.add(ACCOUNT, **_ACCOUNT, **_SIGNS_IN, imap={"host": "imap.example.net"})
    put(world, 1)
    world.probes.refuses = {"password-1": REFUSED}
    status = await world.look(ACCOUNT)
    assert set(sent(world)) == {"password-1", "password-2"}
    assert versions(status) == ["1"]
    # Nothing tells whoever begins now that the second was refused.
    world.restart()
    world.probes.dialled.clear()
    status = await world.look(ACCOUNT)
    assert set(sent(world)) == {"password-2"}
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")


class Trusting(MailWorld):
    """Authorities come from a ConfigMap, of a version."""

    version = "1"

    async def config_map(self, namespace: str, name: str) -> ConfigMapContent | None:
        return ConfigMapContent(name, "uid", self.version, {"ca.crt": PEM})


PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


async def test_so_it_is_with_authorities() -> None:
    world = Trusting()
    bundle = {"kind": "ConfigMap", "name": "ca", "key": "ca.crt"}
    world.add(SERVER, host="smtp.example.com", tls={"mode": "StartTLS", "caBundleRef": bundle})
    assert verdict(await world.look(SERVER), ConditionType.READY) == ("True", "Succeeded")
    world.probes.away = UNTRUSTED
    untrusted = ("False", Reason.CERTIFICATE_UNTRUSTED.value)
    assert verdict(await world.look(SERVER), ConditionType.TLS_VERIFIED) == untrusted
    world.probes.away = AWAY
    assert verdict(await world.look(SERVER), ConditionType.TLS_VERIFIED) == untrusted
    world.version = "2"
    found = verdict(await world.look(SERVER), ConditionType.TLS_VERIFIED)
    assert found is not None
    assert found[0] == "Unknown"
    world.probes.away = WELL
    assert verdict(await world.look(SERVER), ConditionType.READY) == ("True", "Succeeded")
    world.version, world.probes.away = "3", AWAY
    status = await world.look(SERVER)
    # A success stands, as one of those that were tried.
    assert versions(status) == ["2"]
    assert verdict(status, ConditionType.TLS_VERIFIED) == ("True", "CertificateValid")
    world.probes.away = WELL
    assert versions(await world.look(SERVER)) == ["3"]


async def test_what_blocks_an_attempt_is_said_of_what_it_would_be_made_with() -> None:
    world = MailWorld()
    world.add_secret("login", username="apikey", password="SG.x")
    world.add(SERVER, provider="SendGrid", **_SIGNS_IN)
    assert versions(await world.look(SERVER)) == ["1"]
    world.add_secret("login", version="2", username="me", password="SG.x")
    status = await world.look(SERVER)
    assert versions(status) == ["2"]
    assert verdict(status, SMTP) != ("True", "AuthenticationSucceeded")
