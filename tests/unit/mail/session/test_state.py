# SPDX-License-Identifier: Apache-2.0
"""How a session ends, and what its report may hold: verdicts, what passes, and no secret."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from dnsworld.clock import run
from postroom.api.mailserver import ProbeStage, TLSFacts, TLSMode
from postroom.api.masked import Masked
from postroom.api.reasons import Reason
from postroom.mail.connect.dial import Deadlines, Dialler, Failure
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.connect.tls import TrustStore
from postroom.mail.limits.peers import RefusingPeers
from postroom.mail.report import Endpoint, Login, ProbeReport
from postroom.mail.session.state import Connector, SessionState, recognised

MAIL = Endpoint("mail.example.com", 465, TLSMode.IMPLICIT, "mail.example.com", None, "mail")
LOGIN = Login("jane", Masked("correct-Horse7battery"))
REFUSED = Failure(
    ProbeStage.AUTH, Reason.AUTHENTICATION_REJECTED, "No.", code=535, enhanced_code="5.7.8",
    cause="AuthenticationFailed",
)  # fmt: skip


def state(endpoint: Endpoint = MAIL, login: Login | None = LOGIN) -> SessionState:
    async def nowhere(host: str) -> tuple[str, ...]:
        return ()

    connector = Connector(Dialler(DialPolicy(), nowhere, Deadlines(tls=1)), TrustStore())
    return SessionState(endpoint, login, connector, "use port 993")


async def ended(made: SessionState, error: Exception | None = None) -> ProbeReport:
    async with made.reported():
        if error is not None:
            raise error
    return made.report()


async def test_what_came_to_its_end_works() -> None:
    report = await ended(state())
    assert (report.stage, report.reason) == (ProbeStage.DONE, Reason.PROBE_SUCCEEDED)
    assert report.message == "mail.example.com:465 works."


async def test_a_failure_is_reported_as_it_is() -> None:
    report = await ended(state(), REFUSED)
    assert (report.stage, report.reason, report.message) == (REFUSED.stage, REFUSED.reason, "No.")
    assert (report.conclusive, report.code, report.enhanced_code) == (True, 535, "5.7.8")
    assert report.cause == "AuthenticationFailed"


async def test_what_takes_too_long_is_no_verdict() -> None:
    report = await ended(state(), TimeoutError())
    assert (report.reason, report.conclusive) == (Reason.CONNECTION_TIMEOUT, False)


async def test_a_fault_of_ours_is_not_the_servers() -> None:
    with pytest.raises(ZeroDivisionError):
        await ended(state(), ZeroDivisionError())


def test_a_session_that_never_ended_was_broken_off() -> None:
    report = state().report()
    assert (report.reason, report.conclusive) == (Reason.PROBE_INCONCLUSIVE, False)
    assert "closes the connection" in report.message


@pytest.mark.parametrize(
    ("error", "said", "shown"),
    [
        (REFUSED, "5.7.8 no such user, jane", True),
        (REFUSED, "5.7.8 no such user, correct horse", False),
        (REFUSED, None, False),
        (replace(REFUSED, cause=None), "5.7.8 no such user", False),
        (None, "5.7.8 no such user", False),
    ],
)
async def test_words_of_the_server_are_shown_with_a_refusal_of_known_cause(
    error: Failure | None, said: str | None, shown: bool
) -> None:
    made = state()
    made.said = said
    text = (await ended(made, error)).server_text or ""
    assert ("no such user" in text) is shown
    assert "jane" not in text
    assert "horse" not in text.lower()


async def test_a_certificate_tells_no_password() -> None:
    made = state()
    made.tls = TLSFacts(version="TLSv1.3", subject="correct-Horse7battery")
    assert "Horse" not in repr((await ended(made)).tls)


@pytest.mark.parametrize("mode", TLSMode)
def test_no_login_goes_in_the_clear(mode: TLSMode) -> None:
    state(replace(MAIL, tls=mode), None).keep_login_out_of_the_clear()
    made = state(replace(MAIL, tls=mode))
    if mode is TLSMode.NONE:
        with pytest.raises(Failure) as caught:
            made.keep_login_out_of_the_clear()
        assert caught.value.reason is Reason.ENCRYPTION_REQUIRED
    else:
        made.keep_login_out_of_the_clear()


@pytest.mark.parametrize(
    ("begun", "word"),
    [(b"", "stops answering"), (b"220 mail", "does not end the line"), (b"220 mail\r", "CRLF")],
)
async def test_a_line_that_does_not_end_is_told(begun: bytes, word: str) -> None:
    made = state()
    made.line_so_far = lambda: begun
    silent = made.silent()
    assert word in silent.message
    assert (silent.reason, silent.conclusive) == (Reason.CONNECTION_TIMEOUT, False)
    greets = await made.does_not_greet()
    assert ("does not greet" in greets.message) is (not begun)
    assert greets.reason is Reason.CONNECTION_TIMEOUT


def test_an_end_is_of_the_present_stage() -> None:
    made = state()
    made.stage = ProbeStage.MAILBOX
    for failure, conclusive in (
        (made.failure(Reason.CAPABILITY_MISSING, "x:", "y."), True),
        (made.passing(Reason.CAPABILITY_MISSING, "x:", "y."), False),
        (made.proves_nothing("SCRAM-SHA-256"), False),
        (made.unsendable(), True),
    ):
        assert (failure.stage, failure.conclusive) == (ProbeStage.MAILBOX, conclusive)
        assert failure.message == f"{failure.wrong} {failure.fix}"
        assert failure.wrong.endswith(":") and failure.fix.endswith(".")


def test_mechanisms_of_a_server_are_shown_only_if_they_are_known() -> None:
    assert "offers PLAIN; a token" in state().takes_no_token(["PLAIN", "X-CANARY"]).message
    assert "offers no mechanism; a token" in state().takes_no_token(["X-CANARY"]).message


def test_an_implementation_is_known_by_its_mark() -> None:
    marks = [("dovecot", "Dovecot"), ("cyrus", "Cyrus")]
    assert recognised("* OK DOVECOT (Cyrus too) ready", marks) == "Dovecot"
    assert recognised("* OK ready", marks) is None


class _Crowded(RefusingPeers):
    """A place for a login is free only after a while."""

    async def reserve(self, namespace: str, address: str | None) -> float | None:
        await asyncio.sleep(9.0)
        return await super().reserve(namespace, address)


def test_our_own_limit_of_logins_is_no_time_of_the_servers() -> None:
    async def scene() -> None:
        made = state()
        made.connector = replace(made.connector, places=_Crowded(time.monotonic))
        # An operation lasts beyond signing in.
        async with made.lasting(7.0):
            async with made.lasting(5.0):
                await asyncio.sleep(2.0)
                async with made.signing_in():
                    await asyncio.sleep(2.0)
            await asyncio.sleep(2.0)
        with pytest.raises(TimeoutError):
            async with made.lasting(5.0):
                await asyncio.sleep(2.0)
                async with made.signing_in():
                    await asyncio.sleep(4.0)

    run(scene())
