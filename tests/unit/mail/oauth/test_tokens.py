# SPDX-License-Identifier: Apache-2.0
"""Access tokens: kept while they last, renewed ahead of time, asked for once at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from lab.oauth_lab import Clock, google_account, google_user, microsoft_application
from postroom.api.masked import Masked
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.oauth.answers import AccessToken, TokenFailure
from postroom.mail.oauth.exchange import TokenAnswer
from postroom.mail.oauth.grant import Form, Grant
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.oauth.refresh_token_store import NOT_KEPT
from postroom.mail.oauth.tokens import TokenSource

REVOKED = TokenAnswer(400, {"error": "invalid_grant"})
OUTAGE = NoAnswer("It is so.")
THROTTLED = TokenAnswer(429, {"error": "slow_down"})


def given(value: str, lasts: int = 3600, refresh: str | None = None) -> TokenAnswer:
    document = {"access_token": value, "token_type": "Bearer", "expires_in": lasts}
    return TokenAnswer(200, document | ({"refresh_token": refresh} if refresh else {}))


class Endpoint:
    """Gives `answer`, and remembers the forms that it was sent."""

    def __init__(self, answer: TokenAnswer | NoAnswer) -> None:
        self.answer, self.forms = answer, list[Form]()
        self.slow: Callable[[], None] = lambda: None
        self.lasts = 3600

    async def post(
        self, url: str, form: Form, *, namespace: str = "", ca_bundle: str | None = None,
        built_in: bool = True,
    ) -> TokenAnswer | NoAnswer:  # fmt: skip
        self.forms.append(form)
        await asyncio.sleep(0)
        self.slow()
        if self.answer is REVOKED and form.masked.get("refresh_token") == Masked("gr"):
            return given("of the Secret", self.lasts)
        return self.answer


class World:
    """A source, its endpoint and its clock."""

    def __init__(self, answer: TokenAnswer | NoAnswer, spread: float = 0.0) -> None:
        self.endpoint, self.clock = Endpoint(answer), Clock()
        self.source = TokenSource(self.endpoint, clock=self.clock, spread=lambda: spread)

    async def token(self, grant: Grant | None = None) -> AccessToken | TokenFailure:
        return await self.source.token(grant or google_user(refresh="own"))

    async def value(self, grant: Grant | None = None) -> str:
        got = await self.token(grant)
        assert isinstance(got, AccessToken)
        return got.value.reveal()

    @property
    def asked(self) -> int:
        return len(self.endpoint.forms)


async def test_a_token_that_came_after_its_end_is_shown_to_nobody() -> None:
    """Its refusal by a mail server would be read as a verdict on the credentials."""
    world = World(given("late", 5, refresh="next"))
    world.endpoint.slow = lambda: world.clock.passes(20)
    got = await world.token()
    assert isinstance(got, TokenFailure)
    assert (got.reason, got.conclusive) == (OAuthReason.ENDPOINT_UNEXPECTED, False)
    assert await world.token() == got
    assert world.asked == 1, "not asked again at once"
    world.endpoint.answer = given("good")
    world.clock.now += 11
    assert await world.value() == "good"
    assert world.endpoint.forms[-1].masked["refresh_token"] == Masked("next")


async def test_the_life_of_a_token_begins_with_the_question_that_yielded_it() -> None:
    world = World(given("first", 3600, refresh="rotated"))
    await world.token(google_user())
    world.clock.now += 3600
    world.endpoint.answer = REVOKED
    world.endpoint.slow = lambda: world.clock.passes(200)
    world.endpoint.lasts = 300
    assert await world.value(google_user()) == "of the Secret"


@pytest.mark.parametrize(
    ("lasts", "spread", "renewed"), [(3600, 0.0, 3300), (3600, 1.0, 3000), (100, 0.0, 90)]
)
async def test_a_token_is_renewed_ahead_of_its_end(lasts: int, spread: float, renewed: int) -> None:
    world = World(given("a", lasts), spread)
    assert await world.value() == "a"
    world.endpoint.answer = given("b", lasts)
    world.clock.now += renewed - 1
    assert await world.value() == "a"
    world.clock.now += 1
    assert await world.value() == "b"
    assert world.asked == 2


async def test_many_who_ask_at_once_are_one_question() -> None:
    world = World(given("a"))
    assert await asyncio.gather(*(world.value() for _ in range(20))) == ["a"] * 20
    assert world.asked == 1
    assert await world.value(google_user(refresh="own", version="2")) == "a"
    assert world.asked == 2


async def test_an_outage_goes_unnoticed_while_the_token_lasts() -> None:
    world = World(given("a"))
    await world.token()
    world.endpoint.answer = OUTAGE
    world.clock.now += 3400
    got = await world.token()
    assert isinstance(got, AccessToken)
    assert not got.fresh
    world.clock.now += 200
    late = await world.token()
    assert isinstance(late, TokenFailure)
    assert late.reason is OAuthReason.ENDPOINT_UNAVAILABLE


async def test_a_refusal_is_noticed_although_the_token_lasts() -> None:
    world = World(given("a"))
    await world.token()
    world.endpoint.answer = TokenAnswer(401, {"error": "invalid_client"})
    world.clock.now += 3400
    assert isinstance(await world.token(), TokenFailure)
    assert isinstance(await world.token(), TokenFailure)


@pytest.mark.parametrize(
    ("answer", "quiet"),
    [(THROTTLED, 60), (TokenAnswer(429, {"error": "slow_down"}, 90.0), 90), (OUTAGE, 10)],
)
async def test_after_too_many_requests_nobody_asks_for_a_while(
    answer: TokenAnswer | NoAnswer, quiet: int
) -> None:
    world = World(answer)
    await world.token()
    world.endpoint.answer = given("a")
    world.clock.now += quiet - 1
    assert isinstance(await world.token(), TokenFailure)
    assert world.asked == 1
    world.clock.now += 1
    assert await world.value() == "a"


async def test_a_rotated_refresh_token_is_shown_from_then_on() -> None:
    world = World(given("a", refresh="rotated"))
    grant = google_user()
    await world.token(grant)
    world.source.drop(grant)
    world.endpoint.answer = REVOKED
    assert await world.value(grant) == "of the Secret"
    shown = [form.masked["refresh_token"].reveal() for form in world.endpoint.forms]
    assert shown == ["gr", "rotated", "gr"]


async def test_a_token_that_opens_many_mailboxes_is_not_dropped_while_it_is_new() -> None:
    world = World(given("a"))
    for grant, asked in ((google_user(), 2), (microsoft_application(), 3)):
        await world.token(grant)
        world.source.drop(grant)
        await world.token(grant)
        assert world.asked == asked
    world.clock.now += 60
    world.source.drop(microsoft_application())
    await world.token(microsoft_application())
    assert world.asked == 4


async def test_a_key_that_cannot_be_used_asks_nobody() -> None:
    world = World(given("a"))
    broken = google_account("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    got = await world.token(broken)
    assert isinstance(got, TokenFailure)
    assert (got.reason, world.asked) == (OAuthReason.CREDENTIALS_INVALID, 0)


async def test_nothing_is_kept_after_the_end_nor_without_a_store() -> None:
    world = World(given("a"))
    await world.token()
    assert world.source.keeping(google_user()) == NOT_KEPT
    await world.source.close()
    await world.token()
    assert world.asked == 2
