# SPDX-License-Identifier: Apache-2.0
"""Accounts that sign in as themselves by the grant of their server: one for an organisation.

Covers: SMTP and IMAP without a Secret of the account's own; whose mailboxes a server opens, to
which namespaces, and that nothing else is opened; where its token goes; what is told of it; one
token for all; random lists of mailboxes.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from lab.oauth_lab import exchange
from lab.token_server import HOST, MICROSOFT_PATH, Client, TokenServer
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.mailserver import MailServerSpec
from postroom.api.names import Key, Kind
from postroom.mail.oauth.tokens import TokenSource
from postroom.reconcile.world import LookupUnavailable, SecretContent, secret_content
from unit.reconcile.account.test_relations import Mail, message, ready, sender
from unit.reconcile.mail_worlds import NAMESPACE, REFUSED, SERVER

TENANT = "team-a"
HERE, THERE = (Key(Kind.EMAIL_ACCOUNT, place, "tickets") for place in (NAMESPACE, TENANT))
ADDRESS, CHIEF = "tickets@contoso.example", "ceo@contoso.example"
MICROSOFT = {
    "provider": "Microsoft",
    "flow": "ClientCredentials",
    "clientID": "id",
    "tenant": "contoso.onmicrosoft.com",
    "clientSecretRef": {"name": "client", "key": "secret"},
    "subject": "noreply@contoso.example",
}
REFERENCE = {"name": "smtp", "namespace": NAMESPACE}
OURS: dict[str, Any] = {"addresses": [ADDRESS]}
THEIRS: dict[str, Any] = {"addresses": [ADDRESS], "namespaces": [TENANT]}
BOTH = [TENANT, NAMESPACE]


class Organisation(Mail):
    """A server with an application's grant, and an account without any credentials."""

    def __init__(self, *mailboxes: dict[str, Any], key: Key = HERE, **account: Any) -> None:
        super().__init__()
        self.add_secret("client", secret="s")
        self.lend(*mailboxes)
        self.key = key
        spec = {"address": ADDRESS, "serverRef": REFERENCE, "imap": {}, "provider": "Microsoft365"}
        self.add(key, **{**spec, **account})

    def lend(self, *mailboxes: dict[str, Any], **spec: Any) -> None:
        allowed = {"from": "All"}
        base = {"provider": "Microsoft365", "oauth": MICROSOFT, "allowedNamespaces": allowed}
        self.add(SERVER, **{**base, "mailboxes": list(mailboxes), **spec})
        self.ready(SERVER)

    async def tickets(self) -> EmailAccountStatus:
        return cast("EmailAccountStatus", await self.look(self.key))

    def signed_in(self) -> set[tuple[str, str]]:
        """Protocol and user of every login."""
        return {(each.protocol, each.login.username) for each in self.probes.dialled if each.login}


@pytest.mark.parametrize(
    ("key", "mailboxes"), [(HERE, OURS), (HERE, {**OURS, "namespaces": BOTH}), (THERE, THEIRS)]
)
async def test_an_account_signs_in_as_itself_by_the_grant(
    key: Key, mailboxes: dict[str, Any]
) -> None:
    mail = Organisation(mailboxes, key=key)
    status = await mail.tickets()
    assert ready(status)[0] == "True", message(status)
    assert sender(status)[0] == ADDRESS
    assert mail.signed_in() == {("SMTP", ADDRESS), ("IMAP", ADDRESS)}
    hosts = {each.endpoint.host for each in mail.probes.dialled}
    assert hosts == {"smtp.office365.com", "outlook.office365.com"}
    assert {place for place, _ in mail.read} == {NAMESPACE}
    # The tenant is the account's, whatever is lent to it.
    assert {each.endpoint.namespace for each in mail.probes.dialled} == {key.namespace}
    named = "client" in status.model_dump_json()
    assert named is (key is HERE), "a Secret is named in its own namespace alone"


