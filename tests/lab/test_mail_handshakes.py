# SPDX-License-Identifier: Apache-2.0
"""Handshakes that fail, each named by its true cause, with a fix that works.

Covers: weak certificates whose authority is referenced, intermediates and authorities that are out
of date, are none or may not issue, other purposes, several faults at once, required client
certificates in both versions of TLS, what is too old to be spoken with, hosts that a server does
not know, and servers that hang up. Where a fix is a change of ours, it is tried.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from lab.certificates import ALWAYS, Issued, Key, Plan, days, intermediate, key, named, root
from lab.hostile import Hostile, Step, answer, smtp_until_auth
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

ROOT = root()
WORKS = ("Done", "ProbeSucceeded")
PROTOCOLS = ("smtp", "smtp with starttls", "imap", "imap with starttls")
WEAK_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505


class Faults(NamedTuple):
    """What a certificate is like besides its `Plan`."""

    own: Key | None = None
    digest: hashes.HashAlgorithm = hashes.SHA256()
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = ()
    authority: bool | None = None
    pathlen: int | None = None


SOUND = Faults()


def issued(
    issuer: Issued | None, faults: Faults = SOUND, name: str = "leaf", **changes: object
) -> Issued:
    """A certificate with faults that `Plan` does not know."""
    plan = Plan(name, issuer=issuer, **changes)  # type: ignore[arg-type]
    own = faults.own or key(plan.kind, name)
    above = (issuer.certificate, *issuer.above) if issuer else ()
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(above[0].subject if above else named(name))
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(plan.begins)
        .not_valid_after(plan.ends)
    )
    if faults.authority is not None:
        basic = x509.BasicConstraints(faults.authority, faults.pathlen)
        builder = builder.add_extension(basic, critical=True)
    else:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(one) for one in plan.names])
        builder = builder.add_extension(alternatives, critical=False)
    for extension, critical in faults.extensions:
        builder = builder.add_extension(extension, critical=critical)
    signed = builder.sign(issuer.key if issuer else own, faults.digest)
    return Issued(signed, own, above)


def authority(name: str, issuer: Issued | None = None, faults: Faults = SOUND) -> Issued:
    made = faults if faults.authority is not None else faults._replace(authority=True)
    return issued(issuer, made, name, begins=ALWAYS[0], ends=ALWAYS[1])


def with_sha1(certificate: Issued) -> Issued:
    """The same with a signature of SHA-1, which libraries refuse to make: the issuer has RSA."""
    sha256, sha1 = (bytes.fromhex(f"2a864886f70d0101{end}") for end in ("0b", "05"))
    issuer = key("RSA", "RSA Root")
    assert isinstance(issuer, rsa.RSAPrivateKey)
    signed = certificate.certificate.tbs_certificate_bytes.replace(sha256, sha1)
    signature = issuer.sign(signed, padding.PKCS1v15(), hashes.SHA1())  # noqa: S303 - the point
    octets = certificate.certificate.public_bytes(Encoding.DER).replace(sha256, sha1)
    octets = octets[: -len(signature)] + signature
    return replace(certificate, certificate=x509.load_der_x509_certificate(octets))


def server_of(certificate: Issued, **how: bool) -> ssl.SSLContext:
    """A server that shows anything."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.set_ciphers("ALL:@SECLEVEL=0")
    certificate.leaf(**how).configure_cert(made)
    return made


