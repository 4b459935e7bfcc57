# SPDX-License-Identifier: Apache-2.0
"""A token server on loopback that behaves, and refuses, as Google's and Microsoft's do.

It checks what it is shown (secrets, signatures, audiences, times, PKCE) and answers in the real
form of each provider's documents. What tests put into `script` is answered first.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import ssl
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

import trustme
from aiohttp import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from lab.mail_probing import AUTHORITY, context

HOST = "login.example.com"
GOOGLE_PATH = "/token"
TENANT = "contoso.onmicrosoft.com"
MICROSOFT_PATH = f"/{TENANT}/oauth2/v2.0/token"
DEVICE_PATH = f"/{TENANT}/oauth2/v2.0/devicecode"
AUTHORIZE_PATH = "/authorize"


@dataclass
class Scripted:
    """An answer whatever is asked; `body` wins over `document`."""

    status: int = 200
    document: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"


@dataclass
class Client:
    """A registered client; `key` and `thumbprint` are those of its certificate or account."""

    secret: str | None = None
    key: rsa.RSAPublicKey | None = None
    thumbprint: str = ""


@dataclass
class Refresh:
    """What a refresh token stands for."""

    client_id: str
    account: str
    scopes: str


@dataclass
class _Pending:
    """A sign-in that is under way, by device code or browser."""

    client_id: str
    scopes: str
    challenge: str = ""
    redirect_uri: str = ""
    polls: int = 0


def google_error(error: str, description: str = "", subtype: str = "") -> dict[str, Any]:
    """An error document as oauth2.googleapis.com writes it."""
    document = {"error": error}
    if description:
        document["error_description"] = description
    if subtype:
        document["error_subtype"] = subtype
    return document


def microsoft_error(
    error: str, code: int | None, text: str = "Refused.", suberror: str = ""
) -> dict[str, Any]:
    """An error document as login.microsoftonline.com writes it."""
    trace = secrets.token_hex(8)
    described = f"AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {trace} Timestamp: now"
    document: dict[str, Any] = {
        "error": error,
        "error_description": described if code is not None else text,
        "error_codes": [code] if code is not None else [],
        "timestamp": "2026-11-21 08:00:00Z",
        "trace_id": trace,
        "correlation_id": trace,
        "error_uri": f"https://login.microsoftonline.com/error?code={code}",
    }
    if suberror:
        document["suberror"] = suberror
    return document


def unsigned_jwt(claims: Mapping[str, Any]) -> str:
    """A JWT for the eyes of readers that do not verify."""
    parts = [json.dumps(one).encode() for one in ({"alg": "none"}, claims)]
    return ".".join([*(_encoded(part) for part in parts), _encoded(b"signature")])


class TokenServer:
    """Serves on an address of loopback, as `HOST`; entered, `port` says where."""

    def __init__(
        self,
        made: ssl.SSLContext | None = None,
        ca: trustme.CA = AUTHORITY,
        address: str = "127.0.0.1",
    ) -> None:
        self.address = address
        self._context = made or context(HOST, ca=ca)
        self.ca_bundle = ca.cert_pem.bytes().decode()
        self.port = 0
        self.script: deque[Scripted] = deque()
        #: Every form that came, and its path.
        self.forms: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.clients: dict[str, Client] = {}
        self.refreshes: dict[str, Refresh] = {}
        #: Mailboxes that the service accounts may act for.
        self.delegated: set[str] = set()
        self.mailboxes: set[str] = set()
        self.rotates = False
        #: Device codes are good after so many questions.
        self.patience = 2
        self.account = "alice@example.com"
        self._devices: dict[str, _Pending] = {}
        self._codes: dict[str, _Pending] = {}
        self._runner: web.AppRunner | None = None
        self._issued = 0

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._serve)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self.address, 0, ssl_context=self._context)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def url(self, path: str) -> str:
        return f"https://{HOST}:{self.port}{path}"

    def authorize(self, asked: Mapping[str, str]) -> str:
        """Consent to what an authorization URL asks for, as a person would; return the code."""
        code = secrets.token_urlsafe(16)
        assert asked["code_challenge_method"] == "S256"
        self._codes[code] = _Pending(
            asked["client_id"], asked["scope"], asked["code_challenge"], asked["redirect_uri"]
        )
        return code

    async def _serve(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        self.paths.append(request.path)
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if self.script:
            said = self.script.popleft()
            body = said.body if said.body is not None else json.dumps(said.document).encode()
            return web.Response(
                status=said.status, body=body, content_type=said.content_type, headers=said.headers
            )
        status, document = self._answer(request.path, form)
        return web.json_response(document, status=status, headers={"cache-control": "no-store"})

    def _answer(self, path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if path == GOOGLE_PATH:
            return self._google(form)
        if not path.startswith(f"/{TENANT}/"):
            return 400, microsoft_error("invalid_request", 90002, "Tenant not found.")
        if path == DEVICE_PATH:
            return self._device(form)
        return self._microsoft(form)

    def _google(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if form["grant_type"].endswith("jwt-bearer"):
            return self._service_account(form["assertion"])
        client = self.clients.get(form.get("client_id", ""))
        if client is None:
            return 401, google_error("invalid_client", "The OAuth client was not found.")
        if "client_secret" not in form and client.secret is not None:
            return 400, google_error("invalid_request", "client_secret is missing.")
        if form.get("client_secret") != client.secret:
            return 401, google_error("invalid_client", "The provided client secret is invalid.")
        if form["grant_type"] == "authorization_code":
            return self._redeem(form)
        known = self.refreshes.get(form.get("refresh_token", ""))
        if known is None or known.client_id != form["client_id"]:
            return 400, google_error("invalid_grant", "Token has been expired or revoked.")
        return 200, self._token("ya29.", known.scopes, None)

    def _service_account(self, assertion: str) -> tuple[int, dict[str, Any]]:
        header, claims, verified = self._verify(assertion, "RS256")
        now = time.time()
        if not verified or claims["aud"] != self.url(GOOGLE_PATH):
            return 400, google_error("invalid_grant", "Invalid JWT Signature.")
        if not now - 300 < claims["iat"] < now + 300 or claims["exp"] - claims["iat"] > 3600:
            return 400, google_error(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
                "timeframe. Check your iat and exp values in the JWT claim.",
            )
        if claims["sub"] not in self.mailboxes:
            return 400, google_error("invalid_grant", "Invalid email or User ID")
        if claims["sub"] not in self.delegated or claims["scope"] != "https://mail.google.com/":
            return 401, google_error(
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method, or client not "
                "authorized for any of the scopes requested.",
            )
        assert header["typ"] == "JWT"
        return 200, self._token("ya29.", None, None)

    def _microsoft(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        client = self.clients.get(form.get("client_id", ""))
        if client is None:
            return 400, microsoft_error("unauthorized_client", 700016, "Application not found.")
        refused = self._refuses_client(client, form)
        if refused is not None:
            return 401, refused
        match form["grant_type"].rpartition(":")[2]:
            case "client_credentials":
                return 200, self._token("", None, self._claims(form, client))
            case "authorization_code":
                return self._redeem(form)
            case "device_code":
                return self._poll(form)
        known = self.refreshes.get(form.get("refresh_token", ""))
        if known is None or known.client_id != form["client_id"]:
            return 400, microsoft_error(
                "invalid_grant", 700082, "The refresh token has expired due to inactivity."
            )
        document = self._token("", form["scope"], self._claims(form, client))
        if self.rotates:
            document["refresh_token"] = self._refresh(known)
        return 200, document

    def _refuses_client(self, client: Client, form: dict[str, str]) -> dict[str, Any] | None:
        if "client_assertion" in form:
            header, claims, verified = self._verify(form["client_assertion"], "PS256")
            fits = header.get("x5t#S256") == client.thumbprint and claims["jti"]
            timely = claims["nbf"] <= time.time() < claims["exp"] <= time.time() + 600
            aimed = claims["aud"] == self.url(MICROSOFT_PATH)
            if (
                verified
                and fits
                and timely
                and aimed
                and claims["sub"] == claims["iss"] == form["client_id"]
            ):
                return None
            return microsoft_error("invalid_client", 700027, "Signature validation failed.")
        if client.key is not None:
            return microsoft_error("invalid_client", 7000218, "The body must contain ...")
        if client.secret != form.get("client_secret"):
            return microsoft_error("invalid_client", 7000215, "Invalid client secret provided.")
        return None

    def _claims(self, form: dict[str, str], client: Client) -> dict[str, Any]:
        """The claims of an access token: delegated, or of the application itself."""
        if form["grant_type"] == "client_credentials":
            return {
                "aud": "https://outlook.office365.com",
                "roles": ["IMAP.AccessAsApp", "SMTP.SendAsApp"],
            }
        names = [one.rpartition("/")[2] for one in form["scope"].split() if "/" in one]
        return {"aud": "https://outlook.office.com", "scp": " ".join(names), "upn": self.account}

    def _device(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if form.get("client_id") not in self.clients:
            return 400, microsoft_error("unauthorized_client", 700016, "Application not found.")
        code = secrets.token_urlsafe(16)
        self._devices[code] = _Pending(form["client_id"], form["scope"])
        return 200, {
            "user_code": "ABCD2345",
            "device_code": code,
            "verification_uri": "https://microsoft.com/devicelogin",
            "expires_in": 900,
            "interval": 5,
            "message": "To sign in, use a web browser ...",
        }

    def _poll(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        pending = self._devices.get(form["device_code"])
        if pending is None:
            return 400, microsoft_error("bad_verification_code", 70018)
        pending.polls += 1
        if pending.polls <= self.patience:
            return 400, microsoft_error("authorization_pending", 70016)
        return 200, self._signed_in(pending)

    def _redeem(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        pending = self._codes.pop(form.get("code", ""), None)
        challenge = _encoded(hashlib.sha256(form["code_verifier"].encode()).digest())
        if (
            pending is None
            or pending.challenge != challenge
            or pending.redirect_uri != form["redirect_uri"]
            or pending.client_id != form["client_id"]
        ):
            return 400, google_error("invalid_grant", "Malformed auth code.")
        return 200, self._signed_in(pending)

    def _signed_in(self, pending: _Pending) -> dict[str, Any]:
        document = self._token("", pending.scopes, None)
        document["refresh_token"] = self._refresh(
            Refresh(pending.client_id, self.account, pending.scopes)
        )
        document["id_token"] = unsigned_jwt({"email": self.account, "aud": pending.client_id})
        return document

    def _token(
        self, prefix: str, scopes: str | None, claims: Mapping[str, Any] | None
    ) -> dict[str, Any]:
        self._issued += 1
        value = f"{prefix}token-{self._issued}"
        document: dict[str, Any] = {"token_type": "Bearer", "expires_in": 3599}
        document["access_token"] = unsigned_jwt({**claims, "n": value}) if claims else value
        if scopes is not None:
            document["scope"] = scopes
        return document

    def _refresh(self, known: Refresh) -> str:
        value = f"refresh-{secrets.token_urlsafe(16)}"
        self.refreshes[value] = known
        return value

    def _verify(
        self, assertion: str, algorithm: str
    ) -> tuple[dict[str, Any], dict[str, Any], bool]:
        """Read an assertion and check its signature with the issuer's key."""
        content, _, signature = assertion.rpartition(".")
        header, claims = (json.loads(_decoded(one)) for one in content.split("."))
        client = self.clients.get(claims["iss"])
        if client is None or client.key is None or header["alg"] != algorithm:
            return header, claims, False
        scheme: padding.AsymmetricPadding = padding.PKCS1v15()
        if algorithm == "PS256":
            scheme = padding.PSS(padding.MGF1(hashes.SHA256()), hashes.SHA256.digest_size)
        try:
            client.key.verify(_decoded(signature), content.encode(), scheme, hashes.SHA256())
        except InvalidSignature:
            return header, claims, False
        return header, claims, True


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
