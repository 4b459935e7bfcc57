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
from typing import Any, NamedTuple

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from lab.certificates import ALWAYS, KEYS, Issued, Plan, days, intermediate, root
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
from postroom.mail.connect.certificate import lacks_intermediate
from postroom.mail.report import ProbeReport
from postroom.reconcile.signing_in.certificates import warnings_of

ROOT = root()
#: Where its issuer's certificate would be; nobody fetches it.
ISSUER_URL = "http://ca.example.com/intermediate.crt"
LEAF = "mail certificate"
TRUSTED = AUTHORITY.cert_pem.bytes().decode() + ROOT.pem
WORKS = ("Done", "ProbeSucceeded")


def own(*, begins: int = -1) -> Issued:
    """A certificate that signs itself and begins in so many days."""
    return Plan(begins=days(begins), ends=days(9)).issue()


def good(kind: str = "EC", ends: float = 90) -> Issued:
    """A certificate of an intermediate of `ROOT`."""
    issuer = intermediate(ROOT, kind)
    return Plan(LEAF, kind=kind, issuer=issuer, ends=days(ends), issuer_url=ISSUER_URL).issue()


def issued(kind: str, issuer: Issued = ROOT, **changes: Any) -> ssl.SSLContext:
    return Plan(LEAF, kind=kind, issuer=issuer, **changes).issue().context()


class Bad(NamedTuple):
    """A faulty certificate, by the kind of its key; what it is called, and how that is told."""

    make: Callable[[str], ssl.SSLContext]
    reason: str
    told: str


BAD = {
    "other name": Bad(
        lambda kind: issued(kind, names=("other.example.com",)),
        "CertificateNameMismatch",
        "is not for mail.example.com, only for other.example.com: use one of its names as host, or "
        "set tls.serverName.",
    ),
    "an address": Bad(
        lambda kind: context("192.0.2.1", ca=AUTHORITY),
        "CertificateNameMismatch",
        "is not for mail.example.com: use one of its names as host, or set tls.serverName.",
    ),
    "expired": Bad(
        lambda kind: issued(kind, ends=days(-1)),
        "CertificateExpired",
        "has expired: renew it on the server.",
    ),
    "expired intermediate": Bad(
        lambda kind: issued(kind, intermediate(ROOT, kind, ends=days(-1))),
        "CertificateExpired",
        "has expired: renew it on the server.",
    ),
    "not yet valid": Bad(
        lambda kind: issued(kind, begins=days(1)),
        "CertificateNotYetValid",
        "is not valid yet: check its dates and the clocks of both sides.",
    ),
    "other authority": Bad(
        lambda kind: issued(kind, root("Other Root", kind)),
        "CertificateUntrusted",
        "No trusted authority vouches for the certificate of {}: reference its authority in "
        "tls.caBundleRef, or have the server send its intermediate.",
    ),
    "other authority that is shown": Bad(
        lambda kind: Plan(kind=kind, issuer=root("Other Root", kind)).issue().context(root=True),
        "CertificateUntrusted",
        "comes from an authority that is not trusted: reference that authority in tls.caBundleRef",
    ),
    "self-signed": Bad(
        lambda kind: Plan(kind=kind).issue().context(),
        "CertificateUntrusted",
        "is signed by itself alone: have an authority issue one, or reference this one in "
        "tls.caBundleRef.",
    ),
    "no intermediate": Bad(
        lambda kind: good(kind).context(intermediates=False),
        "CertificateChainIncomplete",
        "{} sends its certificate without the intermediate that vouches for it: have the server "
        "send the whole chain or, if the authority is a private one, reference it in "
        "tls.caBundleRef.",
    ),
}


async def probed(
    made: ssl.SSLContext, protocol: str, *trusted: trustme.CA
) -> tuple[ProbeReport, Hostile]:
    """Probe a server with this certificate that would take a login."""
    mode = TLSMode.START_TLS if protocol == "smtp with starttls" else TLSMode.IMPLICIT
    plain = smtp_until_auth(b"STARTTLS", after=("read", b"220 go\r\n", "tls", "read"))
    steps: tuple[Step, ...] = plain if mode is TLSMode.START_TLS else (b"220 x\r\n", "read")
    async with Hostile(*steps, context=made, implicit=mode is TLSMode.IMPLICIT) as server:
        bundle = "".join(one.cert_pem.bytes().decode() for one in trusted) or TRUSTED
        where = replace(endpoint(server.port, mode), ca_bundle=bundle)
        asking = probes(server.port)
        if protocol == "imap":
            return await asking.probe(where, LOGIN, "INBOX"), server
        return await asking.probe(where, LOGIN), server


@pytest.mark.parametrize("protocol", ["smtp", "smtp with starttls", "imap"])
@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("name", BAD)
async def test_bad_certificates(name: str, kind: str, protocol: str) -> None:
    bad = BAD[name]
    report, server = await probed(bad.make(kind), protocol)
    assert outcome(report) == ("TLS", bad.reason)
    place = f"{HOST}:{server.port}"
    assert bad.told.format(place) in report.message
    assert place in report.message
    assert report.tls is not None
    assert report.tls.not_after is not None
    assert (report.tls.version, report.tls.cipher) == (None, None)
    assert set(server.received) <= {b"EHLO postroom.invalid\r\n", b"STARTTLS\r\n"}


