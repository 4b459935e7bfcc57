# SPDX-License-Identifier: Apache-2.0
"""Which token the list of a provider is asked for with."""

from __future__ import annotations

from typing import Any

import pytest

from lab.oauth_lab import google_account, google_user, microsoft_application, microsoft_user
from postroom.mail.identities.providers import directory
from postroom.mail.identities.source import grant_for


@pytest.mark.parametrize("grant", [google_user(), google_account()])
def test_the_token_for_gmail_serves_its_api(grant: Any) -> None:
    place = directory().apis.place(grant.provider, grant.flow, None)
    assert place is not None
    assert place.host == "gmail.googleapis.com"
    assert grant_for(place, grant) is grant


@pytest.mark.parametrize("grant", [microsoft_user(), microsoft_application()])
def test_graph_needs_a_token_of_its_own(grant: Any) -> None:
    place = directory().apis.place(grant.provider, grant.flow, None)
    assert place is not None
    derived = grant_for(place, grant)
    assert derived.key != grant.key
    assert (derived.scopes, derived.secrets) == (place.scopes, grant.secrets)
    assert "offline_access" not in derived.scopes
