# SPDX-License-Identifier: Apache-2.0
"""Which records may be handed to a publisher, and how that is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from postroom.api.sendingdomain_publish import Publication, Publish, PublishedPurpose
from postroom.api.sendingdomain_records import Purpose


def test_what_is_asked_for_is_told_as_purposes() -> None:
    publish = Publish.model_validate({"via": "ExternalDNS", "records": ["SPF", "MTASTS"]})
    assert publish.purposes == {Purpose.SPF, Purpose.MTA_STS}
    assert not publish.apex


def test_what_stands_in_other_zones_is_not_published() -> None:
    """A reverse name and a certificate's record are their owners'; all else is the domain's."""
    assert set(Purpose) - {Purpose(each.value) for each in PublishedPurpose} == {
        Purpose.DANE,
        Purpose.REVERSE_DNS,
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"via": "ExternalDNS", "records": []},
        {"via": "ExternalDNS", "records": ["ReverseDNS"]},
        {"via": "Somebody", "records": ["SPF"]},
        {"via": "ExternalDNS"},
        {"via": "ExternalDNS", "records": ["SPF"], "apx": True},
        {"via": "ExternalDNS", "records": ["SPF"], "apex": "yes"},
    ],
)
def test_nothing_else_can_be_asked_for(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Publish.model_validate(wrong)


def test_a_publication_names_its_object() -> None:
    assert Publication.model_validate({"endpoint": "mail"}).records == []
    with pytest.raises(ValidationError):
        Publication.model_validate({"endpoint": "m" * 254})
