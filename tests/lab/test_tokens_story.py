# SPDX-License-Identifier: Apache-2.0
"""Access tokens over many questions, at endpoints that change their mind between any two.

Hypothesis draws the story of two tenants: tokens are given (for as long as an endpoint says, or
says by mistake), rotated, refused, held back; answers come late, as pages, redirects, or cut short;
endpoints move, Secrets change, mail servers refuse a token, time passes, the process begins anew.
Held: nothing secret in a log or in what is told; no token but the tenant's own, that its endpoint
gave, and none beyond its end; verdicts are those of the last conclusive answer; no more questions
than pauses allow; nobody waits for another tenant's endpoint. `make fuzz` does many times as much.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from lab.mail_machine import fuzzed
from lab.mail_scene import playing
from lab.oauth_lab import google_user, microsoft_user
from postroom.concurrency.acting import acting_for
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.oauth.answers import AccessToken, TokenFailure
from postroom.mail.oauth.exchange import TokenAnswer
from postroom.mail.oauth.grant import Form, Grant
from postroom.mail.oauth.tokens import TokenSource

T = TypeVar("T")

TENANTS = ("red", "green")
#: What an endpoint may say of how long a token lasts, and the seconds that are made of it.
LIVES: list[tuple[object, float]] = [
    *((seconds, float(seconds)) for seconds in (3600, 100, 5, 1, 0.25, 86_400)),
    *((odd, 300.0) for odd in (0, -1, -3600, None, "soon", "-5", True, [60], float("nan"))),
    *(("60", 60.0), (10**12, 86_400.0), (10**400, 86_400.0), (float("inf"), 86_400.0)),
]
#: Answers without a token that say nothing against the credentials.
PASSING: list[TokenAnswer | NoAnswer] = [
    NoAnswer("The token endpoint does not answer in time."),
    *(TokenAnswer(status, None) for status in (200, 302, 307, 404, 500, 503)),
    TokenAnswer(200, {}),
    TokenAnswer(200, {"access_token": 7, "token_type": "Bearer"}),
    TokenAnswer(503, {"error": "temporarily_unavailable"}, retry_after=120.0),
    *(TokenAnswer(429, {"error": "slow_down"}, retry_after=pause) for pause in (None, 0.0, 300.0)),
]
#: Refusals, which are conclusive.
REFUSALS = [
    TokenAnswer(400, {"error": "invalid_grant"}),
    TokenAnswer(401, {"error": "invalid_client"}),
]
#: Seconds for which an endpoint is silent before it answers, and that pass between questions.
DELAYS = st.sampled_from((0.0, 0.0, 0.5, 20.0))
PASSES = (0.0, 0.1, 1.0, 5.0, 9.0, 11.0, 61.0, 95.0, 280.0, 3000.0, 90_000.0)
#: Seconds in which an endpoint that is in trouble is not asked again.
BREATHER = 10.0
NUMBERS = st.integers(0, 2**16)


@dataclass
class Given:
    """A token that was given, and until when it lasts."""

    value: str
    until: float


@dataclass
class Tenant:
    """A grant, its endpoint and all that this ever gave."""

    name: str
    grant: Grant
    secrets: list[str]
    answer: TokenAnswer | NoAnswer | None = None  # None: a token
    life: tuple[object, float] = LIVES[0]
    delay: float = 0.0
    rotates: bool = False
    odd: bool = False
    given: list[Given] = field(default_factory=list)
    #: When it was asked, and until when it is to be asked no more.
    asked: list[float] = field(default_factory=list)
    quiet_until: float = 0.0


class Endpoints:
    """The endpoints of all tenants; implements `Exchange`."""

    def __init__(self) -> None:
        self.tenants: dict[str, Tenant] = {}
        self._number = 0

    async def post(
        self, url: str, form: Form, *, namespace: str = "", ca_bundle: str | None = None,
        built_in: bool = True,
    ) -> TokenAnswer | NoAnswer:  # fmt: skip
        tenant = self.tenants[namespace]
        assert url == tenant.grant.token_url, "asked where the endpoint was"
        now = asyncio.get_running_loop().time
        tenant.asked.append(begun := now())
        assert begun >= tenant.quiet_until, "asked in a pause"
        sent = [value.reveal() for value in form.masked.values()]
        assert set(sent) <= set(tenant.secrets), "the credentials are another's"
        answer = tenant.answer
        await asyncio.sleep(tenant.delay)
        if answer in PASSING:
            pause = answer.retry_after if isinstance(answer, TokenAnswer) else None
            tenant.quiet_until = now() + max(pause or 0.0, BREATHER)
        if answer is not None:
            return self._echoing(answer, sent)
        self._number += 1
        value = f"ya29.{tenant.name}Zk3mW8qRt5Yx1Np7Vb{self._number:04}"
        if tenant.odd:
            return TokenAnswer(
                200, {"access_token": f"{value}\r\nA1 LOGOUT", "token_type": "Bearer"}
            )
        said, seconds = tenant.life
        tenant.given.append(Given(value, begun + seconds))
        tenant.secrets.append(value)
        document: dict[str, object] = {"access_token": value, "token_type": "bearer"}
        document |= {"expires_in": said, "scope": " ".join(sent)}
        if tenant.rotates:
            document["refresh_token"] = rotated = f"1//{tenant.name}Rot8kQ2vT9zb{self._number:04}"
            tenant.secrets.append(rotated)
        return TokenAnswer(200, document)

    def _echoing(self, answer: TokenAnswer | NoAnswer, sent: list[str]) -> TokenAnswer | NoAnswer:
        """The same answer, which repeats what it was sent wherever words may stand."""
        if isinstance(answer, NoAnswer) or not answer.document:
            return answer
        words = " ".join(sent)
        more = dict.fromkeys(("error_description", "error_uri", "error_codes", "scope"), words)
        return replace(answer, document={**more, **answer.document})


class Story(RuleBasedStateMachine):
    """Two tenants, one source of tokens."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.runner, self.shown = self._stack.enter_context(playing())
        self.endpoints = Endpoints()
        self.told: list[str] = []
        self.spread = 0.0
        for number, name in enumerate(TENANTS):
            self.endpoints.tenants[name] = Tenant(name, *_grant(name, number, 1))
        self.begin()

    def begin(self) -> None:
        """A process begins: nothing is known of tokens and pauses."""
        for tenant in self.endpoints.tenants.values():
            tenant.quiet_until = 0.0
        loop = self.runner.get_loop()
        self.source = TokenSource(self.endpoints, clock=loop.time, spread=lambda: self.spread)

    def runs(self, scene: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(scene)

    def tenant(self, number: int) -> Tenant:
        return self.endpoints.tenants[TENANTS[number % len(TENANTS)]]

    @rule(who=NUMBERS, life=st.sampled_from(LIVES), delay=DELAYS, rotates=st.booleans())
    def gives(self, who: int, life: tuple[object, float], delay: float, rotates: bool) -> None:
        tenant = self.tenant(who)
        tenant.answer, tenant.life, tenant.delay = None, life, delay
        tenant.rotates, tenant.odd = rotates, False

    @rule(who=NUMBERS, rotates=st.booleans())
    def gives_too_late(self, who: int, rotates: bool) -> None:
        self.gives(who, (5, 5.0), 20.0, rotates)

    @rule(who=NUMBERS)
    def gives_what_cannot_be_sent(self, who: int) -> None:
        tenant = self.tenant(who)
        tenant.answer, tenant.odd = None, True

    @rule(who=NUMBERS, answer=st.sampled_from(PASSING), delay=DELAYS)
    def is_in_trouble(self, who: int, answer: TokenAnswer | NoAnswer, delay: float) -> None:
        tenant = self.tenant(who)
        tenant.answer, tenant.delay = answer, delay

    @rule(who=NUMBERS, refusal=st.sampled_from(REFUSALS))
    def refuses(self, who: int, refusal: TokenAnswer) -> None:
        self.tenant(who).answer = refusal

    @rule(who=NUMBERS)
    def moves(self, who: int) -> None:
        tenant = self.tenant(who)
        tenant.quiet_until = 0.0
        host = f"login{len(tenant.asked)}.{tenant.name}.example.com"
        tenant.grant = replace(tenant.grant, token_url=f"https://{host}/token")

    @rule(who=NUMBERS)
    def gets_another_secret(self, who: int) -> None:
        tenant = self.tenant(who)
        version, tenant.quiet_until = int(tenant.grant.version) + 1, 0.0
        old = tenant.secrets
        tenant.grant, tenant.secrets = _grant(tenant.name, TENANTS.index(tenant.name), version)
        tenant.secrets += old

    @rule(seconds=st.sampled_from(PASSES), spread=st.floats(0, 1))
    def time_passes(self, seconds: float, spread: float) -> None:
        self.spread = spread
        self.runs(asyncio.sleep(seconds))

    @rule(who=NUMBERS)
    def a_mail_server_refuses(self, who: int) -> None:
        self.source.drop(self.tenant(who).grant)

    @rule()
    def the_process_begins_anew(self) -> None:
        self.runs(self.source.close())
        self.begin()

    @rule(who=NUMBERS, times=st.integers(1, 4))
    def asks(self, who: int, times: int) -> None:
        tenant = self.tenant(who)
        before = len(tenant.asked)

        async def scene() -> None:
            made = await asyncio.gather(*(self._asked(tenant) for _ in range(times)))
            assert len({repr(each) for each in made}) <= 2

        self.runs(scene())
        assert len(tenant.asked) - before <= 2, "who asks at once asks once"

    @rule()
    def all_ask(self) -> None:
        async def scene() -> None:
            await asyncio.gather(*map(self._asked, self.endpoints.tenants.values()))

        self.runs(scene())

    async def _asked(self, tenant: Tenant) -> AccessToken | TokenFailure:
        now = asyncio.get_running_loop().time
        begun, before = now(), len(tenant.asked)
        answer = tenant.answer
        with acting_for(tenant.name):
            got = await self.source.token(tenant.grant)
        self.told.append(repr(got))
        new = len(tenant.asked) - before
        assert now() - begun <= tenant.delay * 2 + 0.01, "another's endpoint was waited for"
        if isinstance(got, AccessToken):
            known = {each.value: each for each in tenant.given}
            assert got.value.reveal() in known, "a token of somebody else"
            assert now() < known[got.value.reveal()].until, "a token beyond its end"
            refused = new and isinstance(answer, TokenAnswer) and _is_refusal(answer)
            assert not refused, "a token in spite of a refusal"
        elif new and not _is_refusal(answer):
            assert not got.conclusive, "a verdict that nobody gave"
        elif new:
            assert got.conclusive, "no verdict in spite of a refusal"
        return got

    def teardown(self) -> None:
        self.runs(self.source.close())
        self._stack.close()
        assert self.shown.complaints == []
        told = "\n".join([*self.shown.lines, *self.told])
        for tenant in self.endpoints.tenants.values():
            for secret in tenant.secrets:
                for at in range(len(secret) - 11):
                    assert secret[at : at + 12] not in told


def _is_refusal(answer: TokenAnswer | NoAnswer | None) -> bool:
    return answer in REFUSALS


def _grant(name: str, number: int, version: int) -> tuple[Grant, list[str]]:
    """The grant of a tenant, and what of it is secret."""
    client, refresh = f"Gs8kQ2vT9zbXw4{name}{version:03}", f"1//Zk3mW8qRt5Yx1{name}{version:03}"
    if number % 2:
        grant, secrets = microsoft_user(refresh, str(version)), [refresh]
    else:
        grant, secrets = google_user(client, refresh, str(version)), [client, refresh]
    url = f"https://login.{name}.example.com/token"
    return replace(grant, namespace=name, token_url=url), secrets


Story.TestCase.settings = settings(fuzzed, stateful_step_count=30)
TestStory = Story.TestCase
