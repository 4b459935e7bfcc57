# SPDX-License-Identifier: Apache-2.0
"""What a token's own claims tell is applied to SMTP and IMAP, each by its own scope.

Covers: scopes and roles of Microsoft by protocol, a token for Graph, personal accounts' opaque
tokens, the one scope of Google, and that a token that cannot serve is shown to no server.
"""

from __future__ import annotations

from typing import Any

import pytest

from lab.token_server import unsigned_jwt
from postroom.api.conditions import ConditionType
from postroom.api.masked import Masked
from postroom.mail.oauth.answers import AccessToken
from unit.reconcile.mail_worlds import ACCOUNT, MailWorld, verdict

SMTP, IMAP = ConditionType.SMTP_AUTHENTICATED, ConditionType.IMAP_AUTHENTICATED
WELL = ("True", "AuthenticationSucceeded")
LACKS, OTHER = ("False", "OAuthScopeMissing"), ("False", "OAuthWrongAudience")
OUTLOOK = "https://outlook.office.com"
REFERENCE = {"name": "oauth", "key": "refreshToken"}
MICROSOFT = {"provider": "Microsoft", "clientID": "mid", "refreshTokenRef": REFERENCE}
APPLICATION = {
    "provider": "Microsoft",
    "flow": "ClientCredentials",
    "clientID": "aid",
    "tenant": "contoso.onmicrosoft.com",
    "clientSecretRef": REFERENCE,
}
GOOGLE = {"provider": "Google", "clientID": "gid", "refreshTokenRef": REFERENCE}


async def looked(provider: str, oauth: dict[str, Any], token: AccessToken) -> MailWorld:
    """An account that signs in to both protocols with this token."""
    world = MailWorld()
    world.add_secret("oauth", refreshToken="r")
    world.scripted.script = [token]
    world.add(ACCOUNT, address="a@example.com", provider=provider, oauth=oauth, imap={})
    await world.look(ACCOUNT)
    return world


async def told(world: MailWorld) -> tuple[object, object]:
    status = await world.look(ACCOUNT)
    return verdict(status, SMTP), verdict(status, IMAP)


def access(claims: dict[str, Any]) -> AccessToken:
    return AccessToken(Masked(unsigned_jwt(claims)), 3600.0)


@pytest.mark.parametrize(
    ("claims", "smtp", "imap"),
    [
        ({"aud": OUTLOOK, "scp": "SMTP.Send IMAP.AccessAsUser.All"}, WELL, WELL),
        ({"aud": OUTLOOK, "scp": "SMTP.Send"}, WELL, LACKS),
        ({"aud": OUTLOOK, "scp": "IMAP.AccessAsUser.All"}, LACKS, WELL),
        ({"aud": "https://graph.microsoft.com", "scp": "SMTP.Send"}, OTHER, OTHER),
        ({"aud": "https://vault.azure.net", "scp": "SMTP.Send"}, OTHER, OTHER),
    ],
)
async def test_what_a_user_consented_to(claims: dict[str, Any], smtp: object, imap: object) -> None:
    world = await looked("Microsoft365", MICROSOFT, access(claims))
    assert await told(world) == (smtp, imap)
    shown = {one.protocol for one in world.probes.dialled if one.login is not None}
    assert shown == {name for name, one in (("SMTP", smtp), ("IMAP", imap)) if one == WELL}


@pytest.mark.parametrize(
    ("roles", "smtp", "imap"),
    [
        (["SMTP.SendAsApp", "IMAP.AccessAsApp"], WELL, WELL),
        (["SMTP.SendAsApp"], WELL, LACKS),
        (["IMAP.AccessAsApp"], LACKS, WELL),
        ([], LACKS, LACKS),
    ],
)
async def test_what_an_application_was_granted(
    roles: list[str], smtp: object, imap: object
) -> None:
    token = access({"aud": "https://outlook.office365.com", "roles": roles})
    assert await told(await looked("Microsoft365", APPLICATION, token)) == (smtp, imap)


async def test_an_opaque_token_is_shown() -> None:
    token = AccessToken(Masked("EwB4A8l6-opaque"), 3600.0)
    assert await told(await looked("Microsoft365", MICROSOFT, token)) == (WELL, WELL)


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [(("https://mail.google.com/",), WELL), (("openid",), LACKS), (None, WELL)],
)
async def test_google_says_the_scopes_itself(
    scopes: tuple[str, ...] | None, expected: object
) -> None:
    token = AccessToken(Masked("ya29.t"), 3600.0, scopes=scopes)
    assert await told(await looked("Gmail", GOOGLE, token)) == (expected, expected)
