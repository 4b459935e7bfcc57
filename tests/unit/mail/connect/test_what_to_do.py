# SPDX-License-Identifier: Apache-2.0
"""However connecting and securing fail, what is wrong and what to do are told apart."""

from __future__ import annotations

import errno

import pytest

from postroom.api.mailserver import TLSMode
from postroom.concurrency.tls_faults import TLSFault
from postroom.mail.connect import tls
from postroom.mail.connect.certificate import ShownFacts
from postroom.mail.connect.certificate_faults import what_to_mend
from postroom.mail.connect.dial import unreachable
from postroom.mail.connect.handshake import Sight
from postroom.mail.report import Endpoint
from rows import over

MAIL = Endpoint("mail.example.com", 465, TLSMode.IMPLICIT, "mail.example.com", None, "mail")


@over(sorted(errno.errorcode))
def test_how_connecting_failed_is_told_with_what_to_do(number: int) -> None:
    end = unreachable([OSError(number, "")], "h:1")
    assert end.wrong.endswith((":", ".")) and end.fix.endswith(".")


@pytest.mark.parametrize("fault", TLSFault)
def test_how_tls_failed_is_told_with_what_to_do(
    fault: TLSFault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "fault_in", lambda error: fault)
    old = Sight(version="TLSv1")
    new = Sight(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")
    for sight in (None, Sight(), Sight(version="TLSv1.2", cipher="AES128-SHA"), old, new):
        end = tls.failure_of(OSError(), MAIL, None, "use another port", sight)
        assert end.wrong.endswith(":") and end.fix.endswith("."), end


@over(range(100))
def test_why_a_certificate_is_not_accepted_is_told_with_what_to_do(code: int) -> None:
    for facts in (None, ShownFacts(), ShownFacts(count=1, expired=1), ShownFacts(expired=0)):
        wrong, fix = what_to_mend(code, MAIL, facts)
        assert wrong.endswith(":") and fix.endswith("."), (wrong, fix)
