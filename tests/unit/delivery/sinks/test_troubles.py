# SPDX-License-Identifier: Apache-2.0
"""Why an application did not answer: one clause for each error, without a word of its own."""

from __future__ import annotations

import ssl
from typing import Any
from unittest.mock import Mock

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from postroom.delivery.sinks.troubles import of_bundle, of_http

KEY: Any = Mock(spec=ConnectionKey, ssl=True, host="10.0.0.1", port=443, is_ssl=True)
CANARY = "canary-7f3a"


def certificate(code: int) -> aiohttp.ClientConnectorCertificateError:
    error = ssl.SSLCertVerificationError(CANARY)
    error.verify_code = code
    return aiohttp.ClientConnectorCertificateError(KEY, error)


def handshake(text: str) -> aiohttp.ClientConnectorSSLError:
    return aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, f"[SSL: {text}] {CANARY}"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (certificate(10), "has expired"),
        (certificate(9), "is not valid yet"),
        (certificate(62), "is not for tickets.mail.svc"),
        (certificate(64), "is not for tickets.mail.svc"),
        (certificate(18), "signed by itself alone"),
        (certificate(19), "an authority that is not trusted"),
        (certificate(20), "an authority that is not trusted"),
        (certificate(0), "an authority that is not trusted"),
        (handshake("WRONG_VERSION_NUMBER"), "speaks no TLS on this port"),
        (handshake("RECORD_LAYER_FAILURE"), "speaks no TLS on this port"),
        (handshake("UNSUPPORTED_PROTOCOL"), "no TLS 1.2 or newer"),
        (handshake("TLSV1_ALERT_PROTOCOL_VERSION"), "no TLS 1.2 or newer"),
        (handshake("TLSV1_UNRECOGNIZED_NAME"), "no certificate for tickets.mail.svc"),
        (handshake("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "asks for a client certificate"),
        (handshake("SSLV3_ALERT_HANDSHAKE_FAILURE"), "cannot be negotiated"),
        (aiohttp.ClientOSError(1, "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED]"), "asks for a client"),
        (aiohttp.ClientConnectorError(KEY, ConnectionRefusedError(111, CANARY)), "refuses the"),
        (aiohttp.ClientConnectorError(KEY, OSError(113, CANARY)), "cannot be reached"),
        (aiohttp.ClientConnectorError(KEY, OSError(101, CANARY)), "cannot be reached"),
        (aiohttp.ClientConnectorError(KEY, ConnectionResetError(104, CANARY)), "be negotiated"),
        (aiohttp.ConnectionTimeoutError(CANARY), "does not take the connection in time"),
        (aiohttp.SocketTimeoutError(CANARY), "does not answer in time"),
        (TimeoutError(CANARY), "does not answer in time"),
        (aiohttp.ServerDisconnectedError(CANARY), "ends the connection"),
        (aiohttp.ClientOSError(104, CANARY), "ends the connection"),
        (aiohttp.ClientConnectionResetError(CANARY), "ends the connection"),
        (aiohttp.ClientResponseError(Mock(), (), message=CANARY), "does not answer as HTTP asks"),
        (ValueError(CANARY), "ends the connection"),
    ],
)
def test_each_error_has_its_clause(error: Exception, words: str) -> None:
    clause = of_http(error, "tickets.mail.svc", taken=True)
    assert words in clause
    assert CANARY not in clause and clause[0].isupper() and clause[-1] not in ".;"


def test_whoever_did_not_read_all_is_told_so() -> None:
    assert "does not read the message" in of_http(TimeoutError(), "x", taken=False)


def test_a_sentence_becomes_a_clause() -> None:
    assert of_bundle("The CA bundle is none.") == "The CA bundle is none"
