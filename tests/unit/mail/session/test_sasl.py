# SPDX-License-Identifier: Apache-2.0
"""The answer of CRAM-MD5, which both protocols send."""

from __future__ import annotations

from postroom.api.masked import Masked
from postroom.mail.report import Login
from postroom.mail.session.sasl import cram_md5


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
