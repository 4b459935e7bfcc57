# SPDX-License-Identifier: Apache-2.0
"""Facts of certificates, good, odd and broken."""

from __future__ import annotations

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
from postroom.mail.connect.certificate import certificate_facts, facts_of, weakness_of
from postroom.mail.report import Endpoint
from unit.rsa_keys import rsa_pair

AUTHORITY = trustme.CA()


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


SHORT_KEY = rsa_pair(bits=1024)


GOOD_KEY = rsa_pair()


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
