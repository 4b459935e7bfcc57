# SPDX-License-Identifier: Apache-2.0
"""Why there was no answer of an application: one clause each, with what mends it. Pure.

None of them has a word of the other side's.
"""

import aiohttp

from postroom.concurrency.kept_connections import INTERIM_LIMIT
from postroom.concurrency.tls_faults import TLSFault, fault_in, of_handshake

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
    "The application does not answer as HTTP asks, or with a header line of more than 8 KiB, more "
    f"than 128 of them, or more than {INTERIM_LIMIT} interim answers (1xx)"
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
_OF_TLS = {
    TLSFault.EXPIRED: "The certificate of the application has expired: renew it there",
    TLSFault.NOT_YET_VALID: (
        "The certificate of the application is not valid yet: check its dates and the clocks"
    ),
    TLSFault.OTHER_NAME: (
        "The certificate of the application is not for {name}: have it issued for that name"
    ),
    TLSFault.SELF_SIGNED: (
        "The certificate of the application is signed by itself alone: put it into "
        "spec.inbound.deliver.service.caBundleRef, or have an authority issue one"
    ),
    TLSFault.NO_TLS: _PLAIN,
    TLSFault.TOO_OLD: _OLD_TLS,
    TLSFault.NAME_UNKNOWN: (
        "The application has no certificate for {name}: have one issued for that name"
    ),
    TLSFault.CERTIFICATE_WANTED: _WANTS_CERTIFICATE,
}
_UNTRUSTED = (
    "The certificate of the application comes from an authority that is not trusted: put that "
    "authority into spec.inbound.deliver.service.caBundleRef"
)


def of_http(error: Exception, name: str, taken: bool) -> str:
    """Return what an error of the client means; `taken` tells whether all octets were sent."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            of_certificate = _OF_TLS.get(fault_in(error.certificate_error), _UNTRUSTED)
            return of_certificate.format(name=name)
        case aiohttp.ClientConnectorSSLError():
            return _OF_TLS.get(fault_in(error.os_error), _NO_TLS).format(name=name)
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
    # What comes once the connection stands is no error of its connector.
    if of_handshake(str(error)) is TLSFault.CERTIFICATE_WANTED:
        return _WANTS_CERTIFICATE
    return ENDS


def of_bundle(sentence: str) -> str:
    """The clause for a CA bundle that cannot be read, from its sentence."""
    return sentence.removesuffix(".")
