# SPDX-License-Identifier: Apache-2.0
"""Certificates in a closed loop: what a finding names is done, and nothing else, until it works.

Covers: every fault that `postroom.mail.connect.certificate_faults` names, each of the ways out
that its sentence offers, several faults at once, client certificates in both versions of TLS,
handshakes.
"""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from lab.certificates import ALWAYS, Issued, Plan, days, root
from lab.faulty_certificates import (
    WEAK_KEY,
    Faults,
    authority,
    issued,
    probed,
    server_of,
    with_sha1,
)
from lab.mail_probing import (
    AUTHORITY,
    HOST,
    context,
    nothing_leaks,  # noqa: F401 - a fixture
    outcome,
)

PROTOCOLS = ("smtp", "smtp with starttls", "imap", "imap with starttls")
WORKS = ("Done", "ProbeSucceeded")
ROOT, OTHER = root(), root("Other Root")
RSA_ROOT = root("RSA Root", "RSA")
#: Where an issuer's certificate would be; nobody fetches it.
ISSUER_URL = "http://ca.example.com/intermediate.crt"
EXPIRED: Mapping[str, Any] = {"begins": days(-90), "ends": days(-1)}
TOMORROW = {"begins": days(1), "ends": days(90)}
CLIENTS = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
SERVERS = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
NO_SIGNING = (x509.KeyUsage(True, *[False] * 8), True)
ELSEWHERE = (x509.NameConstraints([x509.DNSName("example.org")], None), True)


@dataclass(frozen=True)
class State:
    """What the server shows, what is referenced, and the name that is looked for."""

    certificate: Issued
    bundle: str = ROOT.pem
    name: str = HOST
    intermediates: bool = True
    root: bool = False

    def server(self) -> ssl.SSLContext:
        return server_of(self.certificate, intermediates=self.intermediates, root=self.root)


@dataclass(frozen=True)
class Loop:
    """A broken state, and what is told and done until it works: the last state does."""

    broken: State
    steps: tuple[tuple[str, State], ...]


@cache
def between(issuer: Issued, **changes: Any) -> Issued:
    """An intermediate, whose key stays when it is renewed."""
    dates = {"begins": ALWAYS[0], "ends": ALWAYS[1], **changes}
    return issued(issuer, Faults(authority=True), "Between", **dates)


def below(issuer: Issued, **changes: Any) -> Issued:
    return issued(issuer, **changes)


def with_issuer_of(leaf: Issued, issuer: Issued) -> Issued:
    """The same certificate, sent with others above it."""
    return replace(leaf, above=(issuer.certificate, *issuer.above))


GOOD = below(ROOT)
ALONE = Plan("leaf", issuer=between(ROOT), issuer_url=ISSUER_URL).issue()
OLD_ROOT = issued(None, Faults(authority=True), "Root", **EXPIRED)
NEW_ROOT = issued(None, Faults(authority=True), "Root", begins=ALWAYS[0], ends=ALWAYS[1])
WEAK_ROOT = authority("Weak Root", faults=Faults(own=WEAK_KEY))
NO_CA = issued(None, Faults(authority=False), "No CA", begins=ALWAYS[0], ends=ALWAYS[1])
MUTE = authority("Mute", ROOT, Faults(extensions=(NO_SIGNING,), authority=True))
SHORT = authority("A", ROOT, Faults(authority=True, pathlen=0))
SHORT_ROOT = authority("Short Root", faults=Faults(authority=True, pathlen=0))
FOR_ORG = authority("Org", ROOT, Faults(extensions=(ELSEWHERE,), authority=True))
IMPOSTOR = issued(
    None,
    Faults(own=ec.generate_private_key(ec.SECP256R1()), authority=True),
    "Example Root",
    begins=ALWAYS[0],
    ends=ALWAYS[1],
)
SELF, SELF_EXPIRED = issued(None), issued(None, **EXPIRED)
SELF_ELSEWHERE = issued(None, names=("a.example",))
NAMED_OTHER = below(ROOT, names=("other.example.com", "third.example.com"))
OF_NO_CA, OF_MUTE, OF_ORG = below(NO_CA), below(MUTE), below(FOR_ORG)
TOO_DEEP = below(authority("B", SHORT))
TOO_DEEP_FROM_ROOT = below(authority("C", SHORT_ROOT))
WEAK_LEAF = issued(ROOT, Faults(own=WEAK_KEY))
WEAK_BETWEEN = authority("Weak", ROOT, Faults(own=WEAK_KEY))


