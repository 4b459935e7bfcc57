# SPDX-License-Identifier: Apache-2.0
"""Why there was no answer of an application: one clause each, with what mends it. Pure.

None of them has a word of the other side's.
"""

import ssl

import aiohttp

from postroom.mail.connect.tls import is_wanting_certificate

ENDS = "The application ends the connection without an answer"
TOO_EARLY = "The application answers 2xx before it has read the whole message"
_UNCONNECTED = "The application does not take the connection in time"
_UNREAD = "The application does not read the message in time"
_SILENT = "The application does not answer in time"
_REFUSED = (
    "The Service refuses the connection: no Pod behind it is ready, or none listens on its port"
)
_UNREACHABLE = (
    "The Service cannot be reached: a NetworkPolicy, or the network, lets nobody through to it"
)
_NO_HTTP = (
    "The application does not answer as HTTP asks, or with a header line of more than 8 KiB, or "
    "more than 128 of them"
)
_PLAIN = (
    "The application speaks no TLS on this port: set spec.inbound.deliver.service.scheme to HTTP, "
    "or name the port of HTTPS"
)
_OLD_TLS = "The application speaks no TLS 1.2 or newer: enable it there"
_WANTS_CERTIFICATE = (
    "The application asks for a client certificate, and postroom has none to show: have it accept "
    "clients without one on this port"
)
_NO_TLS = (
    "TLS with the application cannot be negotiated: see that TLS 1.2 or newer, a certificate and "
    "its key are set up on this port"
)
#: X509_V_ERR_* of OpenSSL.
_NOT_YET, _EXPIRED, _SELF_SIGNED, _NAMES = 9, 10, 18, (62, 64)


def of_http(error: Exception, name: str, taken: bool) -> str:
    """Return what an error of the client means; `taken` tells whether all octets were sent."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return _of_certificate(error.certificate_error, name)
        case aiohttp.ClientConnectorSSLError():
            return _of_handshake(str(error).upper(), name)
        case aiohttp.ConnectionTimeoutError():
            return _UNCONNECTED
        case TimeoutError():
            return _SILENT if taken else _UNREAD
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return _REFUSED
        case aiohttp.ClientConnectorError(os_error=ConnectionError()):
            # Whoever cuts a connection that stands does so in the handshake of TLS.
            return _NO_TLS
        case aiohttp.ClientConnectorError():
            return _UNREACHABLE
        case aiohttp.ClientResponseError():
            return _NO_HTTP
    if is_wanting_certificate(error) or "CERTIFICATE_REQUIRED" in str(error):
        return _WANTS_CERTIFICATE
    return ENDS


def of_bundle(sentence: str) -> str:
    """The clause for a CA bundle that cannot be read, from its sentence."""
    return sentence.removesuffix(".")


def _of_certificate(error: Exception, name: str) -> str:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    if code == _EXPIRED:
        return "The certificate of the application has expired: renew it there"
    if code == _NOT_YET:
        return "The certificate of the application is not valid yet: check its dates and the clocks"
    if code in _NAMES:
        return f"The certificate of the application is not for {name}: have it issued for that name"
    if code == _SELF_SIGNED:
        return (
            "The certificate of the application is signed by itself alone: put it into "
            "spec.inbound.deliver.service.caBundleRef, or have an authority issue one"
        )
    return (
        "The certificate of the application comes from an authority that is not trusted: put that "
        "authority into spec.inbound.deliver.service.caBundleRef"
    )


def _of_handshake(text: str, name: str) -> str:
    if any(word in text for word in ("WRONG_VERSION", "RECORD_LAYER", "HTTP_REQUEST")):
        return _PLAIN
    if any(word in text for word in ("UNSUPPORTED_PROTOCOL", "PROTOCOL_VERSION")):
        return _OLD_TLS
    if "UNRECOGNIZED_NAME" in text:
        return f"The application has no certificate for {name}: have one issued for that name"
    return _WANTS_CERTIFICATE if "CERTIFICATE_REQUIRED" in text else _NO_TLS
