# SPDX-License-Identifier: Apache-2.0
"""One protocol checked: what would be tried, what is dialled, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from postroom.api.conditions import ConditionType, Verdict
from postroom.api.credentials_reference import CredentialsReference
from postroom.api.emailaccount_status import SyncPhase
from postroom.api.mailserver import MailServerSpec, TLSMode
from postroom.api.masked import Masked
from postroom.api.names import Key, Kind
from postroom.api.reasons import Reason
from postroom.api.resource import MailServer
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.reconcile.signing_in import probing, protocol_check, retrying
from postroom.reconcile.signing_in.protocol_check import Identity, ProtocolCheck
from postroom.reconcile.signing_in.references import Credentials, unresolved
from postroom.reconcile.signing_in.targets import Target, smtp_target
from postroom.reconcile.status.outcome import Memory
from unit.reconcile.assessments import NOW
from unit.reconcile.mail_worlds import NAMESPACE, REFUSED, SERVER, WELL, MailWorld, Probes

ENDPOINT = Endpoint("mail.example.com", 993, TLSMode.IMPLICIT, "mail.example.com", None, "mail")
LOGIN = Credentials(Login("me", Masked("right")), (), "1")
NAMED = Identity(CredentialsReference(name="login"), None)


def attempt(protocol: probing.Protocol = probing.IMAP, **more: Any) -> probing.Attempt:
    return probing.Attempt(protocol, ENDPOINT, LOGIN, None, **more)


async def server(world: MailWorld) -> MailServer:
    return cast("MailServer", await world.get(Kind.MAIL_SERVER, NAMESPACE, SERVER.name))


async def prepared(world: MailWorld, identity: Identity = NAMED) -> ProtocolCheck:
    world.add(SERVER, host="smtp.example.com")
    resource = await server(world)
    target = smtp_target(resource.spec)
    return await protocol_check.prepare(probing.SMTP, target, identity, resource, world)


async def test_what_would_be_tried_is_the_secret_at_the_target() -> None:
    world = MailWorld()
    world.add_secret("login", username="me", password="right", version="7")
    check = await prepared(world)
    assert check.problem is None
    assert check.attempt is not None
    assert (check.attempt.endpoint.host, check.attempt.endpoint.port) == ("smtp.example.com", 587)
    assert [(each.name, each.resource_version) for each in check.resolved] == [("login", "7")]
    assert check.attempt.is_new
    assert world.probes.dialled == []


async def test_without_an_identity_nobody_signs_in() -> None:
    check = await prepared(MailWorld(), Identity(None, None))
    assert check.attempt is not None
    assert (check.credentials, check.resolved) == (None, ())


@pytest.mark.parametrize(
    ("secret", "allowed", "reason"),
    [
        (False, None, Reason.SECRET_NOT_FOUND),
        (True, ("other.example.com",), Reason.REFERENCE_NOT_PERMITTED),
    ],
)
async def test_a_reference_that_leads_nowhere_is_the_problem(
    secret: bool, allowed: tuple[str, ...] | None, reason: Reason
) -> None:
    world = MailWorld()
    if secret:
        world.add_secret("login", allowed, username="me", password="right")
    check = await prepared(world)
    assert check.attempt is None
    assert check.problem is not None
    assert (check.problem.type, check.problem.reason) == (
        ConditionType.REFERENCES_RESOLVED,
        reason,
    )
    assert (await check.probed(world, Memory())).report is None


async def test_what_another_namespace_lacks_is_not_named() -> None:
    world = MailWorld()
    world.add(SERVER, host="smtp.example.com", tls={"caBundleRef": {"name": "ca"}})
    resource = await server(world)
    own = smtp_target(resource.spec)
    foreign = replace(own, namespace="relays", owner="MailServer relay of namespace relays")

    async def problem(target: Target) -> Verdict:
        identity = Identity(None, None)
        check = await protocol_check.prepare(probing.SMTP, target, identity, resource, world)
        assert check.problem is not None
        return check.problem

    assert "ca" in (await problem(own)).message.split()
    assert "ca" not in (await problem(foreign)).message.split()
    assert (await problem(foreign)).message.startswith("MailServer relay of namespace relays")


class Watching(Probes):
    """Notes what the memory says is being done while a server is asked."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self._memory = memory
        self.busy: list[object] = []

    async def probe(
        self, endpoint: Endpoint, login: Login | None, mailbox: str | None = None
    ) -> ProbeReport:
        self.busy.append((mailbox, self._memory.at_mailbox))
        return await super().probe(endpoint, login, mailbox)


