# SPDX-License-Identifier: Apache-2.0
"""``spec.identities`` and the data behind discovery.

Covers: what a spec may say and the rule of the CRD that says the same, the hosts and scopes of
every provider, cloud and flow, that tokens go to hosts of their own provider, and who judges late.
"""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from postroom.api.identities import (
    DECLARED_LIMIT,
    Identities,
    Identity,
    IdentityVerification,
    own_fault,
)
from postroom.api.oauth import MicrosoftCloud, OAuthFlow, OAuthProvider
from postroom.mail.identities.providers import directory, judges_late
from postroom.mail.oauth.endpoints import endpoints_of
from postroom.mail.presets import providers

LIST = TypeAdapter[list[Identity]](Identities)


OWN = "support@example.com"


def identities(*entries: dict[str, Any]) -> list[Identity]:
    return LIST.validate_python(entries)


def test_an_identity_as_the_design_writes_it() -> None:
    (read,) = identities(
        {
            "address": "billing@send.example.com",
            "type": "SendAs",
            "displayName": "Billing",
            "senderProfile": "billing",
        }
    )
    assert (read.type.value, read.display_name, read.sender_profile) == (
        "SendAs",
        "Billing",
        "billing",
    )
    assert identities({"address": "b@example.com"})[0].type.value == "SendAs"
    assert IdentityVerification().method.value == "Provider"


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"address": "b@Example.com"},
        {"address": "b"},
        {"address": "b@example.com", "type": "Other"},
        {"address": "b@example.com", "displayName": ""},
        {"address": "b@example.com", "displayName": "B\r\nBcc: x@example.com"},
        {"address": "b@example.com", "displayName": "b" * 129},
        {"address": "b@example.com", "senderProfile": "Billing Team"},
        {"address": "b@example.com", "replyTo": "c@example.com"},
    ],
)
def test_what_is_no_identity(entry: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        identities(entry)


def test_an_address_stands_once() -> None:
    with pytest.raises(ValidationError, match=r"b@example\.com is listed twice"):
        identities({"address": "b@example.com"}, {"address": "b@example.com", "type": "Alias"})


def test_so_many_and_no_more() -> None:
    entries = [{"address": f"a{number}@example.com"} for number in range(DECLARED_LIMIT + 1)]
    assert len(identities(*entries[1:])) == DECLARED_LIMIT
    with pytest.raises(ValidationError):
        identities(*entries)


@pytest.mark.parametrize(("address", "misplaced"), [(OWN, False), ("b@example.com", True)])
def test_only_the_own_address_is_primary(address: str, misplaced: bool) -> None:
    fault = own_fault(identities({"address": address, "type": "Primary"}), OWN)
    assert (fault is not None and "Primary" in fault) is misplaced
    assert own_fault(identities({"address": address, "type": "Alias"}), OWN) is None
    off = own_fault(identities({"address": address, "enabled": False}), OWN)
    assert (off is not None and "enabled" in off) is not misplaced


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
    assert "/me?" in me.url_for(OWN)
    assert "/users/a%2F..%2Fb%40example.com?" in other.url_for("a/../b@example.com")


def test_a_generic_provider_has_no_list() -> None:
    assert directory().apis.place(OAuthProvider.GENERIC, OAuthFlow.REFRESH_TOKEN, None) is None


def test_who_judges_late_is_a_known_provider() -> None:
    late = {name for name in providers() if judges_late(name)}
    assert {"Gmail", "GoogleWorkspace", "Microsoft365", "OutlookCom"} <= late
    assert len(late) == len(directory().late_judges)
    assert not judges_late("Fastmail")
    assert not judges_late(None)
