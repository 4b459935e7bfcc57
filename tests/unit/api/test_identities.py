# SPDX-License-Identifier: Apache-2.0
"""`spec.identities`: what one is, each address once, so many, and what may be said of the account's
own."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from postroom.api.identities import (
    DECLARED_LIMIT,
    Identities,
    Identity,
    IdentityType,
    IdentityVerification,
    own_fault,
)

OWN, OTHER = "support@example.com", "sales@example.com"


def identities(*entries: dict[str, Any]) -> list[Identity]:
    return TypeAdapter[list[Identity]](Identities).validate_python(entries)


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


def test_so_many_and_no_more() -> None:
    entries = [{"address": f"a{number}@example.com"} for number in range(DECLARED_LIMIT + 1)]
    assert len(identities(*entries[1:])) == DECLARED_LIMIT
    with pytest.raises(ValidationError):
        identities(*entries)


def test_each_address_is_listed_once() -> None:
    both = [{"address": OWN}, {"address": OTHER}]
    listed = TypeAdapter(Identities)
    assert [identity.address for identity in listed.validate_python(both)] == [OWN, OTHER]
    with pytest.raises(ValidationError, match=r"sales@example\.com is listed twice"):
        listed.validate_python([*both, {"address": OTHER}])


@pytest.mark.parametrize(
    ("address", "kind", "enabled", "fault"),
    [
        (OWN, IdentityType.PRIMARY, True, None),
        (OWN, IdentityType.ALIAS, True, None),
        (OTHER, IdentityType.ALIAS, True, None),
        (OTHER, IdentityType.ALIAS, False, None),
        (OTHER, IdentityType.PRIMARY, True, "type Primary only for the account's own address"),
        (OTHER, IdentityType.PRIMARY, False, "type Primary only for the account's own address"),
        (OWN, IdentityType.PRIMARY, False, "may not have enabled false"),
        (OWN, IdentityType.ALIAS, False, "may not have enabled false"),
    ],
)
def test_what_may_be_said_of_the_own_address(
    address: str, kind: IdentityType, enabled: bool, fault: str | None
) -> None:
    usual = Identity(address="a@example.com")
    found = own_fault([usual, Identity(address=address, type=kind, enabled=enabled)], OWN)
    assert (found is None) is (fault is None)
    assert fault is None or (found is not None and fault in found)
