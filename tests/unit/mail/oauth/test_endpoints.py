# SPDX-License-Identifier: Apache-2.0
"""Where tokens come from and what they are for, by provider and cloud."""

from __future__ import annotations

import pytest

from lab.oauth_lab import (
    REFERENCE,
)
from postroom.api.oauth import MicrosoftCloud, OAuth, OAuthProvider
from postroom.mail.oauth.endpoints import (
    directory,
    endpoints_of,
    mail_hosts_of,
    scopes_of,
    token_url_of,
)
from postroom.mail.replies.model import Protocol


@pytest.mark.parametrize(
    ("cloud", "host", "service"),
    [
        (None, "login.microsoftonline.com", "outlook.office.com"),
        ("Public", "login.microsoftonline.com", "outlook.office.com"),
        ("USGovernment", "login.microsoftonline.us", "outlook.office365.us"),
        ("China", "login.partner.microsoftonline.cn", "partner.outlook.cn"),
    ],
)
def test_the_clouds_of_microsoft(cloud: str | None, host: str, service: str) -> None:
    spec = {"provider": "Microsoft", "clientID": "x", "refreshTokenRef": REFERENCE}
    oauth = OAuth.model_validate(spec | ({"cloud": cloud} if cloud else {}))
    assert token_url_of(oauth) == f"https://{host}/common/oauth2/v2.0/token"
    assert scopes_of(oauth) == (
        f"https://{service}/IMAP.AccessAsUser.All",
        f"https://{service}/SMTP.Send",
        "offline_access",
    )


@pytest.mark.parametrize("cloud", MicrosoftCloud)
def test_a_token_is_shown_to_its_own_provider_only(cloud: MicrosoftCloud) -> None:
    spec = {"provider": "Microsoft", "clientID": "x", "refreshTokenRef": REFERENCE}
    hosts = mail_hosts_of(OAuth.model_validate(spec | {"cloud": cloud.value}))
    assert hosts
    others = [one for one in MicrosoftCloud if one is not cloud]
    for other in others:
        known = endpoints_of(OAuthProvider.MICROSOFT, other)
        assert known is not None
        assert not set(hosts) & set(known.mail_hosts)


def test_every_protocol_has_a_scope_and_a_permission() -> None:
    places = [directory().google, *directory().microsoft.values()]
    assert set(directory().microsoft) == set(MicrosoftCloud)
    assert all(set(place.delegated_scopes) == set(Protocol) for place in places)
    assert set(directory().microsoft_permissions) == set(Protocol)
