# SPDX-License-Identifier: Apache-2.0
"""Whatever the client raises of an API server is told in words of ours."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from unittest.mock import Mock

import aiohttp
import pytest

from postroom.controller.client_library import config
from postroom.controller.no_answer import clause

CANARY = "/home/canary/client.key"
TO = Mock()


def certificate(code: int) -> Exception:
    error = ssl.SSLCertVerificationError(CANARY)
    error.verify_code = code
    return aiohttp.ClientConnectorCertificateError(TO, error)


def connector(error: OSError) -> Exception:
    return aiohttp.ClientConnectorError(TO, error)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (connector(ConnectionRefusedError(CANARY)), "it refuses the connection"),
        (connector(OSError(113, CANARY)), "it cannot be reached"),
        (aiohttp.ClientConnectorDNSError(TO, OSError(CANARY)), "its name is not found"),
        (aiohttp.ClientProxyConnectionError(TO, OSError(CANARY)), "the proxy cannot be reached"),
        (aiohttp.ClientConnectorSSLError(TO, OSError(CANARY)), "TLS cannot be negotiated with it"),
        (certificate(9), "its certificate is not valid yet"),
        (certificate(10), "its certificate has expired"),
        (certificate(62), "its certificate is for another name"),
        (certificate(64), "its certificate is for another name"),
        (certificate(20), "its certificate is of an authority that is not trusted"),
        (aiohttp.ConnectionTimeoutError(CANARY), "no answer in time"),
        (aiohttp.SocketTimeoutError(CANARY), "no answer in time"),
        (TimeoutError(CANARY), "no answer in time"),
        (aiohttp.ServerDisconnectedError(CANARY), "the connection ended"),
        (aiohttp.ClientOSError(104, CANARY), "the connection ended"),
        (ConnectionResetError(CANARY), "the connection ended"),
        (aiohttp.ClientPayloadError(CANARY), "what answers there does not speak HTTP as it should"),
        (OSError(CANARY), "it cannot be reached"),
        (aiohttp.InvalidURL(CANARY), "its URL, or that of the proxy, is none that can be asked"),
        (
            aiohttp.InvalidUrlClientError(CANARY),
            "its URL, or that of the proxy, is none that can be asked",
        ),
        (
            aiohttp.InvalidUrlRedirectClientError(CANARY),
            "what answers there leads to where nothing can be asked",
        ),
        (
            config.ConfigException(CANARY),
            "the credentials of the kubeconfig cannot be had",
        ),
    ],
)
def test_an_error_of_the_client_is_a_clause_of_ours(error: Exception, says: str) -> None:
    assert clause(error) == says


def every(kind: type[Exception]) -> list[type[Exception]]:
    return [kind, *(below for each in kind.__subclasses__() for below in every(each))]


@pytest.mark.parametrize("kind", every(aiohttp.ClientError), ids=lambda kind: kind.__name__)
def test_no_error_of_the_client_is_told_in_its_own_words(kind: type[Exception]) -> None:
    makers: list[Callable[[], Exception]] = [
        lambda: kind(CANARY),
        lambda: kind(TO, OSError(CANARY)),
        lambda: kind(TO, ()),
        lambda: kind(b"", b"", CANARY, 443),
        lambda: kind(CANARY, TO, OSError(CANARY)),
    ]
    for maker in makers:
        try:
            error = maker()
        except (TypeError, AttributeError):
            continue
        assert "canary" not in clause(error)
        # Nor by a name that only whoever wrote the client knows.
        assert "Error" not in clause(error) and "URL" not in clause(error).replace("its URL", "")
        return
    pytest.fail(f"{kind.__name__} could not be made")
