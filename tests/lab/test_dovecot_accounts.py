# SPDX-License-Identifier: Apache-2.0
"""Accounts from their Secrets to their status: the reconcilers at a real Dovecot.

Covers: passwords; a server's grant that opens one mailbox and not another; OAuth with tokens that
a local token server mints and Dovecot validates, good, expired, for another mailbox and signed with
another key; a mailbox that is missing; what status shows of it all, and that no secret is in it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.dovecot_server import Dovecot, dovecot
from lab.dovecot_server_files import ALICE, BOB, PASSWORDS, token
from lab.dovecot_server_world import NAMESPACE, DovecotWorld, account, verdict, world_at
from lab.mail_probing import nothing_leaks  # noqa: F401 - a fixture
from lab.oauth_lab import source
from lab.token_server import GOOGLE_PATH, MICROSOFT_PATH, Client, Refresh, TokenServer
from postroom.api.conditions import ConditionType
from postroom.api.names import Key, Kind

pytestmark = pytest.mark.real_mail_server

READY = ConditionType.READY
PASSWORD = {"credentialsRef": {"name": "alice"}}
SECRETS = {
    "alice": {"username": ALICE, "password": PASSWORDS[ALICE]},
    "oauth": {"client": "hunter2-client", "refresh": "hunter2-refresh"},
}
#: What must not be in any status.
TELLTALES = ("hunter2", "eyJ", base64.b64encode(b"hunter2").decode()[:8])


@pytest.fixture
async def server() -> AsyncIterator[Dovecot]:
    async with dovecot() as running:
        yield running


class Mint(TokenServer):
    """Hands out tokens that Dovecot validates; `claims` are those of `token`."""

    claims: Mapping[str, Any] = {}
    minted = 0

    def _token(
        self, prefix: str, scopes: str | None, claims: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        self.minted += 1
        said = {"address": self.account, "jti": str(self.minted), **self.claims}
        document = super()._token(prefix, scopes, claims)
        return {**document, "access_token": token(**said)}


@asynccontextmanager
async def mint(**claims: Any) -> AsyncIterator[Mint]:
    """A token server where a refresh token stands for Alice."""
    made = Mint()
    made.claims = claims
    made.clients["postroom"] = Client(secret=SECRETS["oauth"]["client"])
    made.refreshes[SECRETS["oauth"]["refresh"]] = Refresh("postroom", ALICE, "mail")
    async with made as running:
        yield running


def with_oauth(tokens: TokenServer) -> dict[str, Any]:
    return {
        "oauth": {
            "provider": "Generic",
            "tokenURL": tokens.url(GOOGLE_PATH),
            "clientID": "postroom",
            "clientSecretRef": {"name": "oauth", "key": "client"},
            "refreshTokenRef": {"name": "oauth", "key": "refresh"},
            "caBundleRef": {"name": "ca"},
        }
    }


async def looked_at(server: Dovecot, directory: Path, spec: Mapping[str, Any]) -> DovecotWorld:
    world = world_at(server, directory, {ALICE: spec}, SECRETS, server.probes())
    await world.look()
    return world


def status(world: DovecotWorld) -> dict[str, Any]:
    """The account's status as it is stored, which must hold no secret."""
    found: dict[str, Any] = world.raw(account(ALICE))["status"]
    text = json.dumps(found)
    assert not [one for one in TELLTALES if one in text]
    return found


async def test_a_password(server: Dovecot, tmp_path: Path) -> None:
    world = await looked_at(server, tmp_path, PASSWORD)
    assert verdict(world, account(ALICE), READY)[:2] == ("True", "Succeeded")
    found = status(world)
    assert found["mailbox"]["name"] == "INBOX"
    assert found["mailbox"]["messages"] == 0


async def test_a_mailbox_that_is_missing(server: Dovecot, tmp_path: Path) -> None:
    world = world_at(server, tmp_path, {ALICE: PASSWORD}, SECRETS, server.probes())
    world.raw(account(ALICE))["spec"]["imap"]["mailbox"] = "Archive"
    await world.look()
    assert verdict(world, account(ALICE), READY)[:2] == ("False", "MailboxNotFound")
    status(world)


