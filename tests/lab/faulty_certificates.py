# SPDX-License-Identifier: Apache-2.0
"""Certificates with faults that `lab.certificates` does not know, servers that show them, and
probes of those."""

from __future__ import annotations

import ssl
from dataclasses import replace
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from lab.certificates import ALWAYS, Issued, Key, Plan, key, named
from lab.hostile import Hostile, Step, answer, smtp_until_auth
from lab.mail_probing import HOST, endpoint, probes
from postroom.api.mailserver import TLSMode
from postroom.mail.report import ProbeReport

WEAK_KEY = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505


class Faults(NamedTuple):
    """What a certificate is like besides its `Plan`."""

    own: Key | None = None
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
    signed = builder.sign(issuer.key if issuer else own, hashes.SHA256())
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
    made: ssl.SSLContext, protocol: str, bundle: str | None, name: str = HOST
) -> tuple[ProbeReport, Hostile]:
    """Probe a server that would take no login; the bundle is all that is trusted, if given."""
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
        report = await (asking.probe(where, None) if smtp else asking.probe(where, None, "INBOX"))
    return report, server