def once(broken: State, told: str, fixed: State) -> Loop:
    return Loop(broken, ((told, fixed),))


REFERENCE = "reference that authority in tls.caBundleRef"
LOOPS: dict[str, Loop] = {
    "expired": once(State(below(ROOT, **EXPIRED)), "has expired: renew it", State(GOOD)),
    "expired intermediate": once(
        State(below(between(ROOT, **EXPIRED))),
        "the current one, which takes its place in the chain; the certificate itself stays",
        State(with_issuer_of(below(between(ROOT, **EXPIRED)), between(ROOT))),
    ),
    "expired root in the bundle": once(
        State(below(OLD_ROOT), OLD_ROOT.pem),
        "its authority in tls.caBundleRef has expired: reference the authority's current",
        State(below(OLD_ROOT), NEW_ROOT.pem),
    ),
    "not yet valid": once(State(below(ROOT, **TOMORROW)), "check its dates", State(GOOD)),
    "intermediate of tomorrow": once(
        State(below(between(ROOT, **TOMORROW))),
        "an intermediate that it is sent with is not valid yet",
        State(with_issuer_of(below(between(ROOT, **TOMORROW)), between(ROOT))),
    ),
    "other name: use one of its": once(
        State(NAMED_OTHER),
        "only for other.example.com, third.example.com: use one of its names as host, or set",
        State(NAMED_OTHER, name="third.example.com"),
    ),
    "RSA of 1024 bits: EC": once(
        State(WEAK_LEAF), "have it issued anew, with a key of EC or RSA", State(GOOD)
    ),
    "RSA of 1024 bits: RSA": once(
        State(WEAK_LEAF),
        "RSA of 2048 bits at least and a signature with SHA-256",
        State(below(ROOT, kind="RSA")),
    ),
    "signed with SHA-1": once(
        State(with_sha1(issued(RSA_ROOT)), RSA_ROOT.pem),
        "is signed with SHA-1, which is too weak: have it issued anew",
        State(issued(RSA_ROOT), RSA_ROOT.pem),
    ),
    "weak intermediate": once(
        State(below(WEAK_BETWEEN)),
        "have the certificate issued by an authority with stronger keys and signatures",
        State(below(between(ROOT))),
    ),
    "intermediate signed with SHA-1": once(
        State(below(with_sha1(authority("Old", RSA_ROOT))), RSA_ROOT.pem),
        "have the certificate issued by an authority with stronger keys and signatures",
        State(below(between(RSA_ROOT)), RSA_ROOT.pem),
    ),
    "weak root": once(
        State(below(WEAK_ROOT), WEAK_ROOT.pem),
        "by an authority that signs with SHA-256 and has such a key itself",
        State(GOOD),
    ),
    "weak, and of an unknown authority": Loop(
        State(issued(OTHER, Faults(own=WEAK_KEY))),
        (
            ("have it issued anew", State(below(OTHER))),
            ("reference its authority in tls.caBundleRef", State(below(OTHER), OTHER.pem)),
        ),
    ),
    "no intermediate: send it": once(
        State(ALONE, intermediates=False), "have the server send the whole chain", State(ALONE)
    ),
    "no intermediate: reference it": once(
        State(ALONE, intermediates=False),
        "if the authority is a private one, reference it in tls.caBundleRef",
        State(ALONE, between(ROOT).pem, intermediates=False),
    ),
    "no intermediate, and nothing says so": once(
        State(below(between(ROOT)), intermediates=False),
        "or have the server send its intermediate",
        State(below(between(ROOT))),
    ),
    "self-signed: reference it": once(
        State(SELF), "or reference this one in tls.caBundleRef", State(SELF, SELF.pem)
    ),
    "self-signed: issue one": once(State(SELF), "have an authority issue one", State(GOOD)),
    "self-signed and expired": Loop(
        State(SELF_EXPIRED),
        (
            ("It has also expired: renew it.", State(SELF)),
            ("reference this one in tls.caBundleRef", State(SELF, SELF.pem)),
        ),
    ),
    "self-signed and expired, the other way": Loop(
        State(SELF_EXPIRED),
        (
            ("reference this one in tls.caBundleRef", State(SELF_EXPIRED, SELF_EXPIRED.pem)),
            ("has expired: renew it", State(SELF, SELF.pem)),
        ),
    ),
    "self-signed and of another name": Loop(
        State(SELF_ELSEWHERE),
        (
            ("reference this one in tls.caBundleRef", State(SELF_ELSEWHERE, SELF_ELSEWHERE.pem)),
            (
                "use one of its names as host, or set tls.serverName",
                State(SELF_ELSEWHERE, SELF_ELSEWHERE.pem, "a.example"),
            ),
        ),
    ),
    "unknown authority": once(
        State(below(OTHER)),
        "reference its authority in tls.caBundleRef",
        State(below(OTHER), OTHER.pem),
    ),
    "unknown authority that is shown": once(
        State(below(OTHER), root=True), REFERENCE, State(below(OTHER), OTHER.pem, root=True)
    ),
    "another authority of the same name": once(
        State(below(IMPOSTOR)),
        "reference in tls.caBundleRef the one that has issued it",
        State(below(IMPOSTOR), IMPOSTOR.pem),
    ),
    "an authority that is none: a real one": once(
        State(OF_NO_CA, NO_CA.pem), "have it issued by a real authority", State(GOOD)
    ),
    "an authority that is none: the certificate itself": once(
        State(OF_NO_CA, NO_CA.pem),
        "or reference the server's own certificate in tls.caBundleRef",
        State(OF_NO_CA, OF_NO_CA.pem),
    ),
    "an authority that may not sign": once(
        State(OF_MUTE), "have it issued by a real authority", State(below(between(ROOT)))
    ),
    "made for clients": once(
        State(issued(ROOT, Faults(extensions=(CLIENTS,)))),
        "have it issued anew with serverAuth",
        State(issued(ROOT, Faults(extensions=(SERVERS,)))),
    ),
    "too many intermediates": once(
        State(TOO_DEEP), "have it issued by the authority that sets this limit", State(below(SHORT))
    ),
    "too many intermediates below the root": once(
        State(TOO_DEEP_FROM_ROOT, SHORT_ROOT.pem),
        "have it issued by the authority that sets this limit",
        State(below(SHORT_ROOT), SHORT_ROOT.pem),
    ),
    "name constraints": once(
        State(OF_ORG), "have it issued by another", State(below(between(ROOT)))
    ),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", LOOPS)
async def test_what_is_named_works(name: str, protocol: str) -> None:
    loop = LOOPS[name]
    state = loop.broken
    for told, fixed in loop.steps:
        report, _ = await probed(state.server(), protocol, state.bundle, state.name)
        assert report.stage.value == "TLS", report.message
        assert told in report.message
        state = fixed
    report, _ = await probed(state.server(), protocol, state.bundle, state.name)
    assert outcome(report) == WORKS, report.message


async def test_a_name_set_for_the_certificate_is_the_one_that_is_looked_for() -> None:
    """With tls.serverName the host that is dialled stays what it is."""
    state = State(NAMED_OTHER)
    report, _ = await probed(state.server(), "smtp", state.bundle, "other.example.com")
    assert outcome(report) == WORKS


async def test_a_public_authority_that_has_expired(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Where nothing is referenced the system's authorities are trusted: here these two."""
    trusted = tmp_path_factory.mktemp("trusted") / "all.pem"
    trusted.write_text(OLD_ROOT.pem + ROOT.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    monkeypatch.setenv("SSL_CERT_DIR", str(trusted.parent / "none"))
    report, _ = await probed(server_of(below(OLD_ROOT)), "smtp", None)
    assert outcome(report) == ("TLS", "CertificateExpired")
    assert "have the server send a chain that ends at a current one" in report.message
    report, _ = await probed(server_of(GOOD), "smtp", None)
    assert outcome(report) == WORKS


VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("fix", [ssl.CERT_NONE, ssl.CERT_OPTIONAL])
async def test_a_client_certificate_that_is_no_longer_required(
    version: str, protocol: str, fix: ssl.VerifyMode
) -> None:
    """It may be asked for no more, or those without one accepted."""
    bundle = AUTHORITY.cert_pem.bytes().decode()
    made = context()
    made.minimum_version = made.maximum_version = VERSIONS[version]
    AUTHORITY.configure_trust(made)
    made.verify_mode = ssl.CERT_REQUIRED
    report, _ = await probed(made, protocol, bundle)
    assert outcome(report) == ("TLS", "ClientCertificateRequired")
    assert "ask for none on this port, or accept clients without one" in report.message
    made.verify_mode = fix
    report, _ = await probed(made, protocol, bundle)
    assert outcome(report) == WORKS


def old(made: ssl.SSLContext) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the ssl module deprecates what is tested here
        made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_1


def only(ciphers: str) -> Callable[[ssl.SSLContext], None]:
    def change(made: ssl.SSLContext) -> None:
        made.maximum_version = ssl.TLSVersion.TLSv1_2
        made.set_ciphers(f"{ciphers}:@SECLEVEL=0")

    return change


def new(made: ssl.SSLContext) -> None:
    made.maximum_version = ssl.TLSVersion.TLSv1_3


def at_least(version: ssl.TLSVersion) -> Callable[[ssl.SSLContext], None]:
    def change(made: ssl.SSLContext) -> None:
        made.maximum_version = version
        made.minimum_version = version

    return change


#: Change -> what is told, and every way out of it.
HANDSHAKES: dict[
    str, tuple[Callable[[ssl.SSLContext], None], str, tuple[Callable[[ssl.SSLContext], None], ...]]
] = {
    "TLS 1.1": (
        old,
        "enable TLS 1.2 or 1.3 on the server",
        tuple(at_least(one) for one in VERSIONS.values()),
    ),
    "RSA key exchange": (
        only("AES256-GCM-SHA384"),
        "enable ECDHE cipher suites or TLS 1.3",
        (only("ECDHE-RSA-AES256-GCM-SHA384"), new),
    ),
    "outdated ciphers": (
        only("ECDHE-RSA-AES128-SHA"),
        "enable ECDHE with AES-GCM or ChaCha20, or TLS 1.3",
        (only("ECDHE-RSA-AES128-GCM-SHA256"), only("ECDHE-RSA-CHACHA20-POLY1305"), new),
    ),
}


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", HANDSHAKES)
async def test_handshakes(name: str, protocol: str) -> None:
    break_it, told, ways = HANDSHAKES[name]
    for mend in ways:
        made = server_of(Plan(kind="RSA", issuer=ROOT).issue())
        break_it(made)
        report, _ = await probed(made, protocol, ROOT.pem)
        assert report.stage.value == "TLS"
        assert told in report.message
        mend(made)
        report, _ = await probed(made, protocol, ROOT.pem)
        assert outcome(report) == WORKS, report.message