async def probed(
    made: ssl.SSLContext, protocol: str, bundle: str, name: str = HOST
) -> tuple[ProbeReport, Hostile]:
    """Probe a server that would take no login; the bundle is all that is trusted."""
    mode = TLSMode.START_TLS if protocol.endswith("starttls") else TLSMode.IMPLICIT
    smtp = protocol.startswith("smtp")
    steps: tuple[Step, ...]
    if smtp:
        plain = smtp_until_auth(b"STARTTLS", after=("read", b"220 go\r\n", "tls"))
        inner = ("read", b"250 x\r\n", "read")
        steps = (*plain, *inner) if mode is TLSMode.START_TLS else (b"220 x\r\n", *inner)
    else:
        hello: tuple[Step, ...] = (b"* OK [CAPABILITY IMAP4rev1 STARTTLS] x\r\n",)
        upgrade: tuple[Step, ...] = ("read", answer(b"OK go"), "tls")
        steps = (*hello, *(upgrade if mode is TLSMode.START_TLS else ()))
        steps += ("read", answer(b"OK x", b"CAPABILITY IMAP4rev1"), "read")
    async with Hostile(*steps, context=made, implicit=mode is TLSMode.IMPLICIT) as server:
        where = replace(endpoint(server.port, mode), ca_bundle=bundle, server_name=name)
        asking = probes(server.port)
        report = await (asking.smtp(where, None) if smtp else asking.imap(where, None, "INBOX"))
    return report, server


class Case(NamedTuple):
    """A server, what is trusted, how it is called, what is told and what never."""

    server: Callable[[], ssl.SSLContext]
    reason: str
    told: tuple[str, ...]
    never: tuple[str, ...] = ("caBundleRef",)
    bundle: str = ROOT.pem


def weak_authority() -> Issued:
    return authority("Weak Root", faults=Faults(own=WEAK_KEY))


WEAK_ROOT = weak_authority()
EXPIRED_ROOT = issued(None, Faults(authority=True), "Old Root", begins=days(-90), ends=days(-1))
NO_CA = issued(None, Faults(authority=False), "No CA", begins=ALWAYS[0], ends=ALWAYS[1])
SAME_NAME = issued(
    None,
    Faults(own=ec.generate_private_key(ec.SECP256R1()), authority=True),
    "Example Root",
    begins=ALWAYS[0],
    ends=ALWAYS[1],
)
RSA_ROOT = root("RSA Root", "RSA")
CLIENTS = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
NO_SIGNING = (
    x509.KeyUsage(True, False, False, False, False, False, False, False, False),
    True,
)
ELSEWHERE = (x509.NameConstraints([x509.DNSName("example.org")], None), True)

