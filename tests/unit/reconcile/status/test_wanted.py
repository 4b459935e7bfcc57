# SPDX-License-Identifier: Apache-2.0
"""What is taken back of an object that is deleted, by what its status says it has published."""

from __future__ import annotations

from typing import Any

import pytest

from postroom.api.names import Kind
from postroom.api.resource import parse_status
from postroom.reconcile.status.wanted import Child, Wanted, left_by

BINDING = {"name": "source", "secrets": ["default-mail", "shop-mail"]}
PUBLICATION = {"endpoint": "send-mail", "records": ["dkim-0"]}


@pytest.mark.parametrize(
    ("kind", "status", "children"),
    [
        # What is the account's own Secret is not the operator's to delete.
        (
            Kind.EMAIL_ACCOUNT,
            {"binding": BINDING},
            [Child("Secret", "default-mail"), Child("Secret", "shop-mail")],
        ),
        (Kind.EMAIL_ACCOUNT, {"binding": {"name": "source"}}, []),
        (Kind.SENDING_DOMAIN, {"publication": PUBLICATION}, [Child("DNSEndpoint", "send-mail")]),
        (Kind.SENDING_DOMAIN, {}, []),
        (Kind.EMAIL_ACCOUNT, {}, []),
        (Kind.MAIL_SERVER, {}, []),
    ],
)
def test_what_the_operator_has_written_goes(
    kind: Kind, status: dict[str, Any], children: list[Child]
) -> None:
    assert left_by(parse_status(kind, status)) == tuple(Wanted(each, None) for each in children)


def test_of_what_was_never_looked_at_nothing_goes() -> None:
    assert [left_by(parse_status(kind, None)) for kind in Kind] == [(), (), ()]
