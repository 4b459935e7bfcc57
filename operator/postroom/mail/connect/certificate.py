# SPDX-License-Identifier: Apache-2.0
"""What status says of a connection's TLS and of the certificates that the server showed.

Certificates come from strangers: what cannot be read is left out, and never ends a probe.
"""

import re
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from pydantic import Field

from postroom.api.mailserver import TEXT_LIMIT, TLSFacts
from postroom.concurrency.bounded import remembered

_CHAIN_LIMIT = 10
_NAMES_LIMIT = 32
_RSA_BITS, _EC_BITS = 2048, 224
_WEAK_DIGESTS = {"sha1": "SHA-1", "md5": "MD5"}

#: What cryptography raises, early or late, for certificates that break X.509.
_UNREADABLE = (
    ValueError,
    TypeError,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


class ShownFacts(TLSFacts):
    """What certificates say that were not verified; only the inherited fields reach status."""

    lacks_intermediate: bool = Field(default=False, exclude=True)
    #: How many were shown.
    count: int = Field(default=0, exclude=True)
    #: Which of those that were shown, leaf first, has expired, or is not valid yet.
    expired: int | None = Field(default=None, exclude=True)
    not_yet_valid: int | None = Field(default=None, exclude=True)
    #: Which of them is too weak, and what is weak of it.
    weakness: tuple[int, str] | None = Field(default=None, exclude=True)


def facts_of(connection: ssl.SSLObject | None) -> TLSFacts | None:
    """Return the version, the cipher and what the certificates say; None without TLS."""
    if connection is None:
        return None
    cipher = connection.cipher()
    chain = tuple(_chain(connection)[:_CHAIN_LIMIT])
    return _facts(chain, connection.version(), cipher[0] if cipher else None)


def shown_facts(connection: ssl.SSLObject | None) -> ShownFacts | None:
    """Return what the certificates of an unverified connection say; None without TLS.

    Without version and cipher, which would read as if it had been verified.
    """
    if connection is None:
        return None
    chain, now = _chain(connection), datetime.now(UTC)
    # Which of them, leaf first, is out of date or too weak.
    expired = not_yet_valid = weakness = None
    for at, der in enumerate(chain[:_CHAIN_LIMIT]):
        certificate = _read(der)
        if certificate is None:
            continue
        begins = _moment_in(certificate, "not_valid_before_utc")
        ends = _moment_in(certificate, "not_valid_after_utc")
        if expired is None and ends is not None and ends < now:
            expired = at
        if not_yet_valid is None and begins is not None and begins > now:
            not_yet_valid = at
        if weakness is None and (why := weakness_of(certificate)) is not None:
            weakness = (at, why)
    return ShownFacts(
        **certificate_facts(chain).model_dump(),
        lacks_intermediate=lacks_intermediate(chain),
        count=len(chain),
        expired=expired,
        not_yet_valid=not_yet_valid,
        weakness=weakness,
    )


def lacks_intermediate(chain: Sequence[bytes]) -> bool:
    """Whether a leaf, in DER, is shown alone that names where its issuer's certificate is.

    Such an issuer (RFC 5280 section 4.2.2.1) is mostly an intermediate.
    """
    leaf = _read(chain[0]) if len(chain) == 1 else None
    if leaf is None:
        return False
    try:
        access = leaf.extensions.get_extension_for_class(x509.AuthorityInformationAccess)
        methods = {description.access_method for description in access.value}
        return AuthorityInformationAccessOID.CA_ISSUERS in methods and leaf.issuer != leaf.subject
    except _UNREADABLE:
        return False


def weakness_of(certificate: x509.Certificate) -> str | None:
    """What is weaker than 112 bits (RFC 9325 section 4.5); who signs itself needs no signature."""
    try:
        key, digest = certificate.public_key(), certificate.signature_hash_algorithm
        self_signed = certificate.issuer == certificate.subject
    except (*_UNREADABLE, UnsupportedAlgorithm):
        return None
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey) and key.key_size < _RSA_BITS:
        kind = "an RSA" if isinstance(key, rsa.RSAPublicKey) else "a DSA"
        return f"has {kind} key of {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < _EC_BITS:
        return f"has an EC key of {key.key_size} bits"
    if digest is not None and digest.name in _WEAK_DIGESTS and not self_signed:
        return f"is signed with {_WEAK_DIGESTS[digest.name]}"
    return None


def certificate_facts(chain: Sequence[bytes]) -> TLSFacts:
    """Return what certificates say, in DER, leaf first; nothing where the leaf is unreadable."""
    return _facts(tuple(chain[:_CHAIN_LIMIT]))


@remembered(64)
def _facts(
    chain: tuple[bytes, ...], version: str | None = None, cipher: str | None = None
) -> TLSFacts:
    """Servers show the same chain at every check, and reading it costs."""
    read = [_read(der) for der in chain]
    leaf = read[0] if read else None
    if leaf is None:
        return TLSFacts(version=version, cipher=cipher)
    found = [_moment_in(item, "not_valid_after_utc") for item in read if item]
    end, ends = found[0], [moment for moment in found if moment]
    return TLSFacts(
        version=version,
        cipher=cipher,
        subject=_name(leaf, "subject"),
        issuer=_name(leaf, "issuer"),
        dns_names=_dns_names(leaf),
        not_after=_timestamp(end) if end else None,
        chain_not_after=_timestamp(min(ends)) if ends else None,
    )


def _chain(connection: ssl.SSLObject) -> list[bytes]:
    """The certificates as the server sent them, leaf first, in DER."""
    inner = getattr(connection, "_sslobj", None)
    if hasattr(connection, "get_unverified_chain"):
        found = list(connection.get_unverified_chain())
    elif inner is not None:
        # Public only from Python 3.13 on; 2 asks for DER.
        found = [certificate.public_bytes(2) for certificate in inner.get_unverified_chain() or ()]
    else:
        found = []
    if not found and (leaf := connection.getpeercert(binary_form=True)):
        found = [leaf]
    return found


def _read(der: bytes) -> x509.Certificate | None:
    try:
        return x509.load_der_x509_certificate(der)
    except _UNREADABLE:
        return None


def _moment_in(certificate: x509.Certificate, field: str) -> datetime | None:
    """When it begins or ends to be valid."""
    try:
        moment: datetime = getattr(certificate, field)
    except _UNREADABLE:
        return None
    return moment


def _name(certificate: x509.Certificate, field: str) -> str | None:
    """The common name, or the whole name where there is none."""
    try:
        name: x509.Name = getattr(certificate, field)
        common = name.get_attributes_for_oid(NameOID.COMMON_NAME)
        return _printable(str(common[0].value) if common else name.rfc4514_string())
    except _UNREADABLE:
        return None


def _dns_names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        found = extension.value.get_values_for_type(x509.DNSName)
    except _UNREADABLE:
        return []
    return sorted({_printable(name) for name in found})[:_NAMES_LIMIT]


def _printable(text: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", text[:TEXT_LIMIT])


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
