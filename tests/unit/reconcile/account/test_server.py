# SPDX-License-Identifier: Apache-2.0
"""A MailServer of another namespace serves accounts while it lets them, and no longer.

Covers: admission by each way of naming; what a refused reference looks like; whose Secrets are read
and where they go; withdrawal, while Secrets cannot be read, too; what is counted and named on
either side; random histories.
"""

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.conditions import MESSAGE_LIMIT, shorten
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.findings import FINDING_LIMIT
from postroom.api.mailserver import MailServerStatus
from postroom.api.names import Key, Kind
from postroom.api.resource import MailServer
from postroom.api.server_reference import AllowedNamespaces
from postroom.api.status import CommonStatus
from postroom.reconcile.account.server import not_ready
from postroom.reconcile.world import LookupUnavailable, SecretContent
from unit.reconcile.account.test_relations import Mail, message, ready, sender
from unit.reconcile.mail_worlds import ACCOUNT, NAMESPACE, SERVER, parsed

TENANT = "team-a"
THEIRS = Key(Kind.EMAIL_ACCOUNT, TENANT, "tickets")
ADDRESS = "tickets@example.net"
ALL, SAME = {"from": "All"}, {"from": "Same"}
NAMED = {"from": "Names", "names": ["team-b", TENANT]}
OTHERS = {"from": "Names", "names": ["team-b"]}
REFERENCE = {"name": "smtp", "namespace": NAMESPACE}


def told(status: CommonStatus) -> str:
    """All that a status says."""
    return status.model_dump_json(exclude_none=True)


class Shared(Mail):
    """A server of `NAMESPACE`, and an account of another namespace that names it."""

    def __init__(self, allowed: dict[str, Any] | None, **spec: Any) -> None:
        super().__init__()
        self.add_secret("own", ("smtp.example.com",), username=ADDRESS, password="q")
        self.allow(allowed)
        login = {"credentialsRef": {"name": "own"}}
        self.add(THEIRS, **{"address": ADDRESS, "serverRef": REFERENCE, **login, **spec})

    def allow(self, allowed: dict[str, Any] | None, **spec: Any) -> None:
        said = {} if allowed is None else {"allowedNamespaces": allowed}
        login = {"credentialsRef": {"name": "our-login"}}
        self.add(SERVER, **{"host": "smtp.example.com", **login, **said, **spec})
        self.ready(SERVER)

    async def theirs(self) -> EmailAccountStatus:
        return cast("EmailAccountStatus", await self.look(THEIRS))

    async def server(self) -> MailServerStatus:
        return cast("MailServerStatus", await self.look(SERVER))


class Unreadable(Shared):
    """The same, where the operator may read no Secret of `forbidden` any more."""

    forbidden = ""

    async def secret(self, namespace: str, name: str) -> SecretContent | None:
        if namespace == self.forbidden:
            raise LookupUnavailable(f"Secret {name} could not be read: bind the role there.")
        return await super().secret(namespace, name)


@pytest.mark.parametrize(
    ("allowed", "admitted"),
    [(ALL, True), (NAMED, True), (OTHERS, False), (SAME, False), (None, False)],
)
async def test_a_server_is_used_by_those_whom_it_admits(
    allowed: dict[str, Any] | None, admitted: bool
) -> None:
    mail = Shared(allowed)
    status = await mail.theirs()
    assert ready(status)[0] == ("True" if admitted else "False")
    assert sender(status)[0] == (ADDRESS if admitted else None)
    assert (status.server_name, status.server_namespace) == (
        ("smtp", NAMESPACE) if admitted else (None, None)
    )
    assert (await mail.server()).accounts == (2 if admitted else 1)


async def test_a_refused_reference_does_not_tell_whether_there_is_a_server() -> None:
    refused = await Shared(OTHERS).theirs()
    missing = Shared(ALL)
    del missing.objects[SERVER]
    assert (await missing.theirs()).conditions == refused.conditions
    assert ready(refused) == ("False", "MailServerNotPermitted")
    assert "smtp.example.com" not in told(refused) and "our-login" not in told(refused)


async def test_a_namespace_that_is_not_watched_is_said() -> None:
    mail = Shared(ALL, serverRef={"name": "smtp", "namespace": "unwatched"})
    status = await mail.theirs()
    assert ready(status) == ("False", "NamespaceNotWatched")
    assert "--namespace" in message(status)


async def test_the_own_namespace_may_be_named() -> None:
    mail = Mail(serverRef=REFERENCE)
    assert ready(await mail.account())[0] == "True"
    status = cast("MailServerStatus", await mail.look(SERVER))
    assert status.accounts == 1


