# SPDX-License-Identifier: Apache-2.0
"""``spec.oauth`` with a real token endpoint on loopback, from the Secrets to the login.

Covers: the bundle of a private authority, one request for all that wait, the endpoint's own errors
as verdicts, an endpoint that is away, and a host that the operator does not allow.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lab.oauth_lab import exchange
from lab.token_server import HOST, MICROSOFT_PATH, Client, Scripted, TokenServer
from postroom.api.conditions import ConditionType
from postroom.mail.oauth.tokens import TokenSource
from unit.reconcile.mail_worlds import ACCOUNT, MailWorld, message, verdict

ADDRESS = "support@example.com"
SIGNED_IN = ConditionType.IMAP_AUTHENTICATED


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    async with TokenServer() as one:
        one.clients["id"] = Client("the-secret")
        yield one


def world_of(server: TokenServer, hosts: tuple[str, ...] = (HOST,)) -> MailWorld:
    """An account with a mailbox whose token comes from the server."""
    world = MailWorld()
    world.source = TokenSource(exchange(server.port, generic_hosts=hosts))
    world.add_secret("ca", ca_crt=server.ca_bundle)
    world.add_secret("client", secret="the-secret\n")
    oauth = {
        "provider": "Generic",
        "flow": "ClientCredentials",
        "clientID": "id",
        "clientSecretRef": {"name": "client", "key": "secret"},
        "tokenURL": server.url(MICROSOFT_PATH),
        "caBundleRef": {"kind": "Secret", "name": "ca"},
    }
    imap = {"host": "imap.example.com"}
    world.add(ACCOUNT, address=ADDRESS, provider="Fastmail", oauth=oauth, imap=imap)
    return world


async def test_one_request_serves_both_protocols(server: TokenServer) -> None:
    world = world_of(server)
    status = await world.look(ACCOUNT)
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")
    assert [form["client_secret"] for form in server.forms] == ["the-secret"]
    shown = {one.login.password.reveal() for one in world.probes.dialled if one.login}
    assert len(shown) == 1
    await world.look(ACCOUNT)
    assert len(server.forms) == 1


async def test_a_wrong_client_secret_is_tried_once(server: TokenServer) -> None:
    world = world_of(server)
    server.clients["id"] = Client("another")
    await world.look(ACCOUNT)
    asked = len(server.forms)
    status = await world.look(ACCOUNT)
    found = verdict(status, SIGNED_IN)
    assert found is not None and found[0] == "False" and found[1].startswith("OAuthClient")
    assert len(server.forms) == asked
    assert "the-secret" not in message(status)


async def test_an_endpoint_that_is_away_is_no_verdict(server: TokenServer) -> None:
    world = world_of(server)
    server.script.extend([Scripted(503, {})] * 4)
    status = await world.look(ACCOUNT)
    assert verdict(status, SIGNED_IN) == ("Unknown", "OAuthEndpointUnavailable")
    assert verdict(status, ConditionType.IMAP_AVAILABLE) == ("True", "ProbeSucceeded")


async def test_a_host_that_is_not_allowed_is_sent_nothing(server: TokenServer) -> None:
    world = world_of(server, hosts=("login.example.net",))
    status = await world.look(ACCOUNT)
    assert verdict(status, SIGNED_IN) == ("False", "OAuthEndpointDenied")
    assert server.forms == []
