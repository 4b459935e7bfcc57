# SPDX-License-Identifier: Apache-2.0
"""Signing in as a person: device code, and the browser with PKCE; and ``postroom auth login``.

Covers: what is asked and shown, who signed in, what was consented to, strangers who knock at the
loopback port, patience and its end, the Secret that is printed or applied, and exit codes.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest
import yaml
from aiohttp import web

from lab.mail_probing import nothing_leaks  # noqa: F401 - a fixture
from lab.oauth_lab import MAILBOX, exchange
from lab.token_server import (
    AUTHORIZE_PATH,
    GOOGLE_PATH,
    TENANT,
    Client,
    Scripted,
    TokenServer,
    microsoft_error,
)
from postroom.api.masked import Masked
from postroom.api.oauth import MicrosoftCloud, OAuth, OAuthProvider
from postroom.cli import auth as auth_command
from postroom.cli.auth_secret import CannotApply, apply, secret_of
from postroom.cli.main import app
from postroom.mail.oauth import device_code
from postroom.mail.oauth.answers import TokenFailure
from postroom.mail.oauth.endpoints import Endpoints, endpoints_of
from postroom.mail.oauth.login import LoginRequest, SignedIn
from postroom.mail.oauth.loopback import LoopbackLogin
from postroom.mail.oauth.reasons import OAuthReason


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    made = TokenServer()
    made.clients = {"gid": Client(secret="gs"), "mid": Client()}
    async with made:
        yield made


def endpoints_at(server: TokenServer, provider: OAuthProvider) -> Endpoints:
    """What is known of a provider, at a server of ours."""
    known = endpoints_of(provider)
    assert known is not None
    place = "/{tenant}/oauth2/v2.0/"
    token = GOOGLE_PATH if provider is OAuthProvider.GOOGLE else f"{place}token"
    device = "" if provider is OAuthProvider.GOOGLE else server.url(f"{place}devicecode")
    moved = {
        "token_url": server.url(token),
        "authorize_url": server.url(AUTHORIZE_PATH),
        "device_url": device,
    }
    return Endpoints.model_validate(known.model_dump() | moved)


def microsoft(server: TokenServer) -> LoginRequest:
    return LoginRequest(
        provider=OAuthProvider.MICROSOFT,
        endpoints=endpoints_at(server, OAuthProvider.MICROSOFT),
        client_id="mid",
        address=MAILBOX,
        tenant=TENANT,
        ca_bundle=server.ca_bundle,
    )


def google(server: TokenServer) -> LoginRequest:
    return LoginRequest(
        provider=OAuthProvider.GOOGLE,
        endpoints=endpoints_at(server, OAuthProvider.GOOGLE),
        client_id="gid",
        client_secret=Masked("gs"),
        address=MAILBOX,
        ca_bundle=server.ca_bundle,
    )


class Pauses:
    """Sleeps that take no time but are counted."""

    def __init__(self) -> None:
        self.taken: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.taken.append(seconds)

    def clock(self) -> float:
        return sum(self.taken)


async def by_device(
    server: TokenServer, request: LoginRequest, pauses: Pauses | None = None
) -> SignedIn | TokenFailure:
    pauses = pauses or Pauses()
    through = exchange(server.port)
    code = await device_code.begin(through, request)
    assert isinstance(code, device_code.DeviceCode)
    return await device_code.finish(through, request, code, sleep=pauses, clock=pauses.clock)


def failure(got: SignedIn | TokenFailure) -> TokenFailure:
    assert isinstance(got, TokenFailure)
    return got


async def test_by_device_code(server: TokenServer) -> None:
    pauses = Pauses()
    got = await by_device(server, microsoft(server), pauses)
    assert isinstance(got, SignedIn)
    assert got.refresh_token.reveal() in server.refreshes
    assert pauses.taken == [5.0, 5.0, 5.0]
    asked = server.forms[0]["scope"].split()
    assert {"offline_access", "openid", "https://outlook.office.com/SMTP.Send"} <= set(asked)


async def test_what_is_shown_of_a_device_code(server: TokenServer) -> None:
    code = await device_code.begin(exchange(server.port), microsoft(server))
    assert isinstance(code, device_code.DeviceCode)
    assert (code.user_code, code.verification_uri) == (
        "ABCD2345",
        "https://microsoft.com/devicelogin",
    )
    assert code.device_code.reveal() not in repr(code)


async def test_the_server_can_ask_for_slower_questions(server: TokenServer) -> None:
    pauses, through, request = Pauses(), exchange(server.port), microsoft(server)
    code = await device_code.begin(through, request)
    assert isinstance(code, device_code.DeviceCode)
    server.script.append(Scripted(400, microsoft_error("slow_down", None)))
    server.script.append(Scripted(503, {}))
    await device_code.finish(through, request, code, sleep=pauses, clock=pauses.clock)
    assert pauses.taken == [5.0, 10.0, 15.0, 15.0, 15.0]


async def test_patience_ends(server: TokenServer) -> None:
    server.patience = 10_000
    pauses = Pauses()
    got = failure(await by_device(server, microsoft(server), pauses))
    assert got.reason is OAuthReason.LOGIN_EXPIRED
    assert pauses.clock() == 900


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (microsoft_error("authorization_declined", None), OAuthReason.ACCESS_DECLINED),
        (microsoft_error("expired_token", 70019), OAuthReason.LOGIN_EXPIRED),
        (microsoft_error("invalid_grant", 50076), OAuthReason.INTERACTION_REQUIRED),
        (microsoft_error("invalid_client", 7000218), OAuthReason.CLIENT_SECRET_INVALID),
    ],
)
async def test_a_refusal_ends_it(
    server: TokenServer, error: dict[str, Any], reason: OAuthReason
) -> None:
    through, request, pauses = exchange(server.port), microsoft(server), Pauses()
    code = await device_code.begin(through, request)
    assert isinstance(code, device_code.DeviceCode)
    server.script.append(Scripted(400, error))
    got = await device_code.finish(through, request, code, sleep=pauses, clock=pauses.clock)
    assert failure(got).reason is reason
    assert len(pauses.taken) == 1


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"user_code": "x", "device_code": "y", "verification_uri": "http://x.example"},
        {"user_code": "x\x1b[2J", "device_code": "y", "verification_uri": "https://x.example"},
        {"user_code": "x" * 999, "device_code": "y", "verification_uri": "https://x.example"},
        {"user_code": 5, "device_code": "y", "verification_uri": "https://x.example"},
    ],
)
async def test_device_codes_that_nobody_should_see(
    server: TokenServer, document: dict[str, Any]
) -> None:
    server.script.append(Scripted(200, document))
    got = await device_code.begin(exchange(server.port), microsoft(server))
    assert isinstance(got, TokenFailure)
    assert not got.conclusive


@pytest.mark.parametrize("value", [-1, 0, "5", True, None, 10**400])
async def test_absurd_times_are_bounded(server: TokenServer, value: object) -> None:
    said = {"user_code": "x", "device_code": "y", "verification_uri": "https://x.example"}
    server.script.append(Scripted(200, said | {"interval": value, "expires_in": value}))
    code = await device_code.begin(exchange(server.port), microsoft(server))
    assert isinstance(code, device_code.DeviceCode)
    assert (code.interval, code.lasts) == (5.0, 1800.0)


async def test_another_account_is_refused(server: TokenServer) -> None:
    server.account = "bob@example.com"
    got = failure(await by_device(server, microsoft(server)))
    assert got.reason is OAuthReason.WRONG_ACCOUNT
    assert "bob@example.com signed in, not alice@example.com" in got.message


ID = {"access_token": "a", "token_type": "Bearer"}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (ID, OAuthReason.SCOPE_MISSING),
        (ID | {"refresh_token": "r"}, OAuthReason.WRONG_ACCOUNT),
    ],
)
async def test_what_a_sign_in_must_yield(
    server: TokenServer, document: dict[str, Any], reason: OAuthReason
) -> None:
    through, request, pauses = exchange(server.port), microsoft(server), Pauses()
    code = await device_code.begin(through, request)
    assert isinstance(code, device_code.DeviceCode)
    server.script.append(Scripted(200, document))
    got = await device_code.finish(through, request, code, sleep=pauses, clock=pauses.clock)
    assert failure(got).reason is reason


async def visit(url: str, **values: str) -> tuple[int, str]:
    """What the browser does at the end: follow the redirect to loopback."""
    url = url.replace("//localhost:", "//127.0.0.1:")
    async with aiohttp.ClientSession() as session, session.get(url, params=values) as response:
        return response.status, await response.text()


def question(attempt: LoopbackLogin) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(attempt.url).query))


@pytest.mark.parametrize("made", [google, microsoft])
async def test_by_browser(server: TokenServer, made: Any) -> None:
    async with LoopbackLogin(exchange(server.port), made(server)) as attempt:
        asked = question(attempt)
        code = server.authorize(asked)
        status, _ = await visit(attempt.redirect_uri, code=code, state=asked["state"])
        got = await attempt.finish(3)
    assert status == 200
    assert isinstance(got, SignedIn)
    assert server.forms[-1]["grant_type"] == "authorization_code"


async def test_what_the_browser_is_asked(server: TokenServer) -> None:
    async with LoopbackLogin(exchange(server.port), google(server)) as attempt:
        asked = question(attempt)
        assert asked["redirect_uri"].startswith("http://127.0.0.1:")
    assert (asked["access_type"], asked["prompt"]) == ("offline", "consent")
    assert (asked["login_hint"], asked["code_challenge_method"]) == (MAILBOX, "S256")
    assert asked["scope"].split() == ["https://mail.google.com/", "openid", "email"]
    assert len(asked["state"]) >= 32
    assert "gs" not in asked.values()


async def test_microsoft_is_asked_with_the_name_whose_port_it_ignores(server: TokenServer) -> None:
    async with LoopbackLogin(exchange(server.port), microsoft(server)) as attempt:
        assert attempt.redirect_uri.startswith("http://localhost:")


async def test_strangers_at_the_port_are_not_heard(server: TokenServer) -> None:
    async with LoopbackLogin(exchange(server.port), google(server)) as attempt:
        asked = question(attempt)
        for values in ({"code": "evil"}, {"code": "evil", "state": "guess"}, {"error": "x"}):
            assert (await visit(attempt.redirect_uri, **values))[0] == 400
        assert (await visit(f"{attempt.redirect_uri}/other", state=asked["state"]))[0] == 404
        code = server.authorize(asked)
        await visit(attempt.redirect_uri, code=code, state=asked["state"])
        again = await visit(attempt.redirect_uri, code="second", state=asked["state"])
        assert again[0] == 400
        assert isinstance(await attempt.finish(3), SignedIn)
    assert [form["code"] for form in server.forms] == [code]


async def test_a_code_of_another_question_is_refused(server: TokenServer) -> None:
    async with LoopbackLogin(exchange(server.port), google(server)) as attempt:
        asked = question(attempt)
        code = server.authorize(asked | {"code_challenge": "another"})
        await visit(attempt.redirect_uri, code=code, state=asked["state"])
        assert failure(await attempt.finish(3)).reason is OAuthReason.GRANT_REVOKED


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("access_denied", OAuthReason.ACCESS_DECLINED),
        ("admin_policy_enforced", OAuthReason.BLOCKED_BY_ADMIN),
        ("<script>", OAuthReason.ENDPOINT_UNEXPECTED),
        ("", OAuthReason.ENDPOINT_UNEXPECTED),
    ],
)
async def test_whoever_declines_is_told(
    server: TokenServer, error: str, reason: OAuthReason
) -> None:
    async with LoopbackLogin(exchange(server.port), google(server)) as attempt:
        asked = question(attempt)
        _, page = await visit(attempt.redirect_uri, error=error, state=asked["state"])
        got = failure(await attempt.finish(3))
    assert got.reason is reason
    assert "script" not in f"{page} {got.message}"
    assert server.forms == []


async def test_nobody_comes(server: TokenServer) -> None:
    async with LoopbackLogin(exchange(server.port), google(server)) as attempt:
        assert failure(await attempt.finish(0.05)).reason is OAuthReason.LOGIN_EXPIRED


async def test_a_box_that_was_not_ticked(server: TokenServer) -> None:
    async with LoopbackLogin(exchange(server.port), google(server)) as attempt:
        asked = question(attempt)
        code = server.authorize(asked | {"scope": "openid email"})
        await visit(attempt.redirect_uri, code=code, state=asked["state"])
        got = failure(await attempt.finish(3))
    assert got.reason is OAuthReason.SCOPE_MISSING
    assert "leave every box ticked" in got.message


GOOD = ["auth", "login", "--provider", "Microsoft", "--client-id", "mid", "--address", MAILBOX]


class Run:
    """Runs the command in a thread, whose loop has a token server of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.server = TokenServer()
        self.server.clients = {"mid": Client()}
        self.server.patience = 0
        self._real = auth_command.sign_in_through
        monkeypatch.setattr(auth_command, "sign_in_through", self._sign_in)
        monkeypatch.setattr(device_code, "_SHORTEST", 0.01)
        monkeypatch.setattr(device_code, "_LONGEST", 0.01)

    async def _sign_in(self, _: object, request: LoginRequest, *others: Any) -> int:
        async with self.server as server:
            known = endpoints_at(server, OAuthProvider.MICROSOFT)
            moved = replace(request, endpoints=known, ca_bundle=server.ca_bundle)
            code: int = await self._real(exchange(server.port), moved, *others)
            return code

    def __call__(self, *more: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            app(args=[*GOOD, "--tenant", TENANT, *more])
        shown = self._capsys.readouterr()
        return int(ended.value.code or 0), shown.out, shown.err


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    yield Run(monkeypatch, capsys)


def test_the_command_prints_the_secret(run: Run) -> None:
    code, out, err = run("--namespace", "mail")
    assert code == 0
    secret = yaml.load(out, Loader=yaml.CSafeLoader)
    assert secret["metadata"] == {"name": "alice-example-com-oauth", "namespace": "mail"}
    token = secret["stringData"]["refreshToken"]
    assert token in run.server.refreshes
    assert token not in err
    assert "enter the code ABCD2345" in err
    spec = yaml.load(err[err.index("oauth:") :], Loader=yaml.CSafeLoader)["oauth"]
    oauth = OAuth.model_validate(spec)
    assert oauth.refresh_token_ref is not None
    assert (oauth.tenant, oauth.refresh_token_ref.key) == (TENANT, "refreshToken")


def test_a_shared_mailbox_is_the_subject(run: Run) -> None:
    _, out, err = run("--address", "shared@example.com", "--signed-in-as", MAILBOX)
    assert yaml.load(out, Loader=yaml.CSafeLoader)["metadata"]["name"] == "shared-example-com-oauth"
    assert (
        yaml.load(err[err.index("oauth:") :], Loader=yaml.CSafeLoader)["oauth"]["subject"]
        == "shared@example.com"
    )


def test_the_command_ends_with_one_where_nobody_signed_in(run: Run) -> None:
    run.server.account = "bob@example.com"
    code, out, err = run()
    assert (code, out) == (1, "")
    assert "bob@example.com signed in, not alice@example.com" in err
    assert not any(token in err for token in run.server.refreshes)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--address", "nobody"], "--address and --signed-in-as must be an email address"),
        (["--client-id", "a b"], "--client-id must be the client's ID"),
        (["--tenant", "a/b"], "--tenant must be a tenant's ID"),
        (["--scope", "a b"], "--scope must be one scope"),
        (["--name", "Not A Name"], "--name must be the name of an object"),
        (["--provider", "Google"], "--tenant is for Microsoft only"),
        (["--client-secret-file", "/nowhere"], "cannot be read as text"),
    ],
)
def test_bad_input_ends_with_two(run: Run, arguments: list[str], sentence: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err


def test_nobody_signs_in_for_a_secret_that_cannot_be_written(run: Run, tmp_path: Path) -> None:
    """What a sign-in yields is there once: it would be lost."""
    code, out, err = run("--apply", "--kubeconfig", str(tmp_path / "none"))
    assert (code, out) == (1, "")
    assert "there is no kubeconfig" in err
    assert "enter the code" not in err


def test_the_file_that_googles_console_hands_out_is_not_the_secret(
    run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "client_secret.json"
    file.write_text('{"installed": {"client_secret": "canary"}}')
    code, out, err = run("--client-secret-file", str(file))
    assert (code, out) == (2, "")
    assert "put the value of client_secret alone into a file" in err
    assert "canary" not in err


def test_google_has_no_device_code(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["auth", "login", "--provider", "Google", "--client-id", "x"]
    with pytest.raises(SystemExit, match="2"):
        app(args=[*arguments, "--address", MAILBOX, "--method", "DeviceCode"])
    assert "Google offers no device code for mail" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("alice@example.com", "alice-example-com-oauth"),
        ("a.b+c@x.example", "a-b-c-x-example-oauth"),
        ("_@x.example", "x-example-oauth"),
    ],
)
def test_the_name_of_the_secret(address: str, name: str) -> None:
    assert auth_command.secret_name(address) == name


def test_the_cloud_is_in_the_spec() -> None:
    known = endpoints_of(OAuthProvider.MICROSOFT, MicrosoftCloud.CHINA)
    assert known is not None
    request = LoginRequest(OAuthProvider.MICROSOFT, known, "x", MAILBOX)
    assert auth_command.spec_of(request, "s", MAILBOX)["cloud"] == "China"


class ApiServer:
    """As much of a kube-apiserver as writing a Secret needs."""

    def __init__(self, *statuses: int) -> None:
        self._statuses = list(statuses)
        self.seen: list[tuple[str, str, Any]] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append((request.method, request.path, json.loads(await request.text())))
        return web.json_response({"echo": self.seen[-1][2]}, status=self._statuses.pop(0))


async def applied(api: ApiServer, directory: Path) -> str:
    server = web.Application()
    server.router.add_route("*", "/{path:.*}", api.answer)
    runner = web.AppRunner(server, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "x",
        "clusters": [
            {"name": "x", "cluster": {"server": f"http://127.0.0.1:{runner.addresses[0][1]}"}}
        ],
        "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }
    path = directory / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    secret = secret_of("oauth", "mail", Masked("canary-token"), Masked("canary-secret"))
    try:
        return await apply(secret, path, None)
    finally:
        await runner.cleanup()


async def test_a_secret_is_created(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    api = ApiServer(201)
    assert await applied(api, tmp_path) == "created"
    method, path, body = api.seen[0]
    assert (method, path) == ("POST", "/api/v1/namespaces/mail/secrets")
    assert body["stringData"] == {"refreshToken": "canary-token", "clientSecret": "canary-secret"}
    assert "canary" not in caplog.text


async def test_a_secret_that_is_there_keeps_its_other_keys(tmp_path: Path) -> None:
    api = ApiServer(409, 200, 200)
    assert await applied(api, tmp_path) == "updated (refreshToken added, clientSecret added)"
    (*_, asked), (method, path, body) = api.seen[1:]
    assert asked == {}
    assert (method, path) == ("PATCH", "/api/v1/namespaces/mail/secrets/oauth")
    assert set(body) == {"metadata", "stringData"}


@pytest.mark.parametrize(
    ("statuses", "sentence"),
    [
        ([403], "you may not write Secrets in namespace mail"),
        ([404], "namespace mail does not exist"),
        ([409, 500], "the API server answers 500"),
    ],
)
async def test_what_the_cluster_refuses(tmp_path: Path, statuses: list[int], sentence: str) -> None:
    with pytest.raises(CannotApply, match=sentence) as refused:
        await applied(ApiServer(*statuses), tmp_path)
    assert "canary" not in str(refused.value)


async def test_without_a_kubeconfig_nothing_is_applied(tmp_path: Path) -> None:
    with pytest.raises(CannotApply, match="there is no kubeconfig"):
        await apply(secret_of("oauth", "mail", Masked("x"), None), tmp_path / "none", None)


async def test_a_sign_in_that_is_given_up_leaves_nothing(server: TokenServer) -> None:
    async def attempt() -> None:
        async with LoopbackLogin(exchange(server.port), google(server)) as entered:
            await entered.finish(60)

    waiting = asyncio.create_task(attempt())
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