async def test_an_account_signs_in_with_its_own_secret_alone() -> None:
    mail = Shared(ALL)
    await mail.theirs()
    assert set(mail.read) == {(TENANT, "own")}
    (dialled,) = mail.probes.dialled
    assert dialled.login is not None and dialled.login.password.reveal() == "q"
    # Refusals count for the tenant that signs in, Services are those of who named the host.
    assert (dialled.endpoint.namespace, dialled.endpoint.services_of) == (TENANT, NAMESPACE)


@pytest.mark.parametrize("hosts", [None, (), ("smtp.example.org",)])
async def test_a_secret_must_name_the_host_that_another_namespace_chooses(
    hosts: tuple[str, ...] | None,
) -> None:
    mail = Shared(ALL)
    mail.add_secret("own", hosts, username=ADDRESS, password="q")
    assert ready(await mail.theirs()) == ("False", "ReferenceNotPermitted")
    assert not mail.probes.dialled


async def test_a_host_that_moves_gets_no_password() -> None:
    mail = Shared(ALL)
    assert ready(await mail.theirs())[0] == "True"
    mail.probes.dialled.clear()
    mail.allow(ALL, host="collects.example.org")
    status = await mail.theirs()
    assert ready(status) == ("False", "ReferenceNotPermitted")
    assert sender(status)[0] is None
    assert not mail.probes.dialled


async def test_the_credentials_of_the_server_are_not_for_other_namespaces() -> None:
    mail = Shared(ALL, credentialsRef=None)
    del mail.objects[THEIRS]["spec"]["credentialsRef"]
    status = await mail.theirs()
    assert ready(status) == ("False", "MailServerNotPermitted")
    assert "set spec.credentialsRef" in message(status)
    assert not mail.read and not mail.probes.dialled
    # A server that asks for none needs none.
    del mail.objects[SERVER]["spec"]["credentialsRef"]
    assert ready(await mail.theirs())[0] == "True"


async def test_neither_side_names_what_the_other_has() -> None:
    mail = Shared(ALL, sendLimits={"daily": 30})
    mail.add(ACCOUNT, **{**mail.spec, "sendLimits": {"daily": 30}})
    mail.allow(ALL, limits={"daily": 40}, tls={"caBundleRef": {"name": "our-authority"}})
    server = await mail.server()
    assert "tickets" not in told(server) and TENANT not in told(server)
    mail.ready(SERVER)
    theirs = told(await mail.theirs())
    assert "our-authority" not in theirs and "our-login" not in theirs and "support" not in theirs


@pytest.mark.parametrize("change", ["edit", "delete"])
async def test_a_permission_that_is_withdrawn_ends_it(change: str) -> None:
    mail = Shared(NAMED)
    assert sender(await mail.theirs())[0] == ADDRESS
    if change == "edit":
        mail.allow(OTHERS)
    else:
        del mail.objects[SERVER]
    status = await mail.theirs()
    assert ready(status) == ("False", "MailServerNotPermitted")
    assert sender(status) == (None, "MailServerNotPermitted")
    assert status.send_plan is None
    mail.allow(ALL)
    assert sender(await mail.theirs())[0] == ADDRESS


