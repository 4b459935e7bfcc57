# SPDX-License-Identifier: Apache-2.0
"""Why an API server gave no answer: a clause for people, of what the client raised. Pure.

None has a word of the error's own: it may hold paths of credentials.
"""

import ssl

import aiohttp

#: X509_V_ERR_* of OpenSSL.
_NOT_YET, _EXPIRED, _NAMES = 9, 10, (62, 64)


def clause(error: Exception) -> str:
    """Return what an error of the client means; the name of its type where that is not known."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return _of_certificate(error.certificate_error)
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


def _of_certificate(error: Exception) -> str:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    if code == _EXPIRED:
        return "its certificate has expired"
    if code == _NOT_YET:
        return "its certificate is not valid yet"
    if code in _NAMES:
        return "its certificate is for another name"
    return "its certificate is of an authority that is not trusted"
