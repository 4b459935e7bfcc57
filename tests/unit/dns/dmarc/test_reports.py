# SPDX-License-Identifier: Apache-2.0
"""Reports to other organisations: who must agree, and who did (RFC 9990 section 4)."""

from __future__ import annotations

import pytest

from postroom.dns import dmarc
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.dmarc import (
    Consent,
    ExternalDestination,
)


def answer(name: str, *values: str, outcome: Outcome | None = None) -> Answer:
    there = Outcome.FOUND if values else Outcome.NX_DOMAIN
    return Answer(Question(name, RecordType.TXT), outcome or there, values)


def test_names_of_report_authorisation() -> None:
    found = ExternalDestination("blue.example.com", "red.example.net")
    assert found.name == "blue.example.com._report._dmarc.red.example.net"
    assert found.wildcard == "*._report._dmarc.red.example.net"


def test_destinations_are_read_from_valid_addresses() -> None:
    record = dmarc.parse(
        "v=DMARC1; rua=mailto:a@x.org!1m,mailto:b@Y.org,c@z.org,https://w.org; ruf=mailto:f@v.org"
    )
    assert dmarc.destinations(record) == ("v.org", "x.org", "y.org")
    assert dmarc.report_domain("mailto:A@X.org!10m") == "x.org"


def test_only_other_organisations_must_agree() -> None:
    organisations = {
        "a.example.com": "example.com",
        "b.example.com": "example.com",
        "reports.net": "reports.net",
        "broken.org": None,
    }
    foreign, unknown = dmarc.external("a.example.com", list(organisations), organisations)
    assert foreign == (ExternalDestination("a.example.com", "reports.net"),)
    assert unknown == ("broken.org",)
    assert dmarc.external("a.example.com", ["a.example.com"], {}) == ((), ())


DESTINATION = ExternalDestination("example.com", "reports.net")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["v=DMARC1"], Consent.GIVEN),
        (["v=DMARC1;"], Consent.GIVEN),
        (["v=DMARC1; rua=mailto:x@reports.net"], Consent.GIVEN),
        (["v=DMARC1", "v=DMARC1; p=none"], Consent.GIVEN),
        (["v=DMARC1", "v=spf1 -all"], Consent.GIVEN),
        (["v=dmarc1"], Consent.ABSENT),
        (["yes"], Consent.ABSENT),
        ([], Consent.ABSENT),
        (["v=DMARC1; rua=mailto:x@other.net"], Consent.OVERRIDE_FOREIGN),
    ],
)
def test_consent(values: list[str], expected: Consent) -> None:
    assert dmarc.consent(DESTINATION, answer(DESTINATION.name, *values)) is expected


def test_consent_that_could_not_be_asked() -> None:
    unknown = answer(DESTINATION.name, outcome=Outcome.TIMEOUT)
    assert dmarc.consent(DESTINATION, unknown) is Consent.UNKNOWN
    far = ExternalDestination(".".join(["x" * 60] * 3), f"{'y' * 60}.net")
    assert dmarc.consent(far, answer(far.name)) is Consent.UNASKABLE


def test_a_wildcard_that_does_not_match_is_masked() -> None:
    wildcard = answer(DESTINATION.wildcard, "v=DMARC1")
    empty = answer(DESTINATION.name, outcome=Outcome.NO_DATA)
    assert dmarc.consent(DESTINATION, empty, wildcard) is Consent.MASKED
    assert dmarc.consent(DESTINATION, empty, answer(DESTINATION.wildcard)) is Consent.ABSENT
