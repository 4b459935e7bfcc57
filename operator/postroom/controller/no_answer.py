# SPDX-License-Identifier: Apache-2.0
"""Why an API server gave no answer: a clause for people, of what the client raised. Pure.

None has a word of the error's own: it may hold paths of credentials.
"""

import aiohttp

from postroom.concurrency.tls_faults import TLSFault, fault_in
from postroom.controller.client_library import config

_OF_CERTIFICATES = {
    TLSFault.EXPIRED: "its certificate has expired",
    TLSFault.NOT_YET_VALID: "its certificate is not valid yet",
    TLSFault.OTHER_NAME: "its certificate is for another name",
}


def clause(error: Exception) -> str:
    """Return what an error of the client means, in a clause without a word of its own."""
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
        case aiohttp.NonHttpUrlRedirectClientError() | aiohttp.InvalidUrlRedirectClientError():
            return "what answers there leads to where nothing can be asked"
        case aiohttp.InvalidURL():
            return "its URL, or that of the proxy, is none that can be asked"
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return "what answers there does not speak HTTP as it should"
        case config.ConfigException():
            return "the credentials of the kubeconfig cannot be had"
    return "it cannot be reached"
