# SPDX-License-Identifier: Apache-2.0
"""Lists of identities over many requests, at APIs that change their mind between any two.

Hypothesis draws the story of two tenants, of Gmail and of Microsoft Graph: lists grow, shrink, and
go on elsewhere, on other pages, at other hosts, without end; tokens are refused; throttling,
redirects and outages come before, between and amid answers; bodies are another list from the
middle on, or never end. Held: a token is shown to its API alone, under the path of its mailbox, in
at most two requests a look; nothing is followed; a list decides about an address only where it came
whole; a refusal to hand it out is none of an identity; everything ends in time, and nothing that is
secret shows. `make fuzz` does many times as much.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from lab.http_machine import HttpMachine
from lab.mail_machine import Broken, fuzzed
from lab.mail_probing import AUTHORITY, context
from lab.mail_scene import playing
from lab.oauth_lab import LOOPBACK, MAILBOX, google_user, microsoft_user
from lab.test_identities_network import GMAIL_PATH, HOST, apis, loopback
from postroom.api.identities import IdentityState, IdentityType, VerificationMethod
from postroom.api.masked import Masked
from postroom.api.oauth import OAuthProvider
from postroom.api.reasons import Reason
from postroom.concurrency.acting import acting_for
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.connect.tls import TrustStore
from postroom.mail.identities.asking import BearerExchange
from postroom.mail.identities.judging import Knowledge, judge
from postroom.mail.identities.source import NetworkIdentities
from postroom.mail.identities.values import Discovered, DiscoveryFailure
from postroom.mail.oauth.answers import AccessToken, TokenFailure
from postroom.mail.oauth.grant import Grant

T = TypeVar("T")

BUNDLE = AUTHORITY.cert_pem.bytes().decode()
#: Building a context for each example would cost most of the time.
_TRUST = TrustStore()
GRAPH_PATH = "/v1.0/me"
TENANTS = (OAuthProvider.GOOGLE, OAuthProvider.MICROSOFT)
#: Seconds for one request.
LIMIT = 10.0
#: How many addresses a list has beside the mailbox's; more than 400 are not kept.
SIZES = (0, 1, 3, 200, 399, 400, 401, 2000)
#: How an API says that a list goes on, by where that would be; none of it is documented for these
#: two lists.
MORE: tuple[Mapping[str, str], ...] = (
    {"nextPageToken": "7"},
    {"@odata.nextLink": "https://{host}/v1.0/me?$skiptoken=7"},
    {"@odata.nextLink": "https://evil.example.net/v1.0/me?$skiptoken=7"},
    {"proxyAddresses@odata.nextLink": "https://{host}/v1.0/me/proxyAddresses?$skip=7"},
    {"proxyAddresses@odata.nextLink": "http://127.0.0.1:{stray}/"},
)
#: Statuses without a list, and whether they say nothing against what was found before.
REFUSALS = {403: False, 404: False, 429: True, 500: True, 503: True, 408: True}
#: What else comes instead of a list: all of it passing.
TROUBLES = (
    *("cut", "another from the middle on", "reset in a chunk", "endless", "silent"),
    *("not JSON", "no object", "empty", "closed at once"),
)
NUMBERS = st.integers(0, 2**16)


@dataclass(frozen=True)
class Step:
    """One answer: a list of so many addresses, or something else."""

    size: int = 3
    more: Mapping[str, str] | None = None
    status: int = 200
    trouble: str = ""
    redirect: int = 0

    @property
    def lists(self) -> bool:
        return self.status == 200 and not self.trouble and not self.redirect


def addresses(size: int) -> list[str]:
    return [f"alias{number:04}@example.com" for number in range(size)]


def document(provider: OAuthProvider, step: Step) -> dict[str, Any]:
    more = dict(step.more or {})
    if provider is OAuthProvider.GOOGLE:
        own = {"sendAsEmail": MAILBOX, "isPrimary": True}
        others = [
            {"sendAsEmail": address, "treatAsAlias": True, "verificationStatus": "accepted"}
            for address in addresses(step.size)
        ]
        return {"sendAs": [own, *others], **more}
    proxies = [f"SMTP:{MAILBOX}", *(f"smtp:{address}" for address in addresses(step.size))]
    return {"mail": MAILBOX, "userPrincipalName": MAILBOX, "proxyAddresses": proxies, **more}


@dataclass
class Tenant:
    """A mailbox, its tokens, and what its API is to answer next, the last again and again."""

    provider: OAuthProvider
    grant: Grant
    script: list[Step] = field(default_factory=lambda: [Step()])
    played: list[Step] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    #: Whether a token that is asked for was handed out a while ago.
    kept: bool = True

    def next_step(self) -> Step:
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        self.played.append(step)
        return step


class Tokens:
    """Hands out a token for each tenant, another one once it was dropped."""

    def __init__(self, tenants: Mapping[OAuthProvider, Tenant]) -> None:
        self._tenants = tenants

    async def token(self, grant: Grant) -> AccessToken | TokenFailure:
        tenant = self._tenants[grant.provider]
        fresh = not (tenant.kept and tenant.tokens)
        if fresh:
            number = len(tenant.tokens)
            tenant.tokens.append(f"ya29.{tenant.provider.value}Zk3mW8qRt5Yx1Np7Vb{number:04}")
        tenant.kept = True
        return AccessToken(Masked(tenant.tokens[-1]), 3600.0, fresh=fresh)

    def drop(self, grant: Grant) -> None:
        self._tenants[grant.provider].kept = False


class Apis(HttpMachine):
    """Both APIs on one port: what is asked says whose list it is."""

    tenants: Mapping[OAuthProvider, Tenant]

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        line, *fields = self.heads[-1].decode().split("\r\n")
        path = line.split(" ")[1]
        whose = OAuthProvider.GOOGLE if path == GMAIL_PATH else OAuthProvider.MICROSOFT
        assert path == GMAIL_PATH or path.partition("?")[0] == GRAPH_PATH, "asked for a page"
        tenant = self.tenants[whose]
        named = dict(field.split(": ", 1) for field in fields if field)
        sent = {name.lower(): value for name, value in named.items()}
        assert sent["authorization"] == f"Bearer {tenant.tokens[-1]}", "the token is another's"
        assert sent["host"] == f"{HOST}:{self.port}"
        assert "cookie" not in sent
        await self._play(writer, tenant, tenant.next_step())

    async def _play(self, writer: asyncio.StreamWriter, tenant: Tenant, step: Step) -> None:
        token = tenant.tokens[-1]
        text = json.dumps(document(tenant.provider, step))
        text = text.replace("{host}", f"{HOST}:{self.port}")
        body = text.replace("{stray}", str(self.elsewhere)).encode()
        error = {"error": {"code": step.status, "message": token, "status": token}}
        head = f"HTTP/1.1 {step.status} {token}\r\nContent-Type: application/json\r\n"
        head += f"Set-Cookie: a={token}\r\n"
        head += "Retry-After: 120\r\n" * (step.status == 429)
        if step.redirect:
            place = f"https://{HOST}:{self.elsewhere}/{token}"
            head = f"HTTP/1.1 {step.redirect} Moved\r\nLocation: {place}\r\n"
        elif step.status != 200:
            body = json.dumps(error).encode()
        sized = head + "Content-Length: {}\r\n\r\n"
        half = body[: len(body) // 2]
        match step.trouble:
            case "":
                await self._write(writer, sized.format(len(body)).encode() + body)
            case "cut":
                await self._write(writer, sized.format(len(body)).encode() + half)
                raise Broken
            case "another from the middle on":
                other = document(tenant.provider, Step(size=step.size + 1))
                mixed = half + json.dumps(other).encode()
                await self._write(writer, sized.format(len(mixed)).encode() + mixed)
            case "reset in a chunk":
                chunked = f"{head}Transfer-Encoding: chunked\r\n\r\n{len(body):x}\r\n"
                await self._write(writer, chunked.encode() + half)
                raise Broken
            case "endless":
                await self._write(writer, f"{head}\r\n".encode() + half[:-1])
                await self._forever(writer, b" " * 65536)
            case "silent":
                await asyncio.sleep(3600)
            case "closed at once":
                raise Broken
            case odd:
                said = {"not JSON": b"{" + body, "no object": b"[" + body + b"]", "empty": b""}[odd]
                await self._write(writer, sized.format(len(said)).encode() + said)


class Story(RuleBasedStateMachine):
    """Two tenants, one source of identities, and what was last known of each."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self.runner, self.shown = self._stack.enter_context(playing())
        grants = (google_user(), microsoft_user())
        self.tenants = {
            provider: Tenant(provider, replace(grant, namespace=provider.value.lower()))
            for provider, grant in zip(TENANTS, grants, strict=True)
        }
        self.machine = Apis(lambda things: things[0], context(HOST), (), ())
        self.machine.tenants = self.tenants
        self.told: list[str] = []
        self.servers = self.runs(self.machine.start())
        guard = DialPolicy(LOOPBACK, frozenset({self.machine.port}))
        asking = BearerExchange(guard, loopback, ca_bundle=BUNDLE, limit=LIMIT, trust=_TRUST)
        places = apis(self.machine.port)
        self.source = NetworkIdentities(asking, Tokens(self.tenants), places)

    def runs(self, scene: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(scene)

    def tenant(self, number: int) -> Tenant:
        return self.tenants[TENANTS[number % len(TENANTS)]]

    @rule(who=NUMBERS, size=st.sampled_from(SIZES), more=st.none() | st.sampled_from(MORE))
    def lists(self, who: int, size: int, more: Mapping[str, str] | None) -> None:
        self.tenant(who).script.append(Step(size, more))

    @rule(who=NUMBERS, status=st.sampled_from(sorted(REFUSALS)))
    def refuses(self, who: int, status: int) -> None:
        self.tenant(who).script.append(Step(status=status))

    @rule(who=NUMBERS, then=st.sampled_from((None, *TROUBLES)))
    def refuses_the_token(self, who: int, then: str | None) -> None:
        self.tenant(who).script += [Step(status=401), *([Step(trouble=then)] if then else [])]

    @rule(who=NUMBERS, trouble=st.sampled_from(TROUBLES), size=st.sampled_from(SIZES))
    def is_in_trouble(self, who: int, trouble: str, size: int) -> None:
        self.tenant(who).script.append(Step(size, trouble=trouble))

    @rule(who=NUMBERS, status=st.sampled_from((301, 302, 303, 307, 308)))
    def leads_elsewhere(self, who: int, status: int) -> None:
        self.tenant(who).script.append(Step(status=status, redirect=status))

    @rule()
    def all_look(self) -> None:
        async def scene() -> None:
            await asyncio.gather(*map(self._look, self.tenants.values()))

        self.runs(scene())

    @rule(who=NUMBERS, times=st.integers(1, 3))
    def looks(self, who: int, times: int) -> None:
        for _ in range(times):
            self.runs(self._look(self.tenant(who)))

    async def _look(self, tenant: Tenant) -> None:
        now = asyncio.get_running_loop().time
        begun, before, kept = now(), len(tenant.played), tenant.kept and bool(tenant.tokens)
        with acting_for(tenant.grant.namespace):
            found = await self.source.identities(tenant.grant, None)
        self.told.append(repr(found))
        steps = tenant.played[before:]
        assert now() - begun <= 2 * LIMIT + 1
        last = steps.pop(0)
        for may_ask_again in (kept, False):
            if last.trouble == "closed at once" and steps:
                # A connection that ends before an answer is made again, once.
                last = steps.pop(0)
            if not may_ask_again or last.status != 401:
                break
            last = steps.pop(0)
        assert not steps, "asked more often than a token was refused"
        if not last.lists:
            self._is_no_verdict(found, last)
            return
        self._tells_what_it_lists(found, last)

    def _is_no_verdict(self, found: Discovered | DiscoveryFailure, last: Step) -> None:
        assert isinstance(found, DiscoveryFailure), last
        if not last.redirect:
            assert found.passing is REFUSALS.get(last.status, last.status != 401), last
        if last.status == 429:
            assert found.retry_after == 120
        judged = _judged("alias0000@example.com", found)
        assert judged is IdentityState.UNVERIFIABLE

    def _tells_what_it_lists(self, found: Discovered | DiscoveryFailure, last: Step) -> None:
        assert isinstance(found, Discovered), (last, found)
        listed = {each.address for each in found.listed}
        assert listed <= {MAILBOX, *addresses(last.size)}
        whole = last.more is None and last.size < 400
        if last.size < 400:
            assert listed == {MAILBOX, *addresses(last.size)}
        assert _judged(MAILBOX, found) is IdentityState.VERIFIED
        for address in ("alias9999@example.com", *addresses(last.size)[-1:]):
            wanted = IdentityState.REJECTED if whole else IdentityState.UNVERIFIABLE
            wanted = IdentityState.VERIFIED if address in listed else wanted
            assert _judged(address, found) is wanted, (address, last)

    def teardown(self) -> None:
        self.runs(self.machine.end(self.servers))
        self._stack.close()
        assert self.shown.complaints == []
        assert self.machine.strays == 0, "a link or redirect was followed"
        told = "\n".join([*self.shown.lines, *self.told])
        for tenant in self.tenants.values():
            for secret in tenant.tokens:
                assert not any(secret[at : at + 12] in told for at in range(len(secret) - 11))


def _judged(address: str, found: Discovered | DiscoveryFailure) -> IdentityState:
    """What is said of an address on the strength of one answer alone."""
    known = Knowledge(own="own@example.com", method=VerificationMethod.PROVIDER)
    if isinstance(found, Discovered):
        known = replace(known, discovered=found)
    else:
        known = replace(known, failure=found)
    judged = judge(address, IdentityType.ALIAS, known)
    assert judged.reason in Reason
    return judged.state


Story.TestCase.settings = settings(fuzzed, max_examples=40, stateful_step_count=20)
TestStory = Story.TestCase