CASES: dict[str, Case] = {
    "RSA of 1024 bits": Case(
        lambda: server_of(issued(ROOT, Faults(own=WEAK_KEY))),
        "CertificateWeak",
        ("has an RSA key of 1024 bits, which is too weak: have it issued anew",),
    ),
    "signed with SHA-1": Case(
        lambda: server_of(with_sha1(issued(RSA_ROOT))),
        "CertificateWeak",
        ("is signed with SHA-1, which is too weak: have it issued anew",),
        bundle=RSA_ROOT.pem,
    ),
    "weak intermediate": Case(
        lambda: server_of(issued(authority("Weak", ROOT, Faults(own=WEAK_KEY)))),
        "CertificateWeak",
        ("An intermediate that ", "has an RSA key of 1024 bits"),
    ),
    "intermediate signed with SHA-1": Case(
        lambda: server_of(issued(with_sha1(authority("Old", RSA_ROOT)))),
        "CertificateWeak",
        ("An intermediate that ", "is signed with SHA-1"),
        bundle=RSA_ROOT.pem,
    ),
    "weak root": Case(
        lambda: server_of(issued(WEAK_ROOT)),
        "CertificateWeak",
        ("The authority of ", "has a key that is too weak"),
        bundle=WEAK_ROOT.pem,
    ),
    "weak, and of an unknown authority": Case(
        lambda: server_of(issued(root("Other Root"), Faults(own=WEAK_KEY))),
        "CertificateWeak",
        ("has an RSA key of 1024 bits, which is too weak: have it issued anew",),
    ),
    "expired intermediate": Case(
        lambda: server_of(issued(intermediate(ROOT, ends=days(-1)))),
        "CertificateExpired",
        ("is good, but an intermediate that it is sent with has expired", "itself stays"),
    ),
    "expired root in the bundle": Case(
        lambda: server_of(issued(EXPIRED_ROOT)),
        "CertificateExpired",
        ("is good, but its authority in tls.caBundleRef has expired",),
        never=("renew",),
        bundle=EXPIRED_ROOT.pem,
    ),
    "expired": Case(
        lambda: server_of(issued(ROOT, ends=days(-1))),
        "CertificateExpired",
        ("has expired: renew it on the server.",),
    ),
    "expired, and signed by itself": Case(
        lambda: server_of(issued(None, ends=days(-1))),
        "CertificateUntrusted",
        ("signed by itself alone", "It has also expired: renew it."),
        never=(),
    ),
    "for another name, and signed by itself": Case(
        lambda: server_of(issued(None, names=("a.example",))),
        "CertificateUntrusted",
        ("signed by itself alone", "also not for mail.example.com, only for a.example."),
        never=(),
    ),
    "intermediate of tomorrow": Case(
        lambda: server_of(
            issued(issued(ROOT, Faults(authority=True), "Next", begins=days(1), ends=ALWAYS[1]))
        ),
        "CertificateNotYetValid",
        ("is good, but an intermediate that it is sent with is not valid yet",),
    ),
    "an authority that is none": Case(
        lambda: server_of(issued(NO_CA)),
        "CertificateUntrusted",
        ("may issue none", "reference the server's own certificate"),
        never=("reference its authority",),
        bundle=NO_CA.pem,
    ),
    "an authority that may not sign": Case(
        lambda: server_of(
            issued(authority("Mute", ROOT, Faults(extensions=(NO_SIGNING,), authority=True)))
        ),
        "CertificateUntrusted",
        ("may issue none",),
        never=("reference its authority",),
    ),
    "too many intermediates": Case(
        lambda: server_of(
            issued(authority("B", authority("A", ROOT, Faults(authority=True, pathlen=0))))
        ),
        "CertificateUntrusted",
        ("pathlen",),
        never=("reference its authority",),
    ),
    "made for clients": Case(
        lambda: server_of(issued(ROOT, Faults(extensions=(CLIENTS,)))),
        "CertificateUntrusted",
        ("made for another purpose than servers", "serverAuth"),
    ),
    "name constraints": Case(
        lambda: server_of(
            issued(authority("Org", ROOT, Faults(extensions=(ELSEWHERE,), authority=True)))
        ),
        "CertificateUntrusted",
        ("name constraints",),
        never=("reference its authority",),
    ),
    "another authority of the same name": Case(
        lambda: server_of(issued(SAME_NAME)),
        "CertificateUntrusted",
        ("not signed with the key of the authority that it names",),
        never=("or have the server send",),
    ),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", CASES)
async def test_certificates(name: str, protocol: str) -> None:
    case = CASES[name]
    report, server = await probed(case.server(), protocol, case.bundle)
    assert outcome(report) == ("TLS", case.reason), report.message
    assert [one for one in case.told if one not in report.message] == [], report.message
    assert [one for one in case.never if one in report.message] == [], report.message
    assert f"{HOST}:{server.port}" in report.message
    assert report.tls is not None
    assert report.tls.version is None


async def test_the_certificate_itself_may_be_trusted_instead_of_no_authority() -> None:
    leaf = issued(NO_CA)
    report, _ = await probed(server_of(leaf), "smtp", leaf.pem)
    assert outcome(report) == WORKS


def demanding(version: ssl.TLSVersion, *, needs: bool = True) -> ssl.SSLContext:
    made = context()
    made.minimum_version = made.maximum_version = version
    AUTHORITY.configure_trust(made)
    made.verify_mode = ssl.CERT_REQUIRED if needs else ssl.CERT_OPTIONAL
    return made


VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
TRUSTED = AUTHORITY.cert_pem.bytes().decode()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_required_client_certificate(version: str, protocol: str) -> None:
    report, _ = await probed(demanding(VERSIONS[version]), protocol, TRUSTED)
    assert outcome(report) == ("TLS", "ClientCertificateRequired")
    assert "asks for a client certificate and lets nobody in without one" in report.message
    assert report.conclusive


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_client_certificate_that_is_only_asked_for(version: str, protocol: str) -> None:
    report, _ = await probed(demanding(VERSIONS[version], needs=False), protocol, TRUSTED)
    assert outcome(report) == WORKS


async def test_a_server_that_hangs_up_for_another_reason_wants_no_certificate() -> None:
    async with Hostile("close", context=context(), implicit=True) as server:
        report = await probes(server.port).smtp(endpoint(server.port, TLSMode.IMPLICIT), None)
    assert outcome(report) == ("Greeting", "ProbeInconclusive")
    assert "certificate" not in report.message


def speaking(ciphers: str, *versions: ssl.TLSVersion, kind: str = "RSA") -> ssl.SSLContext:
    made = Plan(kind=kind, issuer=ROOT).issue().context()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the ssl module deprecates what is tested here
        made.minimum_version, made.maximum_version = versions or (ssl.TLSVersion.TLSv1_2,) * 2
    made.set_ciphers(f"{ciphers}:@SECLEVEL=0")
    return made


OLD = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1)
NEARLY_OLD = (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1)
HANDSHAKES: dict[str, tuple[Callable[[], ssl.SSLContext], str, str]] = {
    "RSA key exchange": (
        lambda: speaking("AES256-GCM-SHA384"),
        "HandshakeFailed",
        "only cipher suites with RSA key exchange, without forward secrecy (AES256-GCM-SHA384): "
        "enable ECDHE cipher suites or TLS 1.3 on the server.",
    ),
    "RSA key exchange with CBC": (
        lambda: speaking("AES128-SHA"),
        "HandshakeFailed",
        "without forward secrecy (AES128-SHA)",
    ),
    "outdated ciphers": (
        lambda: speaking("ECDHE-RSA-AES128-SHA"),
        "HandshakeFailed",
        "only outdated cipher suites (ECDHE-RSA-AES128-SHA)",
    ),
    "TLS 1.0": (
        lambda: speaking("ALL", *OLD),
        "ProtocolTooOld",
        "speaks TLS 1.0 and no TLS 1.2 or newer: enable TLS 1.2 or 1.3 on the server.",
    ),
    "TLS 1.1": (lambda: speaking("ALL", *NEARLY_OLD), "ProtocolTooOld", "speaks TLS 1.1 and no"),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", HANDSHAKES)
async def test_what_is_too_old(name: str, protocol: str) -> None:
    server, reason, told = HANDSHAKES[name]
    report, _ = await probed(server(), protocol, ROOT.pem)
    assert outcome(report) == ("TLS", reason)
    assert told in report.message
    assert "firewall" not in report.message


def refusing_names(listening: socket.socket, made: ssl.SSLContext) -> None:
    """Shake hands twice; asyncio's server would swallow the alert."""
    for _ in range(2):
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            made.wrap_socket(connection, server_side=True)


async def test_a_name_that_the_server_does_not_have() -> None:
    made = context()

    def refuse(_: object, __: str | None, ___: ssl.SSLContext) -> int | None:
        return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME

    made.sni_callback = refuse  # type: ignore[assignment]
    with socket.create_server(("127.0.0.1", 0)) as listening:
        task = asyncio.create_task(asyncio.to_thread(refusing_names, listening, made))
        port = listening.getsockname()[1]
        report = await probes(port).smtp(endpoint(port, TLSMode.IMPLICIT), None)
        await task
    assert outcome(report) == ("TLS", "HandshakeFailed")
    assert "no certificate for the name mail.example.com" in report.message
    assert "set tls.serverName" in report.message


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("protocol", ["smtp", "imap"])
async def test_who_hangs_up_is_no_firewall(how: str, protocol: str) -> None:
    async with Hostile(how) as server:
        where = endpoint(server.port, TLSMode.IMPLICIT)
        asking = probes(server.port)
        smtp = protocol == "smtp"
        report = await (asking.smtp(where, LOGIN) if smtp else asking.imap(where, LOGIN, "INBOX"))
    assert outcome(report) == ("TLS", "HandshakeFailed")
    assert "breaks off the TLS handshake" in report.message
    assert "firewall" not in report.message


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_who_hangs_up_in_the_clear_is_no_firewall(how: str) -> None:
    async with Hostile(how) as server:
        report = await probes(server.port).smtp(endpoint(server.port), None)
    assert outcome(report) == ("Greeting", "ProbeInconclusive")
    assert "firewall" not in report.message
