# SPDX-License-Identifier: Apache-2.0
"""What errors of TLS mean, whoever raises them; and that one file alone knows OpenSSL's words."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import pytest

import postroom
from postroom.concurrency import tls_faults
from postroom.concurrency.tls_faults import TLSFault, fault_in, of_certificate, of_handshake

#: A code of OpenSSL held against a number, or a part of the name of one of its errors.
_OF_OPENSSL = re.compile(
    r"verify_code\s*(?:==|in\b)|X509_V_ERR|WRONG_VERSION|RECORD_LAYER|(?<!CLIENT_)CERTIFICATE_REQUIRED|"
    r"UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|UNRECOGNIZED_NAME|DH_KEY_TOO_SMALL"
)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (2, TLSFault.ISSUER_UNKNOWN),
        (9, TLSFault.NOT_YET_VALID),
        (10, TLSFault.EXPIRED),
        (18, TLSFault.SELF_SIGNED),
        (19, TLSFault.OWN_AUTHORITY),
        (20, TLSFault.ISSUER_UNKNOWN),
        (32, TLSFault.NO_AUTHORITY),
        # What name constraints say that cannot be read; and that they forbid a name.
        (49, TLSFault.MALFORMED),
        (51, TLSFault.MALFORMED),
        (52, TLSFault.MALFORMED),
        (53, TLSFault.MALFORMED),
        (47, TLSFault.CONSTRAINED),
        (62, TLSFault.OTHER_NAME),
        (64, TLSFault.OTHER_NAME),
        (67, TLSFault.WEAK_AUTHORITY),
        (0, TLSFault.UNTRUSTED),
        (9999, TLSFault.UNTRUSTED),
    ],
)
def test_a_code_of_a_verification(code: int, fault: TLSFault) -> None:
    error = ssl.SSLCertVerificationError("whatever it says")
    error.verify_code = code
    assert of_certificate(code) is fault_in(error) is fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:992)", TLSFault.NO_TLS),
        ("[SSL] record layer failure (_ssl.c:1000)", TLSFault.NO_TLS),
        ("[SSL: HTTP_REQUEST] http request", TLSFault.NO_TLS),
        ("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert", TLSFault.CERTIFICATE_WANTED),
        ("[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert", TLSFault.TOO_OLD),
        ("[SSL: TLSV1_UNRECOGNIZED_NAME] tlsv1 unrecognized name", TLSFault.NAME_UNKNOWN),
        ("[SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred", TLSFault.BROKEN_OFF),
        ("[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] alert", TLSFault.OTHER),
    ],
)
def test_an_error_of_a_handshake(text: str, fault: TLSFault) -> None:
    assert of_handshake(text) is fault_in(ssl.SSLError(1, text)) is fault


def test_what_is_no_error_of_tls_ended_the_connection() -> None:
    for error in (ConnectionResetError(104, "EXPIRED"), OSError(), ValueError()):
        assert fault_in(error) is TLSFault.BROKEN_OFF


def test_a_verification_without_a_code_is_one_that_failed() -> None:
    # That of aiohttp has none of its own.
    assert fault_in(ssl.SSLCertVerificationError("certificate verify failed")) is TLSFault.UNTRUSTED


def test_nobody_else_knows_the_words_of_openssl() -> None:
    home = Path(tls_faults.__file__)
    sources = Path(postroom.__file__).parent.rglob("*.py")
    others = [
        str(path) for path in sources if path != home and _OF_OPENSSL.search(path.read_text())
    ]
    assert others == []
