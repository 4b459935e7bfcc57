# SPDX-License-Identifier: Apache-2.0
"""Signing in with the browser of this machine: authorization code with PKCE, and a redirect to
loopback (RFC 8252 section 7.3, RFC 7636)."""

import asyncio
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

from aiohttp import web

from postroom.api.masked import Masked
from postroom.api.oauth import OAuthProvider
from postroom.mail.oauth.answers import TokenFailure, failure_from
from postroom.mail.oauth.endpoints import url_of
from postroom.mail.oauth.exchange import TokenAnswer
from postroom.mail.oauth.jwt import encoded
from postroom.mail.oauth.login import FLOW, LoginRequest, SignedIn, signed_in, too_late
from postroom.mail.oauth.tokens import Exchange

_CODE_LIMIT = 4096
_DONE = "You may close this window: postroom has what it needs."
_DECLINED = "You may close this window: the sign-in did not succeed, postroom tells why."
_HEADERS = {"cache-control": "no-store", "content-security-policy": "default-src 'none'"}


@dataclass(frozen=True, slots=True)
class _Callback:
    """What the browser brought: a code, or the provider's word for why there is none."""

    code: Masked | None
    error: str = ""


@dataclass(slots=True)
class _Proof:
    """The values that tie the answer to our question: of the browser and of the endpoint."""

    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    @property
    def challenge(self) -> str:
        """Return S256 of the verifier (RFC 7636 section 4.2)."""
        return encoded(hashlib.sha256(self.verifier.encode("ascii")).digest())


class LoopbackLogin:
    """One sign-in; listens while it is entered. `url` is what the browser must open."""

    def __init__(self, exchange: Exchange, request: LoginRequest) -> None:
        self._exchange, self._request, self._proof = exchange, request, _Proof()
        self._port = 0
        self._runner: web.AppRunner | None = None
        self._callback: asyncio.Future[_Callback] | None = None

    async def __aenter__(self) -> Self:
        self._callback = asyncio.get_running_loop().create_future()
        app = web.Application(client_max_size=0)
        app.router.add_get("/", self._redirected)
        # No access log: the request line holds the code.
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def redirect_uri(self) -> str:
        """Return where the browser is sent: Microsoft ignores the port of localhost alone."""
        name = "localhost" if self._request.provider is OAuthProvider.MICROSOFT else "127.0.0.1"
        return f"http://{name}:{self._port}"

    @property
    def url(self) -> str:
        """Return the page to open."""
        request = self._request
        asked = {
            "response_type": "code",
            "client_id": request.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": request.asked_scopes,
            "state": self._proof.state,
            "code_challenge": self._proof.challenge,
            "code_challenge_method": "S256",
            "login_hint": request.address,
        }
        if request.provider is OAuthProvider.GOOGLE:
            # Only so does Google hand out a refresh token, each time.
            asked |= {"access_type": "offline", "prompt": "consent"}
        return f"{url_of(request.endpoints.authorize_url, request.tenant)}?{urlencode(asked)}"

    async def finish(self, seconds: float) -> SignedIn | TokenFailure:
        """Wait for the browser at most so long, then redeem what it brought."""
        assert self._callback is not None  # noqa: S101 - call it while entered
        try:
            async with asyncio.timeout(seconds):
                brought = await self._callback
        except TimeoutError:
            return too_late()
        if brought.code is None:
            said = TokenAnswer(400, {"error": brought.error})
            return failure_from(said, self._request.provider, FLOW)
        masked = {"code": brought.code, "code_verifier": Masked(self._proof.verifier)}
        form = self._request.form("authorization_code", masked)
        form.open["redirect_uri"] = self.redirect_uri
        url = url_of(self._request.endpoints.token_url, self._request.tenant)
        answer = await self._exchange.post(url, form, ca_bundle=self._request.ca_bundle)
        return signed_in(answer, self._request)

    async def _redirected(self, request: web.Request) -> web.Response:
        """Take the first answer to our own question; anything else on this machine may knock."""
        assert self._callback is not None  # noqa: S101 - set on entering
        state = request.query.get("state", "")
        ours = hmac.compare_digest(
            state.encode("utf-8", "surrogatepass"), self._proof.state.encode("ascii")
        )
        if not ours or self._callback.done():
            return web.Response(status=400, text="This is no answer to postroom.", headers=_HEADERS)
        code = request.query.get("code", "")
        if 0 < len(code) <= _CODE_LIMIT:
            self._callback.set_result(_Callback(Masked(code)))
            return web.Response(text=_DONE, headers=_HEADERS)
        self._callback.set_result(_Callback(None, request.query.get("error", "")[:40]))
        return web.Response(text=_DECLINED, headers=_HEADERS)
