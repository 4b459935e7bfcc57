# SPDX-License-Identifier: Apache-2.0
"""What is warned of a certificate that was accepted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from postroom.api.mailserver import TLSFacts
from postroom.api.times import timestamp
from postroom.reconcile.signing_in.certificates import EXPIRY_WARNING, warnings_of

NOW = datetime(2026, 11, 30, tzinfo=UTC)
HOST = "mail.example.com"
GOOD = TLSFacts(version="TLSv1.3", subject=HOST, dns_names=[HOST])


def codes(facts: TLSFacts | None, name: str = HOST) -> list[str]:
    return [each.code for each in warnings_of(facts, "SMTP", name, NOW)]


@pytest.mark.parametrize(
    ("left", "found"),
    [
        (EXPIRY_WARNING, []),
        (EXPIRY_WARNING - timedelta(minutes=1), ["CERTIFICATE_EXPIRING_SOON"]),
        (timedelta(minutes=1), ["CERTIFICATE_EXPIRING_SOON"]),
        # What has ended is told as that.
        (timedelta(), []),
    ],
)
@pytest.mark.parametrize("field", ["not_after", "chain_not_after"])
def test_an_end_that_is_near(left: timedelta, found: list[str], field: str) -> None:
    far = {"not_after": timestamp(NOW + timedelta(days=90))}
    facts = GOOD.model_copy(update={**far, field: timestamp(NOW + left)})
    assert codes(facts) == found


@pytest.mark.parametrize(
    ("facts", "name", "found"),
    [
        (GOOD, HOST, []),
        (GOOD.model_copy(update={"dns_names": []}), HOST, ["CERTIFICATE_NAME_IN_SUBJECT"]),
        (GOOD.model_copy(update={"dns_names": []}), "192.0.2.1", []),
        (GOOD.model_copy(update={"dns_names": []}), "2001:db8::1", []),
        # What was not verified, or could not be read.
        (TLSFacts(subject=HOST), HOST, []),
        (TLSFacts(version="TLSv1.3"), HOST, []),
        (None, HOST, []),
    ],
)
def test_a_name_that_stands_in_the_subject_alone(
    facts: TLSFacts | None, name: str, found: list[str]
) -> None:
    assert codes(facts, name) == found
