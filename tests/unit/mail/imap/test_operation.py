# SPDX-License-Identifier: Apache-2.0
"""What the answer to a command after signing in comes to: its lines, or an end that passes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.api.reasons import Reason
from postroom.mail.connect.dial import Deadlines, Dialler, Failure
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.connect.tls import TrustStore
from postroom.mail.imap.operation import lines_told, unless_refused
from postroom.mail.report import Endpoint
from postroom.mail.session.state import Connector, SessionState

MAIL = Endpoint("mail.example.com", 993, TLSMode.IMPLICIT, "mail.example.com", None, "mail")
LINES = [b"SEARCH 1 2", b"OK done"]


def session(result: str = "OK") -> Any:
    async def nowhere(host: str) -> tuple[str, ...]:
        return ()

    async def ask(*words: str) -> tuple[str, list[bytes]]:
        assert words == ("UID SEARCH", "ALL")
        return result, LINES

    dialler = Dialler(DialPolicy(), nowhere, Deadlines())
    state = SessionState(MAIL, None, Connector(dialler, TrustStore()), "")
    state.stage = ProbeStage.MAILBOX
    return SimpleNamespace(state=state, ask=ask)


async def test_the_last_line_is_the_result_and_tells_nothing() -> None:
    assert unless_refused(session(), "SEARCH", "OK", LINES) == [b"SEARCH 1 2"]
    assert await lines_told(session(), "UID SEARCH", "ALL") == [b"SEARCH 1 2"]


@pytest.mark.parametrize(("result", "shown"), [("NO", "NO"), ("BAD", "BAD"), ("canary", "BAD")])
async def test_a_refusal_after_signing_in_is_no_verdict(result: str, shown: str) -> None:
    with pytest.raises(Failure) as caught:
        await lines_told(session(result), "UID SEARCH", "ALL")
    failure = caught.value
    assert (failure.stage, failure.reason) == (ProbeStage.MAILBOX, Reason.PROBE_INCONCLUSIVE)
    assert not failure.conclusive
    assert f"answers UID SEARCH with {shown}: " in failure.message
