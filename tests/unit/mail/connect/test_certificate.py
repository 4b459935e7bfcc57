# SPDX-License-Identifier: Apache-2.0
"""Facts of certificates, good, odd and broken; what handshake errors mean; and trust sets."""

from __future__ import annotations

import ssl
import warnings
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.mailserver import TLSFacts, TLSMode
from postroom.api.reasons import Reason
from postroom.mail.connect.certificate import certificate_facts, facts_of, weakness_of
from postroom.mail.connect.dial import Failure
from postroom.mail.connect.tls import (
    BUNDLE_LIMIT,
    TrustStore,
    build_context,
    certificate_reason,
    certificates_in,
    failure_of,
    shown_names,
)
from postroom.mail.report import Endpoint

AUTHORITY = trustme.CA()
PEM = AUTHORITY.cert_pem.bytes().decode()
KEY = ec.generate_private_key(ec.SECP256R1())
MAIL = Endpoint("mail.example.com", 465, TLSMode.IMPLICIT, "mail.example.com", None, "mail")


def der(
    *names: str,
    subject: list[x509.NameAttribute[str]] | None = None,
    ends: datetime = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
) -> bytes:
    whole = subject if subject is not None else [x509.NameAttribute(NameOID.COMMON_NAME, "leaf")]
    name = x509.Name(whole)
    builder = (
        x509.CertificateBuilder(name, name, KEY.public_key(), 1)
        .not_valid_before(ends - timedelta(days=1))
        .not_valid_after(ends)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(alternatives, critical=False)
    made = builder.sign(KEY, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.DER)


GOOD = der("b.example.com", "a.example.com", "*.example.com", "a.example.com")


def test_facts_of_a_leaf() -> None:
    assert certificate_facts([GOOD]) == TLSFacts(
        subject="leaf",
        issuer="leaf",
        dns_names=["*.example.com", "a.example.com", "b.example.com"],
        not_after="2030-01-02T03:04:05Z",
        chain_not_after="2030-01-02T03:04:05Z",
    )


def test_the_chain_ends_with_its_first_certificate_to_end() -> None:
    sooner = der(ends=datetime(2029, 1, 1, tzinfo=UTC))
    found = certificate_facts([GOOD, sooner])
    assert found.not_after == "2030-01-02T03:04:05Z"
    assert found.chain_not_after == "2029-01-01T00:00:00Z"


def test_a_name_without_a_common_name() -> None:
    unit = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example")
    assert certificate_facts([der(subject=[unit])]).subject == "O=Example"


def test_foreign_characters_and_long_names_are_tamed() -> None:
    odd = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "\u202eevil\n\x1b[31m" + "x" * 50),
        x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "y" * 60),
        x509.NameAttribute(NameOID.LOCALITY_NAME, "z" * 120),
        x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "z" * 120),
    ]
    found = certificate_facts([der(subject=odd)]).subject or ""
    assert len(found) == 256
    assert found.isascii()
    assert found.isprintable()


SHORT_KEY = rsa.generate_private_key(65537, 1024)  # noqa: S505 - it is to be weak
GOOD_KEY = rsa.generate_private_key(65537, 2048)
#: The algorithms of a signature with RSA, in DER (RFC 8017 appendix A.2.4).
_SHA256, _SHA1 = (bytes.fromhex("06092a864886f70d0101") + bytes([last]) for last in (11, 5))


@pytest.mark.parametrize(
    ("key", "issuer", "signed_with", "weakness"),
    [
        (KEY, "authority", _SHA256, None),
        (GOOD_KEY, "authority", _SHA256, None),
        (SHORT_KEY, "authority", _SHA256, "has an RSA key of 1024 bits"),
        (ec.generate_private_key(ec.SECP192R1()), "leaf", _SHA256,
         "has an EC key of 192 bits"),
        (ec.generate_private_key(ec.SECP224R1()), "leaf", _SHA256, None),
        (GOOD_KEY, "authority", _SHA1, "is signed with SHA-1"),
        (GOOD_KEY, "leaf", _SHA1, None),
    ],
)  # fmt: skip
def test_weak_is_what_has_less_than_112_bits(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey,
    issuer: str,
    signed_with: bytes,
    weakness: str | None,
) -> None:
    """Who signs itself needs no signature."""
    begins = datetime(2029, 1, 1, tzinfo=UTC)
    names = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("leaf", issuer)
    ]
    made = (
        x509.CertificateBuilder(names[1], names[0], key.public_key(), 1)
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=1))
        .sign(GOOD_KEY, hashes.SHA256())
    )
    # cryptography itself signs nothing with SHA-1 any more.
    octets = made.public_bytes(serialization.Encoding.DER).replace(_SHA256, signed_with)
    assert weakness_of(x509.load_der_x509_certificate(octets)) == weakness


def test_many_names_are_cut() -> None:
    found = certificate_facts([der(*(f"h{one}.example.com" for one in range(200)))])
    assert len(found.dns_names) == 32


def test_nothing_is_said_of_an_unreadable_leaf() -> None:
    assert certificate_facts([b"junk", GOOD]) == TLSFacts()
    assert certificate_facts([]) == TLSFacts()
    assert facts_of(None) is None


@given(st.data())
def test_broken_certificates_end_no_probe(data: st.DataObject) -> None:
    broken = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 6))):
        broken[data.draw(st.integers(0, len(broken) - 1))] = data.draw(st.integers(0, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cryptography's, of what it will refuse some day
        found = certificate_facts([bytes(broken), GOOD])
    assert all(name.isascii() and name.isprintable() for name in found.dns_names)


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


@pytest.mark.parametrize(
    ("error", "reason", "word"),
    [
        (ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] x"), Reason.HANDSHAKE_FAILED, "do that"),
        (ssl.SSLError(1, "[SSL] record layer failure (_ssl.c:1)"), Reason.HANDSHAKE_FAILED, "port"),
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


def test_messages_show_only_names_and_few() -> None:
    names = ["z.example.com", "call 0900 now!", "*.example.com", "a" * 90, "b", "c", "d", "e", ""]
    assert shown_names(names) == ["*.example.com", "b", "c", "d", "e"]


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
