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
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from lab.certificates import ALWAYS, Issued, Plan, days, intermediate, root
from lab.faulty_certificates import (
    WEAK_KEY,
    Faults,
    authority,
    issued,
    probed,
    server_of,
    with_sha1,
)
from lab.hostile import Hostile
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

ROOT = root()
WORKS = ("Done", "ProbeSucceeded")
PROTOCOLS = ("smtp", "smtp with starttls", "imap", "imap with starttls")


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
        report = await probes(server.port).probe(endpoint(server.port, TLSMode.IMPLICIT), None)
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

    made.sni_callback = refuse
    with socket.create_server(("127.0.0.1", 0)) as listening:
        task = asyncio.create_task(asyncio.to_thread(refusing_names, listening, made))
        port = listening.getsockname()[1]
        report = await probes(port).probe(endpoint(port, TLSMode.IMPLICIT), None)
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
        report = await (asking.probe(where, LOGIN) if smtp else asking.probe(where, LOGIN, "INBOX"))
    assert outcome(report) == ("TLS", "HandshakeFailed")
    assert "breaks off the TLS handshake" in report.message
    assert "firewall" not in report.message


@pytest.mark.parametrize("how", ["close", "reset"])
async def test_who_hangs_up_in_the_clear_is_no_firewall(how: str) -> None:
    async with Hostile(how) as server:
        report = await probes(server.port).probe(endpoint(server.port), None)
    assert outcome(report) == ("Greeting", "ProbeInconclusive")
    assert "firewall" not in report.message


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_who_hangs_up_once_is_not_judged_by_it(protocol: str) -> None:
    """As under load, or where one of several servers behind a name is at fault."""
    made, shaken = server_of(issued(ROOT)), list[str | None]()

    def refuse_first(_: object, name: str | None, __: ssl.SSLContext) -> int | None:
        shaken.append(name)
        return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR if len(shaken) == 1 else None

    made.sni_callback = refuse_first
    report, _ = await probed(made, protocol, ROOT.pem)
    assert len(shaken) == 2
    assert (*outcome(report), report.conclusive) == ("TLS", "HandshakeFailed", False)
    assert "finished one right after it" in report.message


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_where_the_system_trusts_nobody_no_server_is_to_blame(
    protocol: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    report, _ = await probed(server_of(issued(ROOT)), protocol, None)
    assert (*outcome(report), report.conclusive) == ("TLS", "ResourcesExhausted", False)
    assert "ca-certificates" in report.message and "caBundleRef" not in report.message
    # Whoever names an authority needs none of the system's.
    trusted, _ = await probed(server_of(issued(ROOT)), protocol, ROOT.pem)
    assert outcome(trusted) == WORKS
