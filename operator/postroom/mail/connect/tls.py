# SPDX-License-Identifier: Apache-2.0
"""TLS: one context per trust set, and what a failed handshake means.

Verification is always on. Building a context costs 70 to 95 ms of CPU, hence the sharing.
"""

import hashlib
import ssl

from postroom.api.mailserver import ProbeStage, TLSFacts
from postroom.api.reasons import Reason
from postroom.concurrency import threads
from postroom.concurrency.acting import party
from postroom.concurrency.bounded import BoundedMap
from postroom.concurrency.flights import Flights
from postroom.concurrency.public_trust import client_context, public_context, suite_names
from postroom.concurrency.shortage import Shortage, shortage_in
from postroom.concurrency.tls_faults import TLSFault, fault_in
from postroom.mail.connect.certificate_faults import (
    certificate_reason,
    shown_names,
    what_to_mend,
)
from postroom.mail.connect.dial import Failure, starved
from postroom.mail.connect.handshake import Sight, let_go
from postroom.mail.report import Endpoint

__all__ = [
    "BUNDLE_LIMIT",
    "TrustStore",
    "build_context",
    "certificates_in",
    "failure_of",
    "let_go",
    "shown_names",
    "wants_certificate",
]

#: Longest bundle in characters: reading PEM costs CPU (CVE-2024-12401).
BUNDLE_LIMIT = 256 * 1024
_CONTEXTS_LIMIT = 64
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


class TrustStore:
    """Shared contexts by trust set, built in a thread."""

    def __init__(self, limit: int = _CONTEXTS_LIMIT) -> None:
        self._contexts: BoundedMap[str, ssl.SSLContext] = BoundedMap(limit)
        self._building: Flights[tuple[str, str], ssl.SSLContext] = Flights()

    async def context(self, ca_bundle: str | None, *, common_name: bool = True) -> ssl.SSLContext:
        """The context that trusts a bundle, or the public authorities; not to be changed.

        Without `common_name`, only subjectAltName names a host. Raises `Failure` for a bundle that
        cannot be read, and where we have not the means to read it.
        """
        if ca_bundle is not None and len(ca_bundle) > BUNDLE_LIMIT:
            raise _unreadable_bundle()
        key = ""
        if ca_bundle is not None:
            key = hashlib.sha256(ca_bundle.encode("utf-8", "surrogatepass")).hexdigest()
        key += "" if common_name else " subjectAltName"

        async def build() -> ssl.SSLContext:
            context = await threads.in_thread(build_context, ca_bundle)
            context.hostname_checks_common_name = common_name
            self._contexts.put(key, context)
            return context

        try:
            # Of the own party: that of another may have to wait for whatever else that one builds.
            known = self._contexts.use(key)
            return known or await self._building.join((party(), key), build)
        except Shortage as lack:
            raise starved(ProbeStage.TLS, lack) from lack


