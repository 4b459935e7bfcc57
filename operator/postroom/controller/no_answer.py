# SPDX-License-Identifier: Apache-2.0
"""Why an API server gave no answer: a clause for people, of what the client raised. Pure.

None has a word of the error's own: it may hold paths of credentials.
"""

import aiohttp

from postroom.concurrency.tls_faults import TLSFault, fault_in

_OF_CERTIFICATES = {
    TLSFault.EXPIRED: "its certificate has expired",
    TLSFault.NOT_YET_VALID: "its certificate is not valid yet",
    TLSFault.OTHER_NAME: "its certificate is for another name",
}


def clause(error: Exception) -> str:
    """Return what an error of the client means; the name of its type where that is not known."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            fault = fault_in(error.certificate_error)
            return _OF_CERTIFICATES.get(
                fault, "its certificate is of an authority that is not trusted"
            )
        case aiohttp.ClientConnectorSSLError():
            return "TLS cannot be negotiated with it"
        case aiohttp.ClientConnectorDNSError():
            return "its name is not found"
        case aiohttp.ClientProxyConnectionError():
            return "the proxy cannot be reached"
        case aiohttp.ClientConnectorError(os_error=ConnectionRefusedError()):
            return "it refuses the connection"
        case aiohttp.ClientConnectorError():
            return "it cannot be reached"
        case TimeoutError():
            return "no answer in time"
        case aiohttp.ServerConnectionError() | aiohttp.ClientOSError() | ConnectionError():
            return "the connection ended"
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return "what answers there does not speak HTTP as it should"
    return type(error).__name__
