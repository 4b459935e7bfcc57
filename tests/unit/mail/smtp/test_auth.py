# SPDX-License-Identifier: Apache-2.0
"""What is told of a server that offers nothing to sign in with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from postroom.api.mailserver import TLSMode
from postroom.api.reasons import Reason
from postroom.mail.connect.dial import Dialler
from postroom.mail.connect.tls import TrustStore
from postroom.mail.report import Endpoint
from postroom.mail.session.state import Connector
from postroom.mail.smtp.auth import _no_mechanism, state_of
from postroom.mail.smtp.client import SmtpClient
from postroom.mail.smtp.session import SmtpSession


def session(port: int) -> SmtpSession:
    endpoint = Endpoint("mail.example.com", port, TLSMode.IMPLICIT, "mail.example.com", None, "m")
    connector = Connector(cast("Dialler", None), TrustStore())
    client = cast("SmtpClient", SimpleNamespace(line_so_far=b""))
    return SmtpSession(state_of(endpoint, None, connector), client)


@pytest.mark.parametrize("port", [25, 2525])
def test_without_auth_another_port_may_have_it(port: int) -> None:
    end = _no_mechanism(session(port), [])
    assert end.message == (
        f"mail.example.com:{port} offers no AUTH: use the submission port (587 or 465)."
    )


@pytest.mark.parametrize("port", [465, 587, 2465, 2587])
def test_without_auth_on_a_port_for_submission_the_server_is_to_be_mended(port: int) -> None:
    end = _no_mechanism(session(port), [])
    assert end.reason is Reason.CAPABILITY_MISSING
    assert "have AUTH enabled on the server" in end.fix and "587" not in end.fix


def test_what_to_do_names_a_mechanism_by_itself() -> None:
    end = _no_mechanism(session(587), ["XOAUTH2"])
    assert end.wrong.startswith("mail.example.com:587 offers only XOAUTH2; postroom knows PLAIN")
    assert end.fix.startswith("enable PLAIN or another mechanism for passwords on the server")
