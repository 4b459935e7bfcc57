# SPDX-License-Identifier: Apache-2.0
"""Probing with a token: which one is shown, when another one is asked for, and what is told."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from postroom.api.mailserver import ProbeStage
from postroom.api.masked import Masked
from postroom.api.oauth import OAuthFlow, OAuthProvider
from postroom.api.reasons import CATALOGUE, Reason
from postroom.mail.oauth.answers import AccessToken, TokenFailure
from postroom.mail.oauth.grant import Grant, OAuthSecrets
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.replies.model import FailureClass
from postroom.mail.report import Login, ProbeReport
from postroom.reconcile.signing_in.token_credentials import TokenCredentials
from postroom.reconcile.signing_in.token_probe import probe_with_token
from unit.reconcile.mail_worlds import REFUSED, WELL, Tokens, token

GRANT = Grant(
    OAuthProvider.GOOGLE,
    OAuthFlow.REFRESH_TOKEN,
    "https://oauth2.googleapis.com/token",
    "client",
    "support@example.com",
    ("https://mail.google.com/",),
    OAuthSecrets(refresh_token=Masked("r")),
    "v",
    "mail",
    secret="oauth",
)
AWAY = replace(WELL, stage=ProbeStage.CONNECT, reason=Reason.CONNECTION_TIMEOUT, wrong="Away.")


@dataclass
class Server:
    """Answers each login in turn, the last answer for ever."""

    answers: list[ProbeReport]
    shown: list[Login | None] = field(default_factory=list)

    async def probe(self, login: Login | None) -> ProbeReport:
        self.shown.append(login)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def probed(
    server: Server, *script: AccessToken | TokenFailure
) -> tuple[ProbeReport, list[str | None], Tokens]:
    """The report, the tokens that were shown (None: nobody signed in), and the source."""
    tokens = Tokens(list(script))
    given = TokenCredentials(GRANT, None, ())
    report = await probe_with_token(given, "SMTP", server.probe, tokens)
    shown = [login.password.reveal() if login else None for login in server.shown]
    return report, shown, tokens


async def test_a_token_that_is_taken_is_shown_once_as_the_subject() -> None:
    server = Server([WELL])
    report, shown, tokens = await probed(server, token("t1"))
    assert (report, shown, tokens.dropped) == (WELL, ["t1"], 0)
    (login,) = server.shown
    assert login is not None
    assert (login.username, login.token, login.secret) == ("support@example.com", True, "oauth")


async def test_a_kept_token_that_is_refused_is_dropped_and_a_fresh_one_shown() -> None:
    report, shown, tokens = await probed(
        Server([REFUSED, WELL]), token("kept", fresh=False), token("fresh")
    )
    assert (report, shown, tokens.dropped) == (WELL, ["kept", "fresh"], 1)


@pytest.mark.parametrize(
    ("script", "shown_tokens"),
    [
        ([token("t1")], ["t1"]),
        ([token("t1", fresh=False), token("t2")], ["t1", "t2"]),
        ([token("t1", fresh=False), token("t2", fresh=False)], ["t1", "t2"]),
    ],
)
async def test_a_fresh_token_that_is_refused_is_the_verdict_after_two_tries_at_most(
    script: list[AccessToken | TokenFailure], shown_tokens: list[str]
) -> None:
    report, shown, tokens = await probed(Server([REFUSED]), *script)
    assert (report.reason, shown) == (Reason.OAUTH_TOKEN_REJECTED, shown_tokens)
    assert tokens.dropped == len(shown_tokens)
    meaning = CATALOGUE[Reason.OAUTH_TOKEN_REJECTED].meaning
    assert report.message == f"{meaning} {REFUSED.message}"
    assert (report.stage, report.authenticated) == (ProbeStage.AUTH, False)


async def test_another_failure_than_a_refusal_costs_no_token() -> None:
    report, shown, tokens = await probed(Server([AWAY]), token("kept", fresh=False))
    assert (report, shown, tokens.dropped) == (AWAY, ["kept"], 0)


def failure(kind: FailureClass, retry_after: float | None = None) -> TokenFailure:
    return TokenFailure(OAuthReason.GRANT_REVOKED, kind, "Sign in again.", retry_after)


@pytest.mark.parametrize(
    ("kind", "conclusive"), [(FailureClass.PERMANENT, True), (FailureClass.TRANSIENT, False)]
)
async def test_without_a_token_the_connection_is_checked_all_the_same(
    kind: FailureClass, conclusive: bool
) -> None:
    report, shown, _ = await probed(Server([WELL]), failure(kind))
    assert shown == [None]
    assert (report.stage, report.reason) == (ProbeStage.AUTH, Reason.OAUTH_GRANT_REVOKED)
    assert (report.message, report.conclusive) == ("Sign in again.", conclusive)
    assert (report.authenticated, report.retry_after, report.tls) == (None, None, WELL.tls)


async def test_a_server_that_cannot_be_reached_is_told_before_the_missing_token() -> None:
    report, _, _ = await probed(Server([AWAY]), failure(FailureClass.PERMANENT, 60))
    assert report == AWAY


@pytest.mark.parametrize(
    ("asked", "waits"),
    [(60.0, timedelta(minutes=1)), (10.0**9, timedelta(hours=24))],
)
async def test_the_pause_that_the_endpoint_asks_for_is_kept_up_to_a_day(
    asked: float, waits: timedelta
) -> None:
    report, _, _ = await probed(Server([WELL]), failure(FailureClass.THROTTLED, asked))
    assert report.retry_after == waits


async def test_a_token_without_the_scope_is_not_shown_and_dropped() -> None:
    without = AccessToken(Masked("t"), 3600.0, scopes=("openid",))
    report, shown, tokens = await probed(Server([WELL]), without)
    assert (shown, tokens.dropped) == ([None], 1)
    assert (report.reason, report.conclusive) == (Reason.OAUTH_SCOPE_MISSING, True)
    assert "https://mail.google.com/" in report.message
