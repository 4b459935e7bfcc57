# SPDX-License-Identifier: Apache-2.0
"""No token and no key shows on the ways to tokens and with them, whatever endpoints repeat.

Covers: every kind of grant at token endpoints that repeat the form in errors, headers, pages and
tokens; private keys and what is signed with them; identity APIs that repeat the token in every
field; rotation against an API server that repeats what it is sent; policy hosts; the engine with
tokens.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import pytest

from lab.canary_secrets import Secrets, spellings, spelt
from lab.canary_servers import IMAP_ERRANDS, SMTP_ERRANDS
from lab.canary_watch import Watch, watching
from lab.canary_world import ADDRESS, CanaryWorld, Ports, objects, written
from lab.hostile import Hostile
from lab.kept_secrets import Secrets as ApiSecrets
from lab.kept_secrets import kept
from lab.mail_probing import context
from lab.oauth_lab import (
    at,
    google_account,
    google_user,
    identity,
    microsoft_application,
    microsoft_user,
    source,
)
from lab.test_identities_network import GMAIL_PATH, Api, Given, identities
from lab.test_policy_fetch import DOMAIN, fetcher, resolving, response
from lab.test_policy_fetch import HOST as POLICY_HOST
from lab.token_server import GOOGLE_PATH, Scripted, TokenServer
from postroom.mail.oauth.grant import Grant
from postroom.mail.oauth.tokens import TokenSource

PARTS = ("private exponent", "first prime", "second prime")


def hide_key(watch: Watch, number: int) -> None:
    """Hide a private key as text, and its secret numbers in each form."""
    made = identity(number)
    body = "".join(made.key_pem.splitlines()[1:-1])
    # What all keys of a kind begin with is no secret.
    watch.hide("private key", body[64:])
    numbers = made.key.private_numbers()
    for name, value in zip(PARTS, (numbers.d, numbers.p, numbers.q), strict=True):
        watch.hide(f"{name} in decimal", str(value))
        watch.hide(f"{name} in hexadecimal", f"{value:x}")


def grants(made: Secrets, watch: Watch, number: int) -> list[Grant]:
    """A grant of each kind, whose secrets are hidden."""
    client, refresh, token = made.password(number), made.password(number + 1), made.token()
    watch.hide("client secret", client)
    watch.hide("refresh token", refresh)
    watch.hide("another refresh token", token)
    hide_key(watch, 1)
    return [
        google_user(client, refresh),
        microsoft_user(token),
        microsoft_application(client),
        microsoft_application(None, 1),
        google_account(),
    ]


def echoes(form: Mapping[str, str]) -> list[Scripted]:
    """Answers that repeat a form: as JSON in each place, as a page, in headers, as a token."""
    texts = [spelt(one).decode("utf-8", "replace") for one in form.values()]
    text = " ".join([*form.values(), *texts])
    keys = ("error", "error_description", "suberror", "error_uri", "trace_id", "scope")
    document = dict.fromkeys(keys, text) | {text: text, "error_codes": [text]}
    known = document | {"error": "invalid_grant"}
    coded = document | {"error": "invalid_client", "error_codes": [7000215]}
    header = {"X-Echo": quote(text)[:3000], "Retry-After": quote(text)[:100]}
    page = f"<html>{text}</html>".encode()
    odd: dict[str, Any] = {"access_token": {"a": text}, "token_type": text, "expires_in": text}
    return [
        *(Scripted(status, one, header) for status in (400, 503) for one in (document, known)),
        Scripted(401, coded, header),
        Scripted(429, document, header),
        Scripted(200, odd, header),
        Scripted(200, None, header, page, "text/html"),
        Scripted(400, None, header, text.encode(), "application/json"),
        Scripted(302, None, {"Location": f"https://{text[:20].encode().hex()}.example/"}, page),
    ]


def hide_forms(watch: Watch, server: TokenServer) -> None:
    """Hide what was signed: whoever has it can have tokens."""
    for form in server.forms:
        for name in ("assertion", "client_assertion"):
            if name in form:
                watch.hide(f"{name} {len(watch.secrets)}", form[name].rpartition(".")[2])


@pytest.mark.parametrize("seed", range(4))
async def test_token_endpoints_that_repeat(seed: int) -> None:
    async with watching() as watch, TokenServer() as server:
        for grant in grants(Secrets(400 + seed), watch, 3 * seed):
            asked = at(server, grant)
            sent = asked.form(0.0)
            shown = {**sent.open, **{name: one.reveal() for name, one in sent.masked.items()}}
            for answer in echoes(shown):
                server.script.append(answer)
                tokens = source(server.port)
                watch.see("failure", await tokens.token(asked))
                watch.see("source", repr(vars(tokens)))
            watch.see("grant", asked, asked.secrets, sent, asked.key)
        hide_forms(watch, server)
    assert len(server.forms) == 5 * 10


async def test_tokens_that_are_good() -> None:
    made = Secrets(410)
    access, rotated, seed = made.token(), made.token(), made.token()
    async with watching() as watch, TokenServer() as server:
        watch.hide("access token", access)
        watch.hide("rotated token", rotated)
        watch.hide("seed", seed)
        document = {"access_token": access, "refresh_token": rotated, "token_type": "Bearer"}
        server.script.append(Scripted(document=document | {"expires_in": 3599, "scope": access}))
        tokens, grant = source(server.port), at(server, microsoft_user(seed))
        watch.see("token", await tokens.token(grant), repr(vars(tokens)))
        watch.see("kept", await tokens.token(grant), tokens.keeping(grant))
    assert server.forms[0]["refresh_token"] == seed


def listed(text: str) -> list[tuple[int, Mapping[str, Any]]]:
    """Answers of identity APIs that hold a text wherever a text may stand."""
    entry = {
        "sendAsEmail": f"{base64.b32encode(text.encode()).decode().strip('=')}@example.com",
        **dict.fromkeys(("displayName", "replyToAddress", "signature"), text),
        "verificationStatus": text,
    }
    errors = {"error": {"code": 403, "status": text, "message": text, "errors": [{"reason": text}]}}
    return [
        (200, {"sendAs": text}),
        (200, {"sendAs": [entry | {"sendAsEmail": text}, text]}),
        (200, {text: text, "mail": text, "proxyAddresses": [text, f"smtp:{text}"]}),
        *((status, errors) for status in (400, 401, 403, 404, 429, 500)),
        (403, {"error": text}),
    ]


@pytest.mark.parametrize("seed", range(3))
async def test_identity_apis_that_repeat(seed: int) -> None:
    made = Secrets(420 + seed)
    token = made.token()
    async with watching() as watch, Api() as api:
        watch.hide("token", token)
        for spelling in spellings(token):
            text = spelling.decode("utf-8", "replace")
            for grant in (google_user(), microsoft_user()):
                for answer in listed(text):
                    api.script[:] = [answer] * 2
                    found = await identities(api.port, Given(token)).identities(grant, None)
                    watch.see(f"{answer[0]} of {grant.provider.value}", found)
    assert {asked[2] for asked in api.asked} == {token}
    assert GMAIL_PATH in {asked[0] for asked in api.asked}


@pytest.mark.parametrize("fault", [None, 403, 409, 422, 500])
async def test_rotation_where_the_api_server_repeats(fault: int | None) -> None:
    made = Secrets(430)
    seed, *rotated = (made.token() for _ in range(4))
    async with watching() as watch, TokenServer() as server:
        watch.hide("seed", seed)
        watch.hide("rotated", *rotated)
        for number, token in enumerate(rotated):
            watch.hide(f"access {number}", access := made.token())
            document = {"access_token": access, "refresh_token": token, "expires_in": 3599}
            server.script.append(Scripted(document=document | {"token_type": "Bearer"}))
        secrets = ApiSecrets(faults=[fault] * 9 if fault else [])
        grant = kept(at(server, microsoft_user(seed)))
        for _ in rotated:
            tokens, store = source(server.port), secrets.store()
            tokens.keep_in(store)
            watch.see("token", await tokens.token(grant), tokens.keeping(grant), grant)
            watch.see("store", repr(vars(tokens) | {"_store": None}), repr(store._known))
            secrets.passes(days=2)
    assert secrets.writes


async def test_policy_hosts_learn_nothing_and_repeat_all() -> None:
    key = Secrets(440).core(32)
    async with watching() as watch:
        watch.hide("ownership key", key)
        steps = (lambda line: response("200 OK", line.decode("latin-1")), "close")
        async with Hostile(
            *["read"] * 6, *steps, context=context(POLICY_HOST), implicit=True
        ) as run:
            fetching = fetcher(run.port, resolving("127.0.0.1"))
            watch.see("policy", await fetching.fetch(DOMAIN))
            await fetching.close()
        watch.see("request", *run.received)
    assert run.received


OAUTH = {
    "provider": "Generic",
    "clientID": "postroom",
    "clientSecretRef": {"name": "oauth", "key": "client"},
    "refreshTokenRef": {"name": "oauth", "key": "refresh"},
    "subject": ADDRESS,
    "scopes": ["mail"],
    "caBundleRef": {"name": "ca"},
}


@pytest.mark.parametrize("good", [True, False])
async def test_the_engine_with_tokens(good: bool, tmp_path: Any) -> None:
    made = Secrets(450)
    oauth = {"client": made.password(1), "refresh": made.token()}
    access = made.token()
    smtp = SMTP_ERRANDS["250 to QUIT"](access)
    imap = IMAP_ERRANDS["talks of it"](access)
    async with (
        watching() as watch,
        TokenServer() as server,
        Hostile(*smtp, context=context(), implicit=True) as sending,
        Hostile(*imap, context=context(), implicit=True) as reading,
    ):
        for name, secret in {**oauth, "access": access}.items():
            watch.hide(name, secret)
        token = {"access_token": access, "token_type": "Bearer", "expires_in": 3599}
        answers = [Scripted(document=token)] if good else echoes(oauth)
        server.script.extend(answers * 8)
        spec = {"oauth": OAUTH | {"tokenURL": server.url(GOOGLE_PATH)}}
        file = written(tmp_path, objects(Ports(sending.port, reading.port), {"oauth": oauth}, spec))
        tokens: TokenSource = source(server.port)
        ports = Ports(sending.port, reading.port)
        world = CanaryWorld(file, ports, watch, made.core(32), tokens)
        await world.look("engine")
        watch.see("tokens", repr(vars(tokens)))
        await tokens.close()
    assert {form["refresh_token"] for form in server.forms} == {oauth["refresh"]}
    told = [one for one in sending.received if b"AUTH" in one]
    assert bool(told) is good, json.dumps(world.account())
