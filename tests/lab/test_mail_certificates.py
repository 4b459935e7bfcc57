# SPDX-License-Identifier: Apache-2.0
"""Probes of servers with every kind of certificate, for SMTP in both TLS modes and for IMAP.

Covers: what a bad certificate is called, that its facts are shown all the same, that nothing is
said over an unverified connection, trust sets, and servers that speak only old TLS.
"""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lab.hostile import Hostile, Step, smtp_until_auth
from lab.mail_probing import (
    AUTHORITY,
    HOST,
    LOGIN,
    context,
    endpoint,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
    probes,
)
from postroom.api.mailserver import TLSMode
from postroom.mail.report import ProbeReport


def own(*, begins: int = -1) -> tuple[ssl.SSLContext, str]:
    """A context with a certificate that signs itself and begins in so many days; and its PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "self")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + timedelta(days=begins))
        .not_valid_after(now + timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    public = certificate.public_bytes(serialization.Encoding.PEM)
    trustme.LeafCert(private, public, []).configure_cert(made)
    return made, public.decode()


def without_intermediate() -> ssl.SSLContext:
    leaf = AUTHORITY.create_child_ca().issue_cert(HOST)
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.LeafCert(
        leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes(), []
    ).configure_cert(made)
    return made


BAD: dict[str, tuple[Callable[[], ssl.SSLContext], str]] = {
    "other name": (lambda: context("other.example.com"), "CertificateNameMismatch"),
    "an address": (lambda: context("192.0.2.1"), "CertificateNameMismatch"),
    "expired": (lambda: context(days=-1), "CertificateExpired"),
    "other authority": (lambda: context(ca=trustme.CA()), "CertificateUntrusted"),
    "self-signed": (lambda: own()[0], "CertificateUntrusted"),
    "no intermediate": (without_intermediate, "CertificateUntrusted"),
}


async def probed(made: ssl.SSLContext, protocol: str) -> tuple[ProbeReport, Hostile]:
    """Probe a server with this certificate that would take a login."""
    mode = TLSMode.START_TLS if protocol == "smtp with starttls" else TLSMode.IMPLICIT
    plain = smtp_until_auth(b"STARTTLS", after=("read", b"220 go\r\n", "tls", "read"))
    steps: tuple[Step, ...] = plain if mode is TLSMode.START_TLS else (b"220 x\r\n", "read")
    async with Hostile(*steps, context=made, implicit=mode is TLSMode.IMPLICIT) as server:
        asking, where = probes(server.port), endpoint(server.port, mode)
        if protocol == "imap":
            return await asking.imap(where, LOGIN, "INBOX"), server
        return await asking.smtp(where, LOGIN), server


@pytest.mark.parametrize("protocol", ["smtp", "smtp with starttls", "imap"])
@pytest.mark.parametrize("name", BAD)
async def test_bad_certificates(name: str, protocol: str) -> None:
    make, reason = BAD[name]
    report, server = await probed(make(), protocol)
    assert outcome(report) == ("TLS", reason)
    assert report.tls is not None
    assert report.tls.not_after is not None
    assert report.tls.version is None
    assert set(server.received) <= {b"EHLO postroom.invalid\r\n", b"STARTTLS\r\n"}


async def trusting(made: ssl.SSLContext, bundle: str) -> ProbeReport:
    """Probe a server with this certificate, trusting this bundle."""
    steps: tuple[Step, ...] = smtp_until_auth(b"SIZE 1", after=("read",))
    async with Hostile(*steps, context=made, implicit=True) as server:
        where = replace(endpoint(server.port, TLSMode.IMPLICIT), ca_bundle=bundle)
        return await probes(server.port).smtp(where, None)


async def test_a_certificate_of_tomorrow() -> None:
    report = await trusting(*own(begins=1))
    assert outcome(report) == ("TLS", "CertificateNotYetValid")


async def test_a_leaf_may_be_trusted_itself() -> None:
    assert outcome(await trusting(*own())) == ("Done", "ProbeSucceeded")


async def test_a_bundle_with_comments_and_several_authorities() -> None:
    others = [trustme.CA().cert_pem.bytes().decode() for _ in range(2)]
    bundle = "\n".join(["# Főtanúsítvány", *others, AUTHORITY.cert_pem.bytes().decode(), "# ë"])
    assert outcome(await trusting(context(), bundle)) == ("Done", "ProbeSucceeded")


async def test_the_names_of_the_certificate_are_listed() -> None:
    names = ("z.example.com", "a.example.com", "*.b.example.com", "c.d", "e.f", "g.h")
    report, _ = await probed(context(*names), "smtp")
    assert (
        "is not for mail.example.com, only for *.b.example.com, a.example.com, c.d, e.f, g.h:"
        in report.message
    )
    assert report.tls is not None
    assert report.tls.dns_names == sorted(names)


async def test_facts_of_a_good_certificate() -> None:
    report = await trusting(context(days=5), AUTHORITY.cert_pem.bytes().decode())
    facts = report.tls
    assert facts is not None
    assert (facts.version, facts.dns_names) == ("TLSv1.3", [HOST])
    day = (datetime.now(UTC) + timedelta(days=5)).date().isoformat()
    assert (facts.not_after or "").startswith(day)
    assert facts.chain_not_after == facts.not_after


async def test_the_end_of_the_chain_is_that_of_its_first_certificate_to_end() -> None:
    made = context(ca=AUTHORITY.create_child_ca())
    report = await trusting(made, AUTHORITY.cert_pem.bytes().decode())
    assert report.tls is not None
    assert report.tls.chain_not_after is not None
    assert report.tls.chain_not_after <= (report.tls.not_after or "")


async def test_only_old_tls() -> None:
    made = context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the ssl module deprecates what is tested here
        made.minimum_version = ssl.TLSVersion.TLSv1
        made.maximum_version = ssl.TLSVersion.TLSv1_1
    made.set_ciphers("ALL:@SECLEVEL=0")
    report, _ = await probed(made, "smtp")
    assert report.reason.value in ("HandshakeFailed", "ProtocolTooOld")
    assert report.stage.value == "TLS"
    assert "TLS 1.2" in report.message


@pytest.mark.parametrize("bundle", ["", "not PEM", "-----BEGIN CERTIFICATE-----\nAAAA"])
async def test_a_bundle_that_is_none(bundle: str) -> None:
    where = replace(endpoint(587, TLSMode.IMPLICIT), ca_bundle=bundle)
    report = await probes(587).smtp(where, None)
    assert outcome(report) == ("TLS", "CABundleInvalid")
