# SPDX-License-Identifier: Apache-2.0
"""DKIM keys beyond the closed loop.

Covers: a private key is told first and repeated nowhere; another key than the required one; any
damage is mended by its fix.
"""

from __future__ import annotations

import base64
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postroom.api.findings import Severity
from postroom.api.sendingdomain import RecordState
from postroom.dns.verifying.report import DomainReport
from unit.dns.dkim_keys import ed25519_private_base64
from unit.dns.domains import HEALTHY, K1, OTHER_RSA, RSA, S1, look, record
from unit.dns.fake_zone import FakeZone, Key

SECRET = ed25519_private_base64()


def codes(report: DomainReport) -> list[str]:
    return [finding.code for finding in report.findings]


@pytest.mark.parametrize(
    "texts",
    [
        [SECRET],
        [f"v=DKIM1; k=rsa; p={SECRET}"],
        [f"-----BEGIN PRIVATE KEY----- {SECRET} -----END PRIVATE KEY-----"],
        [f"v=DKIM1; p={RSA}", f"v=DKIM1; p={SECRET}"],
        [f"v=DKIM1; p={OTHER_RSA[:100]}", "v=DKIM1; p=", f"p={SECRET}"],
    ],
)
@pytest.mark.parametrize("key", [S1, (K1[0], "TXT")])
def test_a_private_key_comes_first_and_is_repeated_nowhere(key: Key, texts: list[str]) -> None:
    zone = FakeZone({**HEALTHY, K1: [] if key[0] == K1[0] else HEALTHY[K1], key: texts})
    report = look(zone)
    assert codes(report)[0] == "DKIM_PRIVATE_KEY_PUBLISHED"
    assert report.findings[0].severity is Severity.ERROR
    assert SECRET[:24] not in repr(report)
    assert report.findings[0].fix is not None
    zone.apply(report.findings[0].fix)
    assert {one.state for one in look(zone).records} == {RecordState.VALID}


PIECES = st.sampled_from(
    (
        "v=DKIM1; ",
        "v=DKIM1 ",
        "v=dkim1; ",
        "k=rsa; ",
        "k=ed25519; ",
        "h=sha1; ",
        "s=other; ",
        "t=y; ",
        "p=",
        RSA,
        OTHER_RSA,
        RSA[:120],
        RSA.lower(),
        RSA.replace("+", " "),
        '"',
        "; ",
        "-----BEGIN PUBLIC KEY-----",
        SECRET,
    )
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(PIECES, max_size=6).map("".join), max_size=3, unique=True))
def test_a_fix_makes_any_key_record_valid_and_leaks_nothing(texts: list[str]) -> None:
    zone = FakeZone({**HEALTHY, S1: [text for text in texts if text]})
    report = look(zone)
    found = record(report, "dkim-s1")
    assert SECRET[:24] not in repr(report)
    if found.state is RecordState.VALID:
        return
    finding = next(one for one in report.findings if one.subject == "dkim-s1")
    assert finding.fix is not None
    zone.apply(finding.fix)
    assert record(look(zone), "dkim-s1").state is RecordState.VALID, finding


def test_another_key_is_told_from_the_required_one() -> None:
    """Which of the two is old is not known, so that both are said."""
    report = look(FakeZone({**HEALTHY, S1: [f"v=DKIM1; p={OTHER_RSA}"]}))
    found = next(finding for finding in report.findings if finding.code == "DKIM_KEY_OTHER")
    fingerprints = [
        hashlib.sha256(base64.b64decode(one)).hexdigest()[:16] for one in (OTHER_RSA, RSA)
    ]
    assert all(fingerprint in found.message for fingerprint in fingerprints)
    assert found.message.index(fingerprints[0]) < found.message.index(fingerprints[1])
    assert "may have been rotated" in found.message
    assert "spec is old" in found.message


def test_every_finding_of_a_record_has_its_question() -> None:
    report = look(FakeZone({**HEALTHY, S1: [f"v=DKIM1; p={OTHER_RSA}"]}))
    found = next(finding for finding in report.findings if finding.code == "DKIM_KEY_OTHER")
    assert found.ask == f"dig +norecurse TXT {S1[0]} @{min(report.nameservers)}"
