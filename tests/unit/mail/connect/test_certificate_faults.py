# SPDX-License-Identifier: Apache-2.0
"""Why a certificate was not accepted: the reason, the sentence with its fix, the names shown."""

from __future__ import annotations

import ssl
from dataclasses import replace
from typing import Any

import pytest

from postroom.api.finding_texts import in_full
from postroom.api.mailserver import TLSFacts, TLSMode
from postroom.api.reasons import Reason
from postroom.mail.connect.certificate import ShownFacts
from postroom.mail.connect.certificate_faults import (
    certificate_reason,
    shown_names,
    what_to_mend,
)
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


NAME = "mail.example.com"
OTHER = "other.example.com"


def shown(**facts: Any) -> ShownFacts:
    return ShownFacts(**{"dns_names": [NAME], "count": 2} | facts)


@pytest.mark.parametrize(
    ("code", "facts", "words"),
    [
        (10, None, "has expired: renew it on the server."),
        (10, shown(expired=0), "has expired: renew it on the server."),
        (10, shown(expired=1), "an intermediate that it is sent with has expired"),
        (10, shown(expired=None), "the authority behind it has expired"),
        (9, shown(not_yet_valid=0), f"The certificate of {NAME}:465 is not valid yet"),
        (9, shown(not_yet_valid=1), "an intermediate that it is sent with is not valid yet"),
        (62, shown(dns_names=[OTHER]), f"is not for {NAME}, only for {OTHER}: "),
        (62, shown(dns_names=[]), f"is not for {NAME}: "),
        (66, shown(weakness=(0, "has a small key")), f"of {NAME}:465 has a small key, which"),
        (67, shown(weakness=(1, "has a small key")), "An intermediate that"),
        (66, shown(), f"The certificate of {NAME}:465 has a key that is too weak"),
        (67, shown(), f"The authority of {NAME}:465 has a key that is too weak"),
        (68, shown(), f"The authority of {NAME}:465 signs with a digest that is too weak"),
        (20, shown(lacks_intermediate=True), "without the intermediate that vouches for it"),
        (20, shown(), "No trusted authority vouches"),
        (18, shown(count=1), "is signed by itself alone"),
        (19, shown(), "comes from an authority that is not trusted"),
        (7, shown(), "is not signed with the key of the authority that it names"),
        (24, shown(count=2), "have it issued by a real authority."),
        (32, shown(count=1), "or reference the server's own certificate"),
        (25, shown(), "(pathlen)"),
        (26, shown(), "issued anew with serverAuth"),
        (47, shown(), "name constraints"),
        (13, shown(), "is malformed"),
    ],
)
def test_the_sentence_names_cause_and_fix(code: int, facts: ShownFacts | None, words: str) -> None:
    assert words in in_full(*what_to_mend(code, MAIL, facts))


def test_an_authority_of_ones_own_that_has_expired_is_in_the_bundle() -> None:
    own = replace(MAIL, ca_bundle="PEM")
    assert "in tls.caBundleRef has expired" in in_full(*what_to_mend(10, own, shown()))


@pytest.mark.parametrize(
    ("code", "facts", "more"),
    [
        (62, {"dns_names": [OTHER], "expired": 0}, "It has also expired: renew it."),
        (62, {"dns_names": [OTHER], "expired": 1}, None),
        (10, {"expired": 0}, None),
        (10, {"expired": 0, "dns_names": ["*.example.com"]}, None),
        (10, {"expired": 0, "dns_names": ["MAIL.Example.com."]}, None),
        (10, {"expired": 0, "dns_names": [OTHER]}, f"It is also not for {NAME}, only for {OTHER}."),
        (10, {"expired": 0, "dns_names": ["*.mail.example.com"]}, f"It is also not for {NAME}, "),
        (10, {"expired": 0, "dns_names": ["*.com"]}, f"It is also not for {NAME}, "),
        (10, {"expired": 0, "dns_names": []}, None),
        (20, {"weakness": (0, "has a small key")}, "It also has a small key, which is too weak"),
        (20, {"weakness": (1, "has a small key")}, None),
        (66, {"weakness": (0, "has a small key")}, None),
    ],
)
def test_what_the_next_look_would_find_is_said_at_once(
    code: int, facts: dict[str, Any], more: str | None
) -> None:
    sentence = in_full(*what_to_mend(code, MAIL, shown(**facts)))
    assert (more in sentence) if more else ("also" not in sentence)
