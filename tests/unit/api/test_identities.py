# SPDX-License-Identifier: Apache-2.0
"""`spec.identities`: each address once, and what may be said of the account's own."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from postroom.api.identities import Identities, Identity, IdentityType, own_fault

OWN, OTHER = "support@example.com", "sales@example.com"


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
