# SPDX-License-Identifier: Apache-2.0
"""TLS: one context per trust set, certificate facts, and what a failed handshake means.

Verification is always on. Building a context costs 70 to 95 ms of CPU, hence the sharing.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
import ssl
from collections import OrderedDict
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from postroom.api.mailserver import ProbeStage, TLSFacts
from postroom.api.reasons import Reason
from postroom.mail.dial import Failure
from postroom.mail.report import Endpoint

_BUNDLE_LIMIT = 256 * 1024
_CONTEXTS_LIMIT = 64
_NAMES_SHOWN = 5


class TrustStore:
    """Shared contexts by trust set, built in a thread; the least recently used go first."""

    def __init__(self) -> None:
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()
        self._building = asyncio.Lock()

    async def context(self, ca_bundle: str | None) -> ssl.SSLContext:
        """Return the context that trusts a bundle, or the public authorities.

        Raises `Failure` for a bundle that cannot be read.
        """
        key = hashlib.sha256(ca_bundle.encode()).hexdigest() if ca_bundle is not None else ""
        async with self._building:
            context = self._contexts.get(key)
            if context is None:
                context = await asyncio.to_thread(_build, ca_bundle)
                self._contexts[key] = context
            self._contexts.move_to_end(key)
            while len(self._contexts) > _CONTEXTS_LIMIT:
                self._contexts.popitem(last=False)
        return context


def _build(ca_bundle: str | None) -> ssl.SSLContext:
    broken = Failure(
        ProbeStage.TLS,
        Reason.CA_BUNDLE_INVALID,
        "The CA bundle holds no readable PEM certificate: mend the data under the referenced key.",
    )
    if ca_bundle is not None and (
        len(ca_bundle) > _BUNDLE_LIMIT or "BEGIN CERTIFICATE" not in ca_bundle
    ):
        raise broken
    try:
        context = ssl.create_default_context(cadata=ca_bundle)
    except (ssl.SSLError, ValueError):
        raise broken from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


_CERTIFICATE_REASONS = {
    10: Reason.CERTIFICATE_EXPIRED,
    9: Reason.CERTIFICATE_NOT_YET_VALID,
    62: Reason.CERTIFICATE_NAME_MISMATCH,
    64: Reason.CERTIFICATE_NAME_MISMATCH,
}


def failure_of(error: BaseException, endpoint: Endpoint, facts: TLSFacts | None) -> Failure:
    """Say what an error during the handshake means."""
    place = f"{endpoint.host}:{endpoint.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        # The verify code is stable, the text is not.
        reason = _CERTIFICATE_REASONS.get(error.verify_code, Reason.CERTIFICATE_UNTRUSTED)
        return Failure(ProbeStage.TLS, reason, _certificate_sentence(reason, endpoint, facts))
    text = str(error).upper()
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        message = (
            f"{place} does not begin with TLS: set tls.mode to StartTLS, or use the port for "
            "implicit TLS (465 or 993)."
        )
        return Failure(ProbeStage.TLS, Reason.HANDSHAKE_FAILED, message)
    if "UNSUPPORTED_PROTOCOL" in text or "PROTOCOL_VERSION" in text:
        message = f"{place} speaks no TLS 1.2 or newer: enable it on the server."
        return Failure(ProbeStage.TLS, Reason.PROTOCOL_TOO_OLD, message)
    message = f"TLS with {place} could not be negotiated: check tls.mode against the port."
    return Failure(ProbeStage.TLS, Reason.HANDSHAKE_FAILED, message)


def _certificate_sentence(reason: Reason, endpoint: Endpoint, facts: TLSFacts | None) -> str:
    place = f"{endpoint.host}:{endpoint.port}"
    match reason:
        case Reason.CERTIFICATE_EXPIRED:
            return f"The certificate of {place} has expired: renew it on the server."
        case Reason.CERTIFICATE_NOT_YET_VALID:
            return f"The certificate of {place} is not valid yet: check both clocks."
        case Reason.CERTIFICATE_NAME_MISMATCH:
            names = ", ".join(facts.dns_names[:_NAMES_SHOWN]) if facts else ""
            shown = f", only for {names}" if names else ""
            return (
                f"The certificate of {place} is not for {endpoint.server_name}{shown}: use one of "
                "its names as host, or set tls.serverName."
            )
        case _:
            return (
                f"No trusted authority vouches for the certificate of {place}: reference its "
                "authority in tls.caBundleRef, or have the server send its intermediate."
            )


async def look_at_certificate(connection: socket.socket, endpoint: Endpoint) -> TLSFacts | None:
    """Shake hands once more without verification, only to say what the certificate is.

    Nothing is sent after the handshake. Closes the socket.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        _, writer = await asyncio.open_connection(
            sock=connection, ssl=context, server_hostname=endpoint.server_name
        )
    except (OSError, ssl.SSLError):
        connection.close()
        return None
    try:
        shown = facts_of(writer.get_extra_info("ssl_object"))
        # Not verified: the version would read as if it had been.
        return shown.model_copy(update={"version": None, "cipher": None}) if shown else None
    finally:
        writer.transport.abort()


def facts_of(connection: ssl.SSLObject | None) -> TLSFacts | None:
    """Return what status says of a connection's TLS and of the certificate shown."""
    if connection is None:
        return None
    chain = _chain(connection)
    cipher = connection.cipher()
    if not chain:
        return TLSFacts(version=connection.version(), cipher=cipher[0] if cipher else None)
    leaf = chain[0]
    return TLSFacts(
        version=connection.version(),
        cipher=cipher[0] if cipher else None,
        subject=_common_name(leaf.subject),
        issuer=_common_name(leaf.issuer),
        dns_names=_dns_names(leaf),
        not_after=_timestamp(leaf.not_valid_after_utc),
        chain_not_after=_timestamp(min(one.not_valid_after_utc for one in chain)),
    )


def _chain(connection: ssl.SSLObject) -> list[x509.Certificate]:
    """The certificates as the server sent them, leaf first."""
    encoded: list[bytes] = []
    inner = getattr(connection, "_sslobj", None)
    if hasattr(connection, "get_unverified_chain"):
        encoded = list(connection.get_unverified_chain())
    elif inner is not None:
        # Public only from Python 3.13 on; 2 asks for DER.
        encoded = [one.public_bytes(2) for one in inner.get_unverified_chain() or ()]
    if not encoded and (leaf := connection.getpeercert(binary_form=True)):
        encoded = [leaf]
    chain = []
    for one in encoded[:10]:
        try:
            chain.append(x509.load_der_x509_certificate(one))
        except ValueError:
            break
    return chain


def _common_name(name: x509.Name) -> str:
    names = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    text = str(names[0].value) if names else name.rfc4514_string()
    return _printable(text)


def _dns_names(certificate: x509.Certificate) -> list[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return []
    found = extension.value.get_values_for_type(x509.DNSName)
    return sorted({_printable(one) for one in found})[:32]


def _printable(text: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", text)[:256]


def _timestamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
