# SPDX-License-Identifier: Apache-2.0
"""What the answer to a command after signing in comes to: its lines, or an end that passes."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, cast

import pytest

from postroom.api.mailserver import ProbeStage, TLSMode
from postroom.api.reasons import Reason
from postroom.mail.connect.dial import Deadlines, Dialler, Failure
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.connect.tls import TrustStore
from postroom.mail.imap.operation import lines_told, unless_refused
from postroom.mail.imap.protocol import GuardedProtocol
from postroom.mail.imap.session import ImapSession
from postroom.mail.report import Endpoint
from postroom.mail.session.state import Connector, SessionState

MAIL = Endpoint("mail.example.com", 993, TLSMode.IMPLICIT, "mail.example.com", None, "mail")
LINES = [b"SEARCH 1 2", b"OK done"]


class Answering(ImapSession):
    """A session whose server gives one answer to all that it is asked."""

    def __init__(self, state: SessionState, result: str, lines: list[bytes]) -> None:
        super().__init__(state, cast("GuardedProtocol", None))
        self._answer = result, lines

    async def ask(self, *words: str, **_: Any) -> tuple[str, list[bytes]]:  # type: ignore[override]
        assert words == ("UID SEARCH", "ALL")
        return self._answer


def session(result: str = "OK", lines: list[bytes] = LINES) -> Answering:
    async def nowhere(host: str) -> tuple[str, ...]:
        return ()

    dialler = Dialler(DialPolicy(), nowhere, Deadlines())
    state = SessionState(MAIL, None, Connector(dialler, TrustStore()), "")
    state.stage = ProbeStage.MAILBOX
    return Answering(state, result, lines)


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
    assert re.search(rf"answers UID SEARCH with {shown}\b", failure.message)


UNTOLD = ("No such mailbox", "Some messages could not be FETCHed (Failure)")


@pytest.mark.parametrize(
    ("text", "reason", "cause", "hint"),
    [
        ("[THROTTLED] Sorry", Reason.SERVER_THROTTLED, "ServerThrottled", "interval"),
        ("[LIMIT] Sorry", Reason.SERVER_THROTTLED, "ServerThrottled", "limit"),
        ("[OVERQUOTA] Sorry", Reason.TEMPORARY_FAILURE, "MailboxQuotaExceeded", "quota"),
        (
            "[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)",
            Reason.TEMPORARY_FAILURE,
            "BandwidthExceeded",
            "day",
        ),
        ("[INUSE] Sorry", Reason.TEMPORARY_FAILURE, "MailboxTemporaryFailure", "Wait"),
        ("[UNAVAILABLE] Sorry", Reason.TEMPORARY_FAILURE, "MailboxTemporaryFailure", "Wait"),
        ("[SERVERBUG] Sorry", Reason.TEMPORARY_FAILURE, "MailboxTemporaryFailure", "Wait"),
        ("[EXPUNGEISSUED] Gone", Reason.TEMPORARY_FAILURE, "MailboxTemporaryFailure", "removed"),
        ("[CONTACTADMIN] Sorry", Reason.MAILBOX_NOT_FOUND, "MailboxUnavailable", "administrator"),
        ("[NOPERM] Sorry", Reason.MAILBOX_NOT_FOUND, "MailboxUnavailable", "right to read"),
        ("[CORRUPTION] Sorry", Reason.MAILBOX_NOT_FOUND, "MailboxUnavailable", "repaired"),
        ("Request is throttled", Reason.SERVER_THROTTLED, "ServerThrottled", "interval"),
        ("System error", Reason.TEMPORARY_FAILURE, "MailboxTemporaryFailure", "Wait"),
        # What words would say of a mailbox that does not open is not so of one that did.
        *((text, Reason.PROBE_INCONCLUSIVE, None, "log") for text in UNTOLD),
    ],
)
@pytest.mark.parametrize("result", ["NO", "BAD"])
def test_a_refusal_after_signing_in_is_read_as_what_it_says(
    text: str, reason: Reason, cause: str | None, hint: str, result: str
) -> None:
    asked = session()
    with pytest.raises(Failure) as caught:
        unless_refused(asked, "UID FETCH", result, [text.encode()])
    failure = caught.value
    expected = (reason, cause)
    if result == "BAD" and text in ("System error", *UNTOLD):
        expected = Reason.PROBE_INCONCLUSIVE, "ProtocolError"
    assert (failure.reason, failure.cause) == expected
    assert not failure.conclusive
    assert f"opens the mailbox, but answers UID FETCH with {result}" in failure.message
    assert hint in failure.message or failure.cause == "ProtocolError"
    assert failure.retry_after != timedelta()
