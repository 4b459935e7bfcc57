# SPDX-License-Identifier: Apache-2.0
"""What the code of a failed verification means, and which names a message may show."""

from __future__ import annotations

import ssl

import pytest

from postroom.api.mailserver import TLSFacts, TLSMode
from postroom.api.reasons import Reason
from postroom.mail.connect.certificate_faults import certificate_reason, shown_names
from postroom.mail.connect.tls import failure_of
from postroom.mail.report import Endpoint

MAIL = Endpoint("mail.example.com", 465, TLSMode.IMPLICIT, "mail.example.com", None, "mail")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (9, Reason.CERTIFICATE_NOT_YET_VALID),
        (10, Reason.CERTIFICATE_EXPIRED),
        (18, Reason.CERTIFICATE_UNTRUSTED),
        (19, Reason.CERTIFICATE_UNTRUSTED),
        (20, Reason.CERTIFICATE_UNTRUSTED),
        (62, Reason.CERTIFICATE_NAME_MISMATCH),
        (64, Reason.CERTIFICATE_NAME_MISMATCH),
        (999, Reason.CERTIFICATE_UNTRUSTED),
    ],
)
def test_what_verification_codes_mean(code: int, reason: Reason) -> None:
    error = ssl.SSLCertVerificationError(1, "canary")
    error.verify_code = code
    assert certificate_reason(code) is reason
    found = failure_of(error, MAIL, TLSFacts(dns_names=["a.example.com"]), "do that")
    assert found.reason is reason
    assert "mail.example.com:465" in found.message
    assert ("a.example.com" in found.message) is (reason is Reason.CERTIFICATE_NAME_MISMATCH)


def test_messages_show_only_names_and_few() -> None:
    names = ["z.example.com", "call 0900 now!", "*.example.com", "a" * 90, "b", "c", "d", "e", ""]
    assert shown_names(names) == ["*.example.com", "b", "c", "d", "e"]
