# SPDX-License-Identifier: Apache-2.0
"""Authorities and certificates with every fault, RSA and EC, as servers have them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from lab.mail_probing import HOST

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
KEYS = ("EC", "RSA")
#: Begin and end of what is good whenever a test runs.
ALWAYS = datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC)


@cache
def key(kind: str, owner: str) -> Key:
    """A key of a kind; always the same for an owner, because RSA's take long to make."""
    if kind == "RSA":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def days(number: float) -> datetime:
    """The time in so many days, without fractions of seconds, which certificates do not have."""
    return datetime.now(UTC).replace(microsecond=0) + timedelta(days=number)


@dataclass(frozen=True)
class Issued:
    """A certificate, its key, and those who issued it, up to the root."""

    certificate: x509.Certificate
    key: Key
    above: tuple[x509.Certificate, ...] = ()

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def leaf(self, *, intermediates: bool = True, root: bool = False) -> trustme.LeafCert:
        """What a server shows: with what is between leaf and root, or not; seldom with the root."""
        shown = [*self.above[:-1], *(self.above[-1:] if root else ())] if intermediates else []
        chain = "".join(one.public_bytes(Encoding.PEM).decode() for one in shown)
        private = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return trustme.LeafCert(private, self.pem.encode(), [chain.encode()] if chain else [])

    def context(self, *, intermediates: bool = True, root: bool = False) -> ssl.SSLContext:
        """The context of a server that shows it."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.leaf(intermediates=intermediates, root=root).configure_cert(made)
        return made


@dataclass(frozen=True)
class Plan:
    """What a certificate says; `issuer` None: it signs itself. `issuer_url` is in its AIA."""

    name: str = HOST
    names: tuple[str, ...] = (HOST,)
    kind: str = "EC"
    begins: datetime = field(default_factory=lambda: days(-10))
    ends: datetime = field(default_factory=lambda: days(90))
    issuer: Issued | None = None
    authority: bool = False
    issuer_url: str | None = None

    def issue(self) -> Issued:
        own = key(self.kind, self.name)
        above = (self.issuer.certificate, *self.issuer.above) if self.issuer else ()
        signer = self.issuer.key if self.issuer else own
        issued = self._builder(own, above).sign(signer, hashes.SHA256())
        return Issued(issued, own, above)

    def _builder(self, own: Key, above: tuple[x509.Certificate, ...]) -> x509.CertificateBuilder:
        subject = named(self.name)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(above[0].subject if above else subject)
            .public_key(own.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.begins)
            .not_valid_after(self.ends)
            .add_extension(x509.BasicConstraints(self.authority, None), critical=True)
        )
        if not self.authority and self.names:
            alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in self.names])
            builder = builder.add_extension(alternatives, critical=False)
        if self.issuer_url is not None:
            place = x509.UniformResourceIdentifier(self.issuer_url)
            access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, place)
            builder = builder.add_extension(
                x509.AuthorityInformationAccess([access]), critical=False
            )
        return builder


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def root(name: str = "Example Root", kind: str = "EC") -> Issued:
    return Plan(name, (), kind, *ALWAYS, authority=True).issue()


def intermediate(issuer: Issued, kind: str = "EC", ends: datetime = ALWAYS[1]) -> Issued:
    return Plan(
        "Example Intermediate", (), kind, ALWAYS[0], ends, issuer=issuer, authority=True
    ).issue()