def build_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Return a new context that trusts a bundle, or the public authorities; costs CPU.

    Raises `Failure` for a bundle that cannot be read, and `Shortage`.
    """
    try:
        if ca_bundle is None:
            return public_context()
        context = client_context()
        context.load_verify_locations(cadata=certificates_in(ca_bundle))
    except (OSError, ValueError) as error:
        raise shortage_in(error) or _unreadable_bundle() from None
    return context


def certificates_in(bundle: str) -> str:
    """Return the certificates of a PEM bundle without the comments between them (RFC 7468).

    Comments may be in any language, which the ssl module would not take. Raises `ValueError`
    where there is none, or one that does not end.
    """
    blocks = []
    for part in bundle.split(_BEGIN)[1:]:
        body, end, _ = part.partition(_END)
        if not end:
            raise ValueError("a certificate does not end")
        blocks.append(f"{_BEGIN}{body}{_END}\n")
    if not blocks:
        raise ValueError("no certificate")
    text = "".join(blocks)
    if not text.isascii():
        raise ValueError("a certificate is not base64")
    return text


def _unreadable_bundle() -> Failure:
    return Failure(
        ProbeStage.TLS,
        Reason.CA_BUNDLE_INVALID,
        f"The CA bundle is no readable PEM of at most {BUNDLE_LIMIT // 1024} KiB:",
        fix="mend the data under the referenced key.",
    )


def failure_of(
    error: BaseException,
    endpoint: Endpoint,
    facts: TLSFacts | None,
    where_tls_begins: str,
    sight: Sight | None = None,
) -> Failure:
    """What an error during the handshake means.

    `where_tls_begins` is the remedy where the server does not begin with TLS; `sight` is what it
    shows to a client that accepts anything.
    """
    place = f"{endpoint.host}:{endpoint.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = certificate_reason(error.verify_code, facts)
        wrong, fix = what_to_mend(error.verify_code, endpoint, facts)
        return Failure(ProbeStage.TLS, reason, wrong, fix=fix)
    fault = fault_in(error)
    reason = Reason.HANDSHAKE_FAILED
    if fault is TLSFault.NO_TLS:
        wrong = f"{place} does not begin with TLS:"
        return Failure(ProbeStage.TLS, reason, wrong, fix=f"{where_tls_begins}.")
    if fault is TLSFault.CERTIFICATE_WANTED or (sight and sight.wants_certificate):
        return wants_certificate(place)
    ours = fault in (TLSFault.LEGACY_RENEGOTIATION, TLSFault.SMALL_KEY_EXCHANGE)
    if sight is not None and sight.version is not None and (ours or not _would_do(sight)):
        return _not_acceptable(fault, place, sight)
    if sight is not None and sight.version is not None and fault is not TLSFault.OTHER:
        # Neither what we accept nor the server's settings tell the two handshakes apart.
        wrong = f"{place} failed in a TLS handshake, and finished one right after it:"
        fix = "look at its load, and whether all servers behind the name are set up alike."
        return Failure(ProbeStage.TLS, reason, wrong, conclusive=False, fix=fix)
    # What fails whatever the client accepts, or was not tried again.
    if fault is TLSFault.TOO_OLD:
        reason = Reason.PROTOCOL_TOO_OLD
        wrong, fix = f"{place} speaks no TLS 1.2 or newer:", "enable it on the server."
    elif fault is TLSFault.NAME_UNKNOWN:
        wrong = (
            f"{place} has no certificate for the name {endpoint.server_name}, which it was asked "
            "for (SNI):"
        )
        fix = "set tls.serverName to a name that the server has, or add the name there."
    elif fault is TLSFault.INTERNAL_ERROR:
        wrong = f"{place} reports an error of its own in the TLS handshake (internal_error):"
        fix = "look into its log, and at its certificate and key."
    elif fault is TLSFault.BROKEN_OFF:
        wrong = f"{place} breaks off the TLS handshake without a word:"
        fix = (
            "see that TLS 1.2 or newer, a certificate and its key are set up on this port; the "
            "server's log tells more."
        )
    else:
        wrong = f"TLS with {place} could not be negotiated:"
        fix = "check the server's TLS settings and that the port is the right one for the TLS mode."
    return Failure(ProbeStage.TLS, reason, wrong, fix=fix)


def _would_do(sight: Sight) -> bool:
    """Whether we accept the version and the cipher suite that a server has chosen."""
    return sight.version == "TLSv1.3" or (not sight.is_old and sight.cipher in suite_names())


def wants_certificate(place: str) -> Failure:
    """The end of a handshake in which the server asked for what we do not have."""
    wrong = (
        f"{place} asks for a client certificate and lets nobody in without one, and postroom has "
        "none to show:"
    )
    fix = (
        "have the server ask for none on this port, or accept clients without one, or use another "
        "of its ports."
    )
    return Failure(ProbeStage.TLS, Reason.CLIENT_CERTIFICATE_REQUIRED, wrong, fix=fix)


def _not_acceptable(fault: TLSFault, place: str, sight: Sight) -> Failure:
    """A server shakes hands with a client that accepts anything, but not with us."""
    reason = Reason.HANDSHAKE_FAILED
    if sight.is_old:
        shown = {"TLSv1": "TLS 1.0", "TLSv1.1": "TLS 1.1"}.get(str(sight.version), "SSL 3.0")
        wrong = f"{place} speaks {shown} and no TLS 1.2 or newer:"
        fix = "enable TLS 1.2 or 1.3 on the server."
        reason = Reason.PROTOCOL_TOO_OLD
    elif fault is TLSFault.LEGACY_RENEGOTIATION:
        wrong = (
            f"{place} knows no secure renegotiation (RFC 5746), without which a connection can be "
            "taken over:"
        )
        fix = "update the server's TLS library."
    elif fault is TLSFault.SMALL_KEY_EXCHANGE:
        wrong = f"{place} uses Diffie-Hellman parameters that are too weak:"
        fix = "enable ECDHE on the server, or give it parameters of 2048 bits at least."
    elif not sight.has_forward_secrecy:
        wrong = (
            f"{place} offers in TLS 1.2 only cipher suites with RSA key exchange, without forward "
            f"secrecy ({sight.cipher}):"
        )
        fix = "enable ECDHE cipher suites or TLS 1.3 on the server."
    else:
        wrong = f"{place} offers in TLS 1.2 only outdated cipher suites ({sight.cipher}):"
        fix = "enable ECDHE with AES-GCM or ChaCha20, or TLS 1.3, on the server."
    return Failure(ProbeStage.TLS, reason, wrong, fix=fix)