@pytest.mark.parametrize("change", ["edit", "delete", "conflict", "fails", "domain", "receiver"])
async def test_a_secret_that_cannot_be_read_holds_no_refusal_back(change: str) -> None:
    peer = Key(Kind.EMAIL_ACCOUNT, TENANT, "peer")
    domain = Key(Kind.SENDING_DOMAIN, TENANT, "net")
    trip = {"roundTrip": {"receiverRef": {"name": "peer"}}}
    mail = Unreadable(NAMED, imap={"host": "imap.example.net"}, binding={"secretName": "b"}, **trip)
    mail.add_secret("own", ("smtp.example.com", "imap.example.net"), username=ADDRESS, password="q")
    mail.add(peer, address="peer@example.net")
    mail.domain(domain, "example.net")
    assert sender(await mail.theirs())[0] == ADDRESS
    mail.forbidden = TENANT
    if change == "edit":
        mail.allow(OTHERS)
    elif change == "delete":
        del mail.objects[SERVER]
    elif change == "conflict":
        older = Key(Kind.EMAIL_ACCOUNT, "elsewhere", "older")
        mail.add(older, address=ADDRESS)
        mail.objects[older]["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
        mail.objects[THEIRS]["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    elif change == "fails":
        mail.ready(SERVER, "False")
    elif change == "domain":
        mail.ready(domain, "False")
    else:
        del mail.objects[peer]
    status = await mail.theirs()
    reasons = {
        "conflict": "AddressConflict",
        "fails": "MailServerNotReady",
        "domain": "SendingDomainNotReady",
        "receiver": "EmailAccountNotFound",
    }
    reason = reasons.get(change, "MailServerNotPermitted")
    assert (ready(status), sender(status)) == (("False", reason), (None, reason))


async def test_what_cannot_be_read_in_another_namespace_is_not_named_here() -> None:
    mail = Unreadable(ALL)
    mail.allow(ALL, tls={"caBundleRef": {"kind": "Secret", "name": "our-authority"}})
    mail.forbidden = NAMESPACE
    status = await mail.theirs()
    assert ready(status) == ("Unknown", "Progressing")
    assert "our-authority" not in told(status)
    assert "MailServer smtp of namespace mail" in message(status)
    mail.forbidden = TENANT
    mail.allow(ALL)
    assert "Secret own" in message(await mail.theirs())


_WAYS = st.sampled_from([ALL, SAME, NAMED, OTHERS, None, "delete"])


@settings(max_examples=25, deadline=None)
@given(st.lists(_WAYS, min_size=1, max_size=6))
def test_nobody_sends_through_what_does_not_admit_them(history: list[Any]) -> None:
    async def live() -> None:
        mail = Shared(SAME)
        for step in history:
            if step == "delete":
                mail.objects.pop(SERVER, None)
                admitted = False
            else:
                mail.allow(step)
                admitted = AllowedNamespaces.model_validate(step or {}).admit(TENANT)
            status = await mail.theirs()
            assert (sender(status)[0] == ADDRESS) is admitted
            assert (ready(status)[0] == "True") is admitted

    asyncio.run(live())


WRONG = "smtp.example.com:587 answers AUTH with 535."
TOLD = "Correct username and password in the Secret."


def broken(wrong: str = WRONG, fix: str = TOLD) -> dict[str, Any]:
    """What the status of a server says that is not ready."""
    said = f"{wrong} {fix}"
    finding = {
        "code": "AUTHENTICATION_REJECTED",
        "severity": "Error",
        "subject": "SMTP",
        "message": said,
        "fix": {"action": "External", "instruction": fix},
    }
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "AuthenticationRejected",
        "message": said,
        "observedGeneration": 1,
        "lastTransitionTime": "2026-11-29T12:00:00Z",
    }
    return {"observedGeneration": 1, "conditions": [condition], "findings": [finding]}


async def test_what_is_wrong_with_a_server_its_accounts_say() -> None:
    mail = Mail()
    mail.objects[SERVER]["status"] = broken()
    status = await mail.account()
    assert ready(status) == ("False", "MailServerNotReady")
    assert message(status) == f"MailServer smtp is not ready. {WRONG} {TOLD}"
    (found,) = [each for each in status.findings if each.code == "MAIL_SERVER_NOT_READY"]
    assert found.message == message(status) and found.field == "spec.serverRef"
    assert found.fix is not None and found.fix.instruction == TOLD


async def test_what_is_wrong_with_a_server_of_others_is_for_their_people() -> None:
    mail = Shared(ALL)
    generation = mail.objects[SERVER]["metadata"]["generation"]
    stored = broken()
    stored["observedGeneration"] = stored["conditions"][0]["observedGeneration"] = generation
    mail.objects[SERVER]["status"] = stored
    status = await mail.theirs()
    assert ready(status) == ("False", "MailServerNotReady")
    name = f"MailServer smtp of namespace {NAMESPACE}"
    assert message(status) == f"{name} is not ready: read its status."
    assert "535" not in told(status) and TOLD not in told(status)


@given(st.text("abc. ", max_size=1500), st.text("xyz. ", min_size=1, max_size=400))
def test_of_what_is_long_the_remedy_is_kept(wrong: str, fix: str) -> None:
    metadata = {"namespace": "n", "name": "s", "uid": "u", "generation": 1}
    stored = broken(wrong[: FINDING_LIMIT - len(fix) - 1], fix)
    (condition,) = stored["conditions"]
    condition["message"] = shorten(condition["message"])
    raw = {"metadata": metadata, "spec": {"host": "h.example"}, "status": stored}
    server = cast("MailServer", parsed(Kind.MAIL_SERVER, raw))
    found = not_ready(server, "n")
    assert len(found.message) <= MESSAGE_LIMIT
    assert found.message.startswith("MailServer s is not ready. ") and found.message.endswith(fix)
