# SPDX-License-Identifier: Apache-2.0
"""A provider's list: addresses are found in it as a provider compares them."""

from __future__ import annotations

import pytest

from lab.oauth_lab import google_user
from postroom.api.identities import IdentityState, IdentityType
from postroom.api.oauth import OAuthProvider
from postroom.api.reasons import Reason
from postroom.mail.identities.values import (
    Discovered,
    DiscoveryFailure,
    ListedIdentity,
    NoIdentities,
    same,
)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("a@example.com", "a@example.com", True),
        ("Jane.Doe@Example.COM", "jane.doe@example.com", True),
        ("STRASSE@example.com", "straße@example.com", True),
        ("jane.doe@example.com", "janedoe@example.com", False),
        ("a+b@example.com", "a@example.com", False),
        ("a@example.com", "a@example.org", False),
    ],
)
def test_addresses_that_are_one(one: str, other: str, equal: bool) -> None:
    assert same(one, other) is equal
    assert same(other, one) is equal


def test_a_list_is_asked_for_an_address() -> None:
    kinds, verified = list(IdentityType), IdentityState.VERIFIED
    first = ListedIdentity("Sales@example.com", kinds[0], verified)
    second = ListedIdentity("help@example.com", kinds[0], verified, "Help")
    found = Discovered(OAuthProvider.GOOGLE, "a@example.com", (first, second), frozenset())
    assert found.find("sales@EXAMPLE.com") is first
    assert found.find("help@example.com") is second
    # The mailbox itself is no entry of its list.
    assert found.find("a@example.com") is None


async def test_where_nobody_may_be_asked_nothing_is_refused() -> None:
    found = await NoIdentities().identities(google_user(), None)
    assert isinstance(found, DiscoveryFailure)
    assert (found.reason, found.passing) == (Reason.IDENTITY_UNVERIFIABLE, False)