@pytest.mark.parametrize(
    ("key", "mailboxes"),
    [
        (HERE, None),
        (HERE, {"addresses": [CHIEF]}),
        (HERE, {"domains": ["example.org"]}),
        (HERE, {"domains": ["sub.contoso.example"]}),
        (HERE, THEIRS),
        (THERE, OURS),
        (THERE, {"domains": ["contoso.example"]}),
        (THERE, {"domains": ["contoso.example"], "namespaces": ["team-b", NAMESPACE]}),
    ],
)
async def test_no_other_mailbox_is_opened(key: Key, mailboxes: dict[str, Any] | None) -> None:
    mail = Organisation(*([mailboxes] if mailboxes else []), key=key)
    status = await mail.tickets()
    assert ready(status) == ("False", "MailServerNotPermitted")
    assert sender(status)[0] is None
    assert not mail.signed_in() and not mail.scripted.asked


async def test_the_permission_of_the_namespace_is_needed_too() -> None:
    mail = Organisation(THEIRS, key=THERE)
    mail.lend(THEIRS, allowedNamespaces={"from": "Same"})
    assert ready(await mail.tickets()) == ("False", "MailServerNotPermitted")
    assert not mail.signed_in()


async def test_a_mailbox_that_is_taken_off_the_list_is_closed() -> None:
    mail = Organisation(THEIRS, key=THERE)
    assert ready(await mail.tickets())[0] == "True"
    mail.probes.dialled.clear()
    mail.lend({"addresses": [CHIEF], "namespaces": [TENANT]})
    status = await mail.tickets()
    assert (ready(status)[1], sender(status)[0]) == ("MailServerNotPermitted", None)
    assert not mail.signed_in()