@pytest.mark.parametrize(
    ("protocol", "seen"),
    [
        (probing.IMAP, ("Sent", (SyncPhase.SYNCING, NOW))),
        (probing.SMTP, (None, None)),
    ],
)
async def test_a_mailbox_is_busy_while_it_is_looked_at(
    protocol: probing.Protocol, seen: object
) -> None:
    world, memory = MailWorld(), Memory()
    watching = Watching(memory)
    world.probes = watching
    check = await ProtocolCheck(attempt(protocol, mailbox="Sent")).probed(world, memory)
    assert watching.busy == [seen]
    assert memory.at_mailbox is None
    assert [verdict.failed for verdict in check.verdicts] == [False] * len(check.verdicts)
    assert protocol.authenticated in {verdict.type for verdict in check.verdicts}


async def test_what_is_blocked_or_has_a_problem_dials_nobody() -> None:
    world = MailWorld()
    broken = ProtocolCheck(problem=unresolved(Reason.SECRET_NOT_FOUND, "There is none."))
    assert await broken.probed(world, Memory()) is broken
    assert (broken.verdicts, broken.findings(NOW), broken.precheck_findings) == ((), (), ())
    assert broken.facts(None) is None
    assert world.probes.dialled == []


@pytest.mark.parametrize("is_new", [False, True])
@pytest.mark.parametrize("refusals", [None, 1, retrying.ATTEMPTS])
def test_what_stands_behind_a_verdict_on_signing_in(is_new: bool, refusals: int | None) -> None:
    report = replace(REFUSED, refusals=refusals)
    found = ProtocolCheck(attempt(is_new=is_new), report=report).evidence
    sign_in = {ConditionType.IMAP_AUTHENTICATED}
    assert found.withdrawn == (sign_in if is_new else set())
    assert found.repeated == (sign_in if refusals == retrying.ATTEMPTS else set())


def test_where_nobody_signs_in_nothing_stands_behind_it() -> None:
    nobody = replace(attempt(is_new=True), credentials=None)
    found = ProtocolCheck(nobody, report=WELL).evidence
    assert (found.withdrawn, found.repeated) == (frozenset(), frozenset())


@pytest.mark.parametrize(
    ("namespace", "wanted"),
    [
        (None, {"Secret/login", "ConfigMap/ca"}),
        ("relays", {"relays:Secret/login", "relays:ConfigMap/ca"}),
    ],
)
def test_what_a_server_names_is_named_for_objects_of_any_namespace(
    namespace: str | None, wanted: set[str]
) -> None:
    spec = MailServerSpec.model_validate(
        {
            "host": "smtp.example.com",
            "credentialsRef": {"name": "login"},
            "tls": {"caBundleRef": {"kind": "ConfigMap", "name": "ca"}},
        }
    )
    assert protocol_check.server_references(spec, namespace) == wanted


async def test_a_server_signs_in_by_its_own_reference() -> None:
    world = MailWorld()
    world.add_secret("login", username="relay", password="right")
    world.add(SERVER, host="smtp.example.com", credentialsRef={"name": "login"})
    check = await protocol_check.prepare_server(await server(world), world)
    assert isinstance(check.credentials, Credentials)
    assert check.credentials.login.username == "relay"
    assert Key(Kind.MAIL_SERVER, NAMESPACE, SERVER.name) == SERVER
