# SPDX-License-Identifier: Apache-2.0
"""``--allow-token-host``: what it takes, and that both worlds get a source of tokens from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.api.conditions import ConditionType
from postroom.cli import manifests
from postroom.cli.check import world_of
from postroom.controller.network import reach
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.oauth.tokens import TokenSource
from postroom.reconcile.world import NoTokens, Outbound
from postroom.settings import SettingsError, load
from unit.reconcile.mail_worlds import ACCOUNT, MailWorld, verdict


def test_hosts_are_read_in_any_case() -> None:
    found = load({}, {"POSTROOM_ALLOW_TOKEN_HOSTS": "Login.Example.com., *.example.net"})
    assert found.allow_token_hosts == ("login.example.com", "*.example.net")


@pytest.mark.parametrize(
    "host", ["https://login.example.com", "10.0.0.1", "*", "a.*.example.com", "a" * 300, "a b"]
)
def test_what_is_no_host(host: str) -> None:
    with pytest.raises(SettingsError, match=r"--allow-token-host: must be hosts such as"):
        load({"allow_token_hosts": [host]}, {})


async def test_the_cluster_asks_token_endpoints() -> None:
    out = reach(load({}, {}), "https://10.0.0.1")
    assert isinstance(out.tokens, TokenSource)
    await out.close()


async def test_manifests_ask_token_endpoints(tmp_path: Path) -> None:
    settings = load({"dns_resolvers": ["127.0.0.1:53"]}, {})
    world = world_of(manifests.load([tmp_path], "mail"), settings)
    assert isinstance(world.outbound.tokens, TokenSource)


async def test_without_a_source_there_is_a_reason() -> None:
    nothing = MailWorld()
    out = Outbound(nothing.dns, nothing.mail, nothing.policies)
    assert isinstance(out.tokens, NoTokens)
    world = MailWorld()
    world.add_secret("oauth", refreshToken="r")
    oauth = {
        "provider": "Google",
        "clientID": "id",
        "refreshTokenRef": {"name": "oauth", "key": "refreshToken"},
    }
    world.source = out.tokens
    world.add(ACCOUNT, address="a@gmail.com", provider="Gmail", oauth=oauth)
    status = await world.look(ACCOUNT)
    expected = ("False", OAuthReason.ENDPOINT_DENIED.value)
    assert verdict(status, ConditionType.SMTP_AUTHENTICATED) == expected
    assert [one.login for one in world.probes.dialled] == [None]