@pytest.mark.parametrize("rival", [NAMESPACE, TENANT])
async def test_who_may_not_have_the_address_does_not_read_its_mailbox(rival: str) -> None:
    mail = Organisation(OURS, THEIRS)
    older = Key(Kind.EMAIL_ACCOUNT, rival, "a-holder")
    mail.add(older, address=ADDRESS)
    mail.objects[older]["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"
    mail.objects[HERE]["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z"
    assert ready(await mail.tickets())[1] in ("DuplicateAddress", "AddressConflict")
    assert not mail.signed_in()


@pytest.mark.parametrize(
    ("host", "hosts", "allowed"),
    [
        ("collects.example.org", None, False),
        ("collects.example.org", ("smtp.example.com", HOST), False),
        ("imap.example.com", ("smtp.example.com", "imap.example.com", HOST), True),
        ("smtp.example.com", None, True),
    ],
)
async def test_a_token_goes_where_the_owner_of_its_secret_says(
    host: str, hosts: tuple[str, ...] | None, allowed: bool
) -> None:
    mail = Organisation(THEIRS, key=THERE, imap={"host": host}, provider=None)
    del mail.objects[THERE]["spec"]["provider"]
    generic = {**MICROSOFT, "provider": "Generic", "tokenURL": f"https://{HOST}/token"}
    del generic["tenant"]
    mail.add_secret("client", hosts, secret="s")
    mail.lend(THEIRS, oauth=generic, provider=None, host="smtp.example.com")
    del mail.objects[SERVER]["spec"]["provider"]
    status = await mail.tickets()
    assert (host in {each.endpoint.host for each in mail.probes.dialled if each.login}) is allowed
    if not allowed:
        assert ready(status)[0] == "False" and "client" not in status.model_dump_json()


@pytest.mark.parametrize(
    "tls", [{"serverName": "else.example.org"}, {"caBundleRef": {"name": "mine"}}]
)
async def test_whom_to_trust_with_it_says_the_server(tls: dict[str, Any]) -> None:
    mail = Organisation(THEIRS, key=THERE, imap={"tls": tls})
    assert ready(await mail.tickets()) == ("False", "MailServerNotPermitted")
    assert ("IMAP", ADDRESS) not in mail.signed_in()


@pytest.mark.parametrize(
    "wrong",
    [
        {"oauth": None},
        {"oauth": {**MICROSOFT, "flow": "RefreshToken"}},
        {"mailboxes": [{}]},
        {"mailboxes": [{"namespaces": ["a"]}]},
        {"mailboxes": [{"addresses": ["contoso.example"]}]},
        {"mailboxes": [{"domains": ["*"]}]},
    ],
)
def test_what_opens_nothing_or_anything_is_refused(wrong: dict[str, Any]) -> None:
    spec = {"provider": "Microsoft365", "oauth": MICROSOFT, "mailboxes": [OURS], **wrong}
    with pytest.raises(ValidationError):
        MailServerSpec.model_validate({name: value for name, value in spec.items() if value})


@pytest.mark.parametrize("binding", [{}, {"binding": {"secretName": "b"}}])
@pytest.mark.parametrize("key", [HERE, THERE])
async def test_a_grant_that_cannot_be_read_is_named_in_its_own_namespace_alone(
    key: Key, binding: dict[str, Any]
) -> None:
    mail = Organisation(OURS, THEIRS, key=key, **binding)

    async def unreadable(namespace: str, name: str) -> SecretContent | None:
        raise LookupUnavailable(f"Secret {name} of {namespace} could not be read.")

    mail.secret = unreadable  # type: ignore[method-assign]
    status = await mail.tickets()
    assert ready(status) == ("Unknown", "Progressing")
    assert ("client" in status.model_dump_json()) is (key is HERE)
    # Another account of the namespace is judged all the same, and names it no more than that.
    peer = Key(Kind.EMAIL_ACCOUNT, key.namespace, "peer")
    mail.add(peer, address="peer@example.net", forwarding={"receiverRef": {"name": key.name}})
    assert "client" not in (await mail.look(peer)).model_dump_json()


async def test_the_guide_works_as_it_is_written() -> None:
    page = (Path(__file__).parents[4] / "docs" / "microsoft-organisation.md").read_text("utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    mail = Mail()
    keys = []
    for manifest in (
        each for block in blocks for each in yaml.load_all(block, Loader=yaml.CSafeLoader)
    ):
        metadata = manifest["metadata"]
        if manifest["kind"] == "Secret":
            mail.secrets[metadata["name"]] = secret_content(manifest)
            continue
        key = Key(Kind(manifest["kind"]), metadata["namespace"], metadata["name"])
        mail.add(key, **manifest["spec"])
        keys.append(key)
    for key in keys:
        status = await mail.look(key)
        assert ready(cast("EmailAccountStatus", status))[0] == "True", key
    users = {each.login.username for each in mail.probes.dialled if each.login}
    assert users == {
        "postroom@contoso.example",
        ADDRESS,
        "invoices@billing.contoso.example",
    }
    mail.objects[keys[1]]["spec"]["address"] = CHIEF
    refused = cast("EmailAccountStatus", await mail.look(keys[1]))
    assert ready(refused) == ("False", "MailServerNotPermitted")


async def refused_mailbox(key: Key = THERE) -> tuple[Organisation, EmailAccountStatus]:
    """One that the grant does not open, when nothing is tried any more, and its status."""
    mail = Organisation(OURS if key is HERE else THEIRS, key=key)
    mail.probes.refuses = {"token-1": REFUSED}
    await mail.tickets()
    for _ in range(2):
        status = cast("EmailAccountStatus", await mail.look(key, timedelta(hours=1)))
    assert ready(status) == ("False", "OAuthTokenRejected")
    assert status.last_probe.smtp is not None and status.last_probe.smtp.refusals == 2
    mail.probes.dialled.clear()
    return mail, status


@pytest.mark.parametrize("key", [HERE, THERE])
async def test_a_mailbox_that_was_refused_is_not_tried_again_after_a_restart(key: Key) -> None:
    mail, before = await refused_mailbox(key)
    for _ in range(3):
        mail._memories.clear()  # a restart
        for _ in range(3):
            status = cast("EmailAccountStatus", await mail.look(key, timedelta(hours=1)))
    assert not mail.signed_in()
    assert status.conditions == before.conditions and status.last_probe == before.last_probe


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_is_mended_in_the_other_namespace_is_tried_after_a_restart(
    restarted: bool,
) -> None:
    mail, _ = await refused_mailbox()
    if restarted:
        mail._memories.clear()
    mail.add_secret("client", secret="s", version="2")
    mail.probes.refuses = {}
    assert ready(await mail.tickets())[0] == "True"
    after = mail.objects[THERE]["status"]["lastProbe"]["smtp"]
    assert "refused" not in after and "refusals" not in after


async def test_what_stands_for_a_refused_grant_tells_nothing_of_it() -> None:
    mail, status = await refused_mailbox()
    assert status.last_probe.smtp is not None
    said = status.model_dump_json()
    assert not any(each in said for each in ('"client"', "Secret client", "uid-client"))
    mark = status.last_probe.smtp.refused
    # Of two accounts nobody can tell that it is the same, and another version is not seen before
    # it was refused, too.
    other = Key(Kind.EMAIL_ACCOUNT, TENANT, "other")
    mail.add(other, **mail.objects[THERE]["spec"])
    del mail.objects[THERE]
    for _ in range(2):
        theirs = cast("EmailAccountStatus", await mail.look(other, timedelta(hours=1)))
    assert theirs.last_probe.smtp is not None
    assert mark and theirs.last_probe.smtp.refused not in (mark, None)
    _, seen = await refused_mailbox(HERE)
    assert seen.last_probe.smtp is not None and seen.last_probe.smtp.refused is None


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    async with TokenServer() as running:
        running.clients["id"] = Client("s")
        yield running


async def test_one_token_serves_the_organisation(server: TokenServer) -> None:
    mail = Organisation()
    mail.source = TokenSource(exchange(server.port, generic_hosts=(HOST,)))
    mail.add_secret("ca", ca_crt=server.ca_bundle)
    generic = {
        **MICROSOFT,
        "provider": "Generic",
        "tokenURL": server.url(MICROSOFT_PATH),
        "caBundleRef": {"kind": "Secret", "name": "ca"},
    }
    del generic["tenant"]
    mail.lend({"domains": ["contoso.example"]}, oauth=generic)
    keys = [Key(Kind.EMAIL_ACCOUNT, NAMESPACE, f"a{number}") for number in range(20)]
    for key in keys:
        mail.add(key, address=f"{key.name}@contoso.example", serverRef=REFERENCE)
    statuses = await asyncio.gather(*(mail.look(key) for key in keys))
    assert all(ready(cast("EmailAccountStatus", status))[0] == "True" for status in statuses)
    assert len(mail.signed_in()) == 20
    assert len(server.forms) == 1
    # Mailboxes that are closed to it do not cost a token each.
    (shown,) = {each.login.password.reveal() for each in mail.probes.dialled if each.login}
    mail.probes.refuses = {shown: REFUSED}
    for key in keys:
        mail.add(key, address=f"{key.name}@contoso.example", serverRef=REFERENCE, displayName="x")
        assert ready(cast("EmailAccountStatus", await mail.look(key)))[0] == "False"
    assert len(server.forms) <= 2


_ADDRESSES = st.sampled_from(["a@x.example", "b@x.example", "A@x.example", "a@y.example"])
_LISTS = st.builds(
    lambda addresses, domains, namespaces: {
        "addresses": addresses or ["nobody@z.example"],
        "domains": domains,
        "namespaces": namespaces,
    },
    st.lists(_ADDRESSES, max_size=2),
    st.lists(st.sampled_from(["x.example", "y.example"]), max_size=1),
    st.lists(st.sampled_from(["home", "p", "q"]), max_size=2),
)


@settings(deadline=None)
@given(st.lists(_LISTS, max_size=3), _ADDRESSES, st.sampled_from(["home", "p", "q"]))
def test_a_grant_is_for_what_one_entry_names_together(
    entries: list[dict[str, list[str]]], address: str, namespace: str
) -> None:
    spec = MailServerSpec.model_validate(
        {"provider": "Microsoft365", "oauth": MICROSOFT, "mailboxes": entries}
    )
    expected = any(
        namespace in (entry["namespaces"] or ["home"])
        and (
            address.lower() in [each.lower() for each in entry["addresses"]]
            or address.partition("@")[2] in entry["domains"]
        )
        for entry in entries
    )
    granted = spec.grant_for(address, namespace, "home")
    assert (granted is not None) is expected
    assert granted is None or granted.subject is None
