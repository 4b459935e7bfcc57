# SPDX-License-Identifier: Apache-2.0
"""The data behind discovery: the hosts and scopes of every provider, cloud and flow, that tokens go
to hosts of their own provider, and who judges late."""

from __future__ import annotations

import pytest

from postroom.api.oauth import MicrosoftCloud, OAuthFlow, OAuthProvider
from postroom.mail.identities.providers import directory, judges_late
from postroom.mail.oauth.endpoints import endpoints_of
from postroom.mail.presets import providers


@pytest.mark.parametrize("cloud", MicrosoftCloud)
def test_graph_is_asked_in_its_own_cloud(cloud: MicrosoftCloud) -> None:
    apis = directory().apis
    for flow in (OAuthFlow.REFRESH_TOKEN, OAuthFlow.CLIENT_CREDENTIALS):
        place = apis.place(OAuthProvider.MICROSOFT, flow, cloud)
        known = endpoints_of(OAuthProvider.MICROSOFT, cloud)
        assert place is not None
        assert known is not None
        # The scopes are for that host, and its tokens are known as Graph's.
        assert all(scope.startswith(f"https://{place.host}/") for scope in place.scopes)
        assert f"https://{place.host}" in known.graph_audiences


def test_a_person_is_me_and_an_application_names_the_mailbox() -> None:
    apis = directory().apis
    me = apis.place(OAuthProvider.MICROSOFT, OAuthFlow.REFRESH_TOKEN, None)
    other = apis.place(OAuthProvider.MICROSOFT, OAuthFlow.CLIENT_CREDENTIALS, None)
    assert me is not None
    assert other is not None
    assert "/me?" in me.url_for("support@example.com")
    assert "/users/a%2F..%2Fb%40example.com?" in other.url_for("a/../b@example.com")


def test_a_generic_provider_has_no_list() -> None:
    assert directory().apis.place(OAuthProvider.GENERIC, OAuthFlow.REFRESH_TOKEN, None) is None


def test_who_judges_late_is_a_known_provider() -> None:
    late = {name for name in providers() if judges_late(name)}
    assert {"Gmail", "GoogleWorkspace", "Microsoft365", "OutlookCom"} <= late
    assert len(late) == len(directory().late_judges)
    assert not judges_late("Fastmail")
    assert not judges_late(None)