@pytest.mark.parametrize("protocol", ["smtp", "smtp with starttls", "imap"])
@pytest.mark.parametrize("kind", KEYS)
async def test_facts_of_a_chain(kind: str, protocol: str) -> None:
    """The same, whether it is trusted or not."""
    ends, sooner = days(90), days(5)
    above = intermediate(ROOT, kind, ends=sooner)
    names = ("mail.example.com", "*.example.org", "a.example.net")
    leaf = Plan(LEAF, names, kind, ends=ends, issuer=above).issue()
    report, _ = await probed(leaf.context(), protocol)
    assert report.stage.value != "TLS"
    facts = report.tls
    assert facts is not None
    assert (facts.version, facts.subject, facts.issuer) == ("TLSv1.3", LEAF, "Example Intermediate")
    assert facts.dns_names == sorted(names)
    assert (facts.not_after, facts.chain_not_after) == (written(ends), written(sooner))
    where_untrusted = replace(leaf, above=(above.certificate, root("Other Root").certificate))
    unverified, _ = await probed(where_untrusted.context(), protocol, AUTHORITY)
    assert outcome(unverified) == ("TLS", "CertificateUntrusted")
    assert unverified.tls is not None
    seen = unverified.tls.model_dump(exclude_none=True)
    assert seen == facts.model_dump(exclude={"version", "cipher"}, exclude_none=True)


def written(moment: datetime) -> str:
    """As status writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_a_private_authority_may_send_no_intermediate_because_there_is_none() -> None:
    """What is shown alone and does not say where its issuer is may come from a root."""
    report, _ = await probed(good_without_url().context(intermediates=False), "smtp")
    assert outcome(report) == ("TLS", "CertificateUntrusted")


def good_without_url() -> Issued:
    return Plan(LEAF, issuer=intermediate(ROOT)).issue()


ALONE = Plan(LEAF, (HOST,), "EC", *ALWAYS, intermediate(ROOT), issuer_url=ISSUER_URL).issue()
OCTETS = ALONE.certificate.public_bytes(Encoding.DER)


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(st.integers(0, len(OCTETS) - 1), st.binary(min_size=1, max_size=4))
def test_reading_where_an_issuer_is_never_raises(place: int, other: bytes) -> None:
    assert lacks_intermediate([OCTETS])
    assert not lacks_intermediate([OCTETS, OCTETS])
    assert not lacks_intermediate([])
    spoilt = OCTETS[:place] + other + OCTETS[place + len(other) :]
    assert lacks_intermediate([spoilt]) in (True, False)


async def test_a_missing_intermediate_may_be_trusted_itself() -> None:
    leaf = good()
    bundle = Issued(leaf.above[0], leaf.key).pem
    assert outcome(await trusting(leaf.context(intermediates=False), bundle)) == WORKS


async def trusting(made: ssl.SSLContext, bundle: str) -> ProbeReport:
    """Probe a server with this certificate, trusting this bundle."""
    steps: tuple[Step, ...] = smtp_until_auth(b"SIZE 1", after=("read",))
    async with Hostile(*steps, context=made, implicit=True) as server:
        where = replace(endpoint(server.port, TLSMode.IMPLICIT), ca_bundle=bundle)
        return await probes(server.port).probe(where, None)


async def test_a_certificate_of_tomorrow() -> None:
    tomorrow = own(begins=1)
    report = await trusting(tomorrow.context(), tomorrow.pem)
    assert outcome(report) == ("TLS", "CertificateNotYetValid")


async def test_a_leaf_may_be_trusted_itself() -> None:
    made = own()
    assert outcome(await trusting(made.context(), made.pem)) == WORKS


async def test_a_bundle_with_comments_and_several_authorities() -> None:
    others = [trustme.CA().cert_pem.bytes().decode() for _ in range(2)]
    bundle = "\n".join(["# Főtanúsítvány", *others, AUTHORITY.cert_pem.bytes().decode(), "# ë"])
    assert outcome(await trusting(context(), bundle)) == WORKS


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
    began = datetime.now(UTC)
    report = await trusting(context(days=5), AUTHORITY.cert_pem.bytes().decode())
    facts = report.tls
    assert facts is not None
    assert (facts.version, facts.dns_names) == ("TLSv1.3", [HOST])
    days = {(each + timedelta(days=5)).date().isoformat() for each in (began, datetime.now(UTC))}
    assert (facts.not_after or "")[:10] in days
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
    report = await probes(587).probe(where, None)
    assert outcome(report) == ("TLS", "CABundleInvalid")


@pytest.mark.parametrize("protocol", ["smtp", "smtp with starttls", "imap"])
async def test_a_common_name_is_taken_and_warned_of(protocol: str) -> None:
    made = Plan(HOST, names=(), issuer=ROOT).issue().context()
    report, _ = await probed(made, protocol)
    assert report.stage.value != "TLS"
    told = warnings_of(report.tls, protocol, HOST, datetime.now(UTC))
    assert [each.code for each in told] == ["CERTIFICATE_NAME_IN_SUBJECT"]
    # Where it has DNS names, the subject does not count.
    other = Plan(HOST, names=("other.example.com",), issuer=ROOT).issue().context()
    report, _ = await probed(other, protocol)
    assert outcome(report) == ("TLS", "CertificateNameMismatch")
