# SPDX-License-Identifier: Apache-2.0
"""What errors of a handshake mean; bundles and contexts: verification is on."""

from __future__ import annotations

import ssl

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.mailserver import TLSMode
from postroom.api.reasons import Reason
from postroom.mail.connect.dial import Failure
from postroom.mail.connect.handshake import Sight
from postroom.mail.connect.tls import (
    BUNDLE_LIMIT,
    TrustStore,
    build_context,
    certificates_in,
    failure_of,
)
from postroom.mail.report import Endpoint

AUTHORITY = trustme.CA()


PEM = AUTHORITY.cert_pem.bytes().decode()


MAIL = Endpoint("mail.example.com", 465, TLSMode.IMPLICIT, "mail.example.com", None, "mail")


@pytest.mark.parametrize(
    ("error", "reason", "word"),
    [
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] x"), Reason.HANDSHAKE_FAILED, "do that"),
        (
            ssl.SSLError(1, "[SSL] record layer failure (_ssl.c:1)"),
            Reason.HANDSHAKE_FAILED,
            "do that",
        ),
        (ssl.SSLError(1, "[SSL: UNSUPPORTED_PROTOCOL] x"), Reason.PROTOCOL_TOO_OLD, "TLS 1.2"),
        (
            ssl.SSLError(1, "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] x"),
            Reason.PROTOCOL_TOO_OLD,
            "TLS 1.2",
        ),
        (
            ssl.SSLError(1, "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] x"),
            Reason.HANDSHAKE_FAILED,
            "mode",
        ),
        (ssl.SSLError(8, "UNEXPECTED_EOF_WHILE_READING"), Reason.HANDSHAKE_FAILED, "breaks off"),
        (ConnectionResetError(), Reason.HANDSHAKE_FAILED, "breaks off"),
    ],
)
def test_what_handshake_errors_mean(error: Exception, reason: Reason, word: str) -> None:
    found = failure_of(error, MAIL, None, "do that")
    assert found.reason is reason
    assert word in found.message


GOOD = [Sight(version="TLSv1.3"), Sight(version="TLSv1.2", cipher="ECDHE-RSA-AES128-GCM-SHA256")]
STRICT = [Sight(version="TLSv1.2", cipher="ECDHE-RSA-AES128-SHA"), Sight(version="TLSv1.1")]
OF_ONE_HANDSHAKE = [
    ConnectionResetError(),
    ssl.SSLError(8, "UNEXPECTED_EOF_WHILE_READING"),
    ssl.SSLError(1, "[SSL: TLSV1_ALERT_INTERNAL_ERROR] x"),
    ssl.SSLError(1, "[SSL: TLSV1_UNRECOGNIZED_NAME] x"),
    ssl.SSLError(1, "[SSL: TLSV1_ALERT_PROTOCOL_VERSION] x"),
]


@pytest.mark.parametrize("error", OF_ONE_HANDSHAKE, ids=str)
def test_who_finishes_the_next_handshake_as_we_want_it_is_not_judged_by_one(
    error: Exception,
) -> None:
    for sight in GOOD:
        found = failure_of(error, MAIL, None, "do that", sight)
        assert (found.reason, found.conclusive) == (Reason.HANDSHAKE_FAILED, False)
        assert "cipher" not in found.message and "TLS 1.2" not in found.message
    for sight in STRICT:
        assert failure_of(error, MAIL, None, "do that", sight).conclusive


def test_who_refuses_us_alone_is_not_told_of_cipher_suites_that_are_good() -> None:
    refusal = ssl.SSLError(1, "[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] x")
    for sight in GOOD:
        found = failure_of(refusal, MAIL, None, "do that", sight)
        assert found.conclusive and "cipher" not in found.message


BROKEN = [
    *("", "x", "-----BEGIN CERTIFICATE-----", PEM[:-40], "x" * BUNDLE_LIMIT),
    *(PEM.replace("MII", "!!!"), PEM.replace("MII", "éé")),
]


@pytest.mark.parametrize("bundle", BROKEN)
def test_bundles_that_are_none(bundle: str) -> None:
    with pytest.raises(Failure) as caught:
        build_context(bundle)
    assert caught.value.reason is Reason.CA_BUNDLE_INVALID


def test_comments_in_any_language_are_left_out() -> None:
    bundle = f"# Főtanúsítvány\n{PEM}\n# ë\n{PEM}tail"
    assert certificates_in(bundle).isascii()
    assert len(build_context(bundle).get_ca_certs()) == 1


@given(st.text())
def test_no_bundle_does_anything_else(text: str) -> None:
    with pytest.raises(ValueError, match="certificate"):
        certificates_in(text)


def test_verification_is_on() -> None:
    context = build_context(PEM)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.verify_flags & ssl.VERIFY_X509_PARTIAL_CHAIN
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


async def test_contexts_are_shared_by_what_they_trust() -> None:
    trust = TrustStore()
    other = trustme.CA().cert_pem.bytes().decode()
    assert await trust.context(PEM) is await trust.context(str(PEM))
    assert await trust.context(PEM) is not await trust.context(other)
    assert await trust.context(None) is await trust.context(None)


async def test_the_least_recently_used_context_goes_first() -> None:
    trust = TrustStore(limit=2)
    bundles = [trustme.CA().cert_pem.bytes().decode() for _ in range(3)]
    first, second = [await trust.context(bundle) for bundle in bundles[:2]]
    assert await trust.context(bundles[0]) is first
    await trust.context(bundles[2])
    assert await trust.context(bundles[0]) is first
    assert await trust.context(bundles[1]) is not second


async def test_a_bundle_that_is_too_long_is_not_even_read() -> None:
    with pytest.raises(Failure):
        await TrustStore().context(PEM + "x" * BUNDLE_LIMIT)


async def test_who_looks_at_no_common_name_has_a_context_of_its_own() -> None:
    """RFC 8461 section 3.3 for policy hosts: what they ask for must not change what mail asks."""
    trust = TrustStore()
    strict = await trust.context(PEM, common_name=False)
    usual = await trust.context(PEM)
    assert (strict.hostname_checks_common_name, usual.hostname_checks_common_name) == (False, True)
    assert await trust.context(PEM, common_name=False) is strict
    assert await trust.context(PEM) is usual
