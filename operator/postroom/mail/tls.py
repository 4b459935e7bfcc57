# SPDX-License-Identifier: Apache-2.0
"""TLS: one context per trust set, and what a failed handshake means.

Verification is always on. Building a context costs 70 to 95 ms of CPU, hence the sharing.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
import ssl
from collections import OrderedDict

from postroom.api.mailserver import ProbeStage, TLSFacts
from postroom.api.reasons import Reason
from postroom.mail.certificate import ShownFacts, shown_facts
from postroom.mail.dial import Failure
from postroom.mail.report import Endpoint

#: Longest bundle in characters: reading PEM costs CPU (CVE-2024-12401).
BUNDLE_LIMIT = 256 * 1024
_CONTEXTS_LIMIT = 64
_NAMES_SHOWN = 5
_NAME = re.compile(r"(\*\.)?[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63}){0,9}")
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


class TrustStore:
    """Shared contexts by trust set, built in a thread; the least recently used go first."""

    def __init__(self, limit: int = _CONTEXTS_LIMIT) -> None:
        self._contexts: OrderedDict[str, ssl.SSLContext] = OrderedDict()
        self._building = asyncio.Lock()
        self._limit = limit

    async def context(self, ca_bundle: str | None) -> ssl.SSLContext:
        """Return the context that trusts a bundle, or the public authorities.

        Raises `Failure` for a bundle that cannot be read.
        """
        if ca_bundle is not None and len(ca_bundle) > BUNDLE_LIMIT:
            raise _unreadable_bundle()
        key = "" if ca_bundle is None else hashlib.sha256(_bytes(ca_bundle)).hexdigest()
        if key not in self._contexts:
            async with self._building:
                if key not in self._contexts:
                    self._contexts[key] = await asyncio.to_thread(build_context, ca_bundle)
                    if len(self._contexts) > self._limit:
                        self._contexts.popitem(last=False)
        self._contexts.move_to_end(key)
        return self._contexts[key]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def build_context(ca_bundle: str | None) -> ssl.SSLContext:
    """Return a new context that trusts a bundle, or the public authorities; costs CPU.

    Raises `Failure` for a bundle that cannot be read.
    """
    try:
        cadata = None if ca_bundle is None else certificates_in(ca_bundle)
        context = ssl.create_default_context(cadata=cadata)
    except (ssl.SSLError, ValueError):
        raise _unreadable_bundle() from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # As Python 3.13 has it: what the user names may be trusted, be it an intermediate or a leaf.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    # As Python before 3.13 has it: many private authorities lack what RFC 5280 asks of them, and
    # a verdict must not depend on the interpreter.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
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
        f"The CA bundle is no readable PEM of at most {BUNDLE_LIMIT // 1024} KiB: mend the data "
        "under the referenced key.",
    )


_CERTIFICATE_REASONS = {
    9: Reason.CERTIFICATE_NOT_YET_VALID,
    10: Reason.CERTIFICATE_EXPIRED,
    62: Reason.CERTIFICATE_NAME_MISMATCH,
    64: Reason.CERTIFICATE_NAME_MISMATCH,
}


#: The certificate signs itself; one that signs itself ends the chain.
_SELF_SIGNED, _OWN_AUTHORITY = 18, 19
#: Who issued the certificate is neither shown nor trusted.
_ISSUER_UNKNOWN = (20, 21)


def certificate_reason(verify_code: int, facts: TLSFacts | None = None) -> Reason:
    """Say what a failed verification means; the code of OpenSSL is stable, its text is not.

    `facts` are those of the second look, which tell an incomplete chain.
    """
    shown = isinstance(facts, ShownFacts) and facts.lacks_intermediate
    if shown and verify_code in _ISSUER_UNKNOWN:
        return Reason.CERTIFICATE_CHAIN_INCOMPLETE
    return _CERTIFICATE_REASONS.get(verify_code, Reason.CERTIFICATE_UNTRUSTED)


def failure_of(
    error: BaseException, endpoint: Endpoint, facts: TLSFacts | None, where_tls_begins: str
) -> Failure:
    """Say what an error during the handshake means.

    `where_tls_begins` is the remedy where the server does not begin with TLS.
    """
    place = f"{endpoint.host}:{endpoint.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = certificate_reason(error.verify_code, facts)
        if reason is Reason.CERTIFICATE_UNTRUSTED:
            sentence = _untrusted_sentence(error.verify_code, place)
        else:
            sentence = _certificate_sentence(reason, endpoint, facts)
        return Failure(ProbeStage.TLS, reason, sentence)
    text = str(error).upper() if isinstance(error, ssl.SSLError) else ""
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER_FAILURE" in text:
        message = f"{place} does not begin with TLS: {where_tls_begins}."
        return Failure(ProbeStage.TLS, Reason.HANDSHAKE_FAILED, message)
    if "UNSUPPORTED_PROTOCOL" in text or "PROTOCOL_VERSION" in text:
        message = f"{place} speaks no TLS 1.2 or newer: enable it on the server."
        return Failure(ProbeStage.TLS, Reason.PROTOCOL_TOO_OLD, message)
    if not text or "EOF" in text:
        message = (
            f"{place} breaks off the TLS handshake: it may speak no TLS 1.2, or a firewall may "
            "interfere; check the server's TLS settings."
        )
        return Failure(ProbeStage.TLS, Reason.HANDSHAKE_FAILED, message)
    message = (
        f"TLS with {place} could not be negotiated: check the server's TLS settings and that the "
        "port is the right one for the TLS mode."
    )
    return Failure(ProbeStage.TLS, Reason.HANDSHAKE_FAILED, message)


def _certificate_sentence(reason: Reason, endpoint: Endpoint, facts: TLSFacts | None) -> str:
    place = f"{endpoint.host}:{endpoint.port}"
    match reason:
        case Reason.CERTIFICATE_EXPIRED:
            return f"The certificate of {place} has expired: renew it on the server."
        case Reason.CERTIFICATE_NOT_YET_VALID:
            return (
                f"The certificate of {place} is not valid yet: check its dates and the clocks of "
                "both sides."
            )
        case Reason.CERTIFICATE_NAME_MISMATCH:
            names = ", ".join(shown_names(facts.dns_names)) if facts else ""
            shown = f", only for {names}" if names else ""
            return (
                f"The certificate of {place} is not for {endpoint.server_name}{shown}: use one of "
                "its names as host, or set tls.serverName."
            )
        case _:
            return (
                f"{place} sends its certificate without the intermediate that vouches for it: have "
                "the server send the whole chain or, if the authority is a private one, reference "
                "it in tls.caBundleRef."
            )


def _untrusted_sentence(verify_code: int, place: str) -> str:
    if verify_code == _SELF_SIGNED:
        return (
            f"The certificate of {place} is signed by itself alone: have an authority issue one, "
            "or reference this one in tls.caBundleRef."
        )
    if verify_code == _OWN_AUTHORITY:
        return (
            f"The certificate of {place} comes from an authority that is not trusted: reference "
            "that authority in tls.caBundleRef, or use a certificate of a public one."
        )
    return (
        f"No trusted authority vouches for the certificate of {place}: reference its authority in "
        "tls.caBundleRef, or have the server send its intermediate."
    )


def shown_names(names: list[str]) -> list[str]:
    """Pick the names of a certificate that a message may show: few, sorted, and only names."""
    return sorted(one for one in names if len(one) <= 80 and _NAME.fullmatch(one))[:_NAMES_SHOWN]


async def look_at_certificate(connection: socket.socket, endpoint: Endpoint) -> TLSFacts | None:
    """Shake hands once more without verification, only to say what the certificate is.

    Nothing is sent after the handshake. Closes the socket. None where there is no TLS.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    transport: asyncio.Transport | None = None
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, sock=connection, ssl=context, server_hostname=endpoint.server_name
        )
        return shown_facts(transport.get_extra_info("ssl_object"))
    except OSError:
        return None
    finally:
        await let_go(transport, connection)


async def let_go(transport: asyncio.BaseTransport | None, connection: socket.socket) -> None:
    """Drop a connection at once, with all that it still has to say.

    The socket is closed by the transport that owns it, never beneath it: a number that the system
    gives to the next socket while the loop still watches it would mix up two probes.
    """
    if isinstance(transport, asyncio.WriteTransport):
        transport.abort()
    try:
        # One turn of the loop, in which the transport closes its socket.
        await asyncio.sleep(0)
    finally:
        connection.close()
