# SPDX-License-Identifier: Apache-2.0
"""The answer of CRAM-MD5, which both protocols send, and what is known beside a reply."""

from __future__ import annotations

import pytest

from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.mail.replies import Stage
from postroom.mail.report import Endpoint, Login
from postroom.mail.session.sasl import circumstances, cram_md5


def test_the_example_of_the_standard() -> None:
    """RFC 2195 section 2."""
    login = Login("tim", Masked("tanstaaftanstaaf"))
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    assert cram_md5(login, challenge) == b"tim b913a602c7eda7a495b4e6e7334d3890"


def test_names_and_passwords_are_sent_as_utf_8() -> None:
    answer = cram_md5(Login("jörg", Masked("geheim ü")), b"")
    name, _, digest = answer.partition(b" ")
    assert name == "jörg".encode()
    assert len(digest) == 32


@pytest.mark.parametrize(
    ("mode", "stage", "encrypted"),
    [
        (TLSMode.IMPLICIT, Stage.GREETING, True),
        (TLSMode.IMPLICIT, Stage.AUTH, True),
        (TLSMode.START_TLS, Stage.GREETING, False),
        (TLSMode.START_TLS, Stage.CAPABILITIES, False),
        (TLSMode.START_TLS, Stage.AUTH, True),
        (TLSMode.START_TLS, Stage.RCPT, True),
        (TLSMode.NONE, Stage.RCPT, False),
    ],
)
@pytest.mark.parametrize("login", [None, Login("a", Masked("b"))])
def test_what_is_over_tls(
    mode: TLSMode, stage: Stage, encrypted: bool, login: Login | None
) -> None:
    endpoint = Endpoint("smtp.example.com", 587, mode, "smtp.example.com", None, "team")
    assert circumstances(stage, endpoint, login).encrypted is encrypted
