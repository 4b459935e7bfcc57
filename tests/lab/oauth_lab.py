# SPDX-License-Identifier: Apache-2.0
"""What the tests of OAuth share: keys, certificates, grants, and exchanges that reach loopback."""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

from lab.token_server import GOOGLE_PATH, HOST, MICROSOFT_PATH, TENANT, TokenServer
from postroom.api.masked import Masked
from postroom.api.oauth import OAuth
from postroom.mail.connect.dial import Resolve
from postroom.mail.connect.guard import DialPolicy
from postroom.mail.oauth.exchange import HttpsExchange
from postroom.mail.oauth.grant import Grant, OAuthSecrets, grant_of
from postroom.mail.oauth.tokens import TokenSource

LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)
MAILBOX = "alice@example.com"
SERVICE_ACCOUNT = "mailer@project.iam.gserviceaccount.com"
REFERENCE = {"name": "oauth", "key": "value"}


@dataclass(frozen=True)
class Identity:
    """An RSA key, and a certificate for it; `thumbprint` is base64url of its SHA-256."""

    key: rsa.RSAPrivateKey
    key_pem: str
    certificate_pem: str
    thumbprint: str


def identity(number: int = 1) -> Identity:
    """Return a key and certificate, always the same for a number."""
    return _made(number)


@cache
def _made(number: int) -> Identity:
    """Making keys is slow, hence once."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"postroom {number}")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(number)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    digest = hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
    return Identity(
        key,
        pem,
        certificate.public_bytes(Encoding.PEM).decode(),
        base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
    )


def service_account_key(pem: str, **changes: Any) -> str:
    """The JSON that Google hands out for a service account."""
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "project",
            "private_key_id": "0123456789abcdef",
            "private_key": pem,
            "client_email": SERVICE_ACCOUNT,
            "client_id": "123456789",
            "token_uri": "https://attacker.example/token",
        }
        | changes
    )


def granted(spec: dict[str, Any], secrets: OAuthSecrets, version: str = "1") -> Grant:
    made = grant_of(
        OAuth.model_validate(spec), secrets, address=MAILBOX, version=version, namespace="mail"
    )
    assert isinstance(made, Grant)
    return made


def at(server: TokenServer, grant: Grant, path: str | None = None) -> Grant:
    """The same grant, but asked at a server of ours."""
    if path is None:
        path = GOOGLE_PATH if grant.provider.value == "Google" else MICROSOFT_PATH
    return replace(grant, token_url=server.url(path), ca_bundle=server.ca_bundle)


def google_user(client_secret: str = "gs", refresh: str = "gr", version: str = "1") -> Grant:  # noqa: S107
    return granted(
        {
            "provider": "Google",
            "clientID": "gid",
            "clientSecretRef": REFERENCE,
            "refreshTokenRef": REFERENCE,
        },
        OAuthSecrets(client_secret=Masked(client_secret), refresh_token=Masked(refresh)),
        version,
    )


def google_account(pem: str | None = None) -> Grant:
    key = service_account_key(pem or identity().key_pem)
    return granted(
        {"provider": "Google", "flow": "ServiceAccount", "serviceAccountKeyRef": REFERENCE},
        OAuthSecrets(service_account_key=Masked(key)),
    )


def microsoft_user(refresh: str = "mr", version: str = "1") -> Grant:
    return granted(
        {
            "provider": "Microsoft",
            "clientID": "mid",
            "tenant": TENANT,
            "refreshTokenRef": REFERENCE,
        },
        OAuthSecrets(refresh_token=Masked(refresh)),
        version,
    )


def microsoft_application(client_secret: str | None = "ms", number: int = 1) -> Grant:  # noqa: S107
    """The application itself, by secret or else by certificate."""
    spec: dict[str, Any] = {
        "provider": "Microsoft",
        "flow": "ClientCredentials",
        "clientID": "aid",
        "tenant": TENANT,
    }
    if client_secret is not None:
        secrets = OAuthSecrets(client_secret=Masked(client_secret))
        return granted(spec | {"clientSecretRef": REFERENCE}, secrets)
    made = identity(number)
    secrets = OAuthSecrets(
        certificate=Masked(made.certificate_pem), private_key=Masked(made.key_pem)
    )
    return granted(spec | {"certificateRef": {"name": "cert"}}, secrets)


def resolving(*addresses: str) -> Resolve:
    async def resolve(host: str) -> tuple[str, ...]:
        assert host == HOST
        return addresses

    return resolve


def exchange(
    port: int,
    resolve: Resolve | None = None,
    *,
    limit: float = 30.0,
    generic_hosts: tuple[str, ...] = (HOST,),
) -> HttpsExchange:
    """An exchange that may dial this port of loopback."""
    guard = DialPolicy(LOOPBACK, frozenset({port}))
    return HttpsExchange(
        guard, resolve or resolving("127.0.0.1"), limit=limit, generic_hosts=generic_hosts
    )


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def passes(self, seconds: float) -> None:
        self.now += seconds


def source(port: int, clock: Clock | None = None, limit: float = 30.0) -> TokenSource:
    return TokenSource(exchange(port, limit=limit), clock=clock or Clock(), spread=lambda: 0.0)