async def test_tokens_that_the_server_validates(server: Dovecot, tmp_path: Path) -> None:
    async with mint() as tokens:
        tokens.account = ALICE
        spec = with_oauth(tokens)
        issuing = source(tokens.port)
        world = world_at(server, tmp_path, {ALICE: spec}, SECRETS, server.probes(), issuing)
        await world.look()
    assert verdict(world, account(ALICE), READY)[:2] == ("True", "Succeeded")
    # Both legs share one token.
    assert tokens.minted == 1
    for service in ("submission", "imap"):
        said = f"{service}-login: Info: Login: user=<{ALICE}>, method=OAUTHBEARER"
        assert await server.logs(said)
    assert status(world)["mailbox"]["messages"] == 0


async def test_a_grant_of_the_server_opens_the_mailboxes_that_it_lists(
    server: Dovecot, tmp_path: Path
) -> None:
    async with mint() as tokens:
        tokens.account = ALICE
        world = world_at(
            server, tmp_path, {ALICE: {}, BOB: {}}, SECRETS, server.probes(), source(tokens.port)
        )
        grant = {
            **with_oauth(tokens)["oauth"],
            "flow": "ClientCredentials",
            "tokenURL": tokens.url(MICROSOFT_PATH),
            "subject": ALICE,
        }
        del grant["refreshTokenRef"]
        lender = Key(Kind.MAIL_SERVER, NAMESPACE, "dovecot")
        lent = {"oauth": grant, "mailboxes": [{"addresses": [ALICE]}]}
        world.raw(lender)["spec"].update(lent)
        for address in (ALICE, BOB):
            # Whom to trust with its token the server says.
            del world.raw(account(address))["spec"]["imap"]["tls"]["caBundleRef"]
        await world.look()
    for key in (lender, account(ALICE)):
        assert verdict(world, key, READY)[:2] == ("True", "Succeeded")
    assert status(world)["mailbox"]["name"] == "INBOX"
    assert tokens.minted == 1, "one token for the server and both legs of the account"
    assert await server.logs(f"imap-login: Info: Login: user=<{ALICE}>, method=OAUTHBEARER")
    assert verdict(world, account(BOB), READY)[:2] == ("False", "MailServerNotPermitted")
    assert BOB not in server.log


BAD_TOKENS: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"lifetime": -60}, "Token has expired"),
    "of another": ({"address": BOB}, "did not match"),
    "signed with another key": ({"key": b"k" * 32}, "Incorrect JWT signature"),
}


@pytest.mark.parametrize("name", BAD_TOKENS)
async def test_tokens_that_the_server_refuses(server: Dovecot, tmp_path: Path, name: str) -> None:
    claims, cause = BAD_TOKENS[name]
    async with mint(**claims) as tokens:
        spec = with_oauth(tokens)
        issuing = source(tokens.port)
        world = world_at(server, tmp_path, {ALICE: spec}, SECRETS, server.probes(), issuing)
        await world.look()
    assert verdict(world, account(ALICE), READY)[:2] == ("False", "OAuthTokenRejected")
    status(world)
    assert await server.logs(cause)


async def test_a_token_endpoint_that_is_down_is_no_refusal(server: Dovecot, tmp_path: Path) -> None:
    async with mint() as tokens:
        spec = with_oauth(tokens)
    issuing = source(tokens.port, limit=1.0)
    world = world_at(server, tmp_path, {ALICE: spec}, SECRETS, server.probes(), issuing)
    await world.look()
    for leg in (ConditionType.SMTP_AUTHENTICATED, ConditionType.IMAP_AUTHENTICATED):
        found = verdict(world, account(ALICE), leg)
        assert found[:2] == ("Unknown", "OAuthEndpointUnavailable")
    assert verdict(world, account(ALICE), READY)[0] == "Unknown"
    # The connections were checked all the same.
    assert status(world)["imapTls"]["version"] == "TLSv1.3"
    assert "method=" not in server.log
