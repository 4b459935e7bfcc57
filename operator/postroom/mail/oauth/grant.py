# SPDX-License-Identifier: Apache-2.0
"""From a spec and its Secrets to what is asked of a token endpoint."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from postroom.api.masked import Masked
from postroom.api.oauth import OAuth, OAuthFlow, OAuthProvider
from postroom.mail.credentials import UNSENDABLE
from postroom.mail.oauth.endpoints import scopes_of, token_url_of
from postroom.mail.oauth.jwt import UnusableKey, encoded, private_key, signed

#: Seconds that an assertion is valid; Google allows an hour, Microsoft advises ten minutes.
_GOOGLE_LIFETIME = 3600
_MICROSOFT_LIFETIME = 600
#: Seconds that an assertion is dated back: the clock of the other side may be behind ours.
_SKEW = 30
_JWT_BEARER_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_JWT_BEARER_CLIENT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

_SECRET_LIMIT = 16 * 1024
_ACCOUNT = re.compile(r"[A-Za-z0-9.@_-]{3,254}")


@dataclass(frozen=True, slots=True)
class BadGrant:
    """What is wrong with a Secret's data, in a sentence that repeats none of it."""

    sentence: str


@dataclass(frozen=True, slots=True)
class OAuthSecrets:
    """What the references of a spec led to; None where there is no reference."""

    client_secret: Masked | None = None
    refresh_token: Masked | None = None
    service_account_key: Masked | None = None
    certificate: Masked | None = None
    private_key: Masked | None = None


@dataclass(frozen=True, slots=True)
class KeptFor:
    """The object that new refresh tokens are kept for, beyond the life of this process.

    `source` identifies the version of the Secret that they descend from (uid/resourceVersion).
    """

    kind: str
    name: str
    uid: str
    source: str


@dataclass(frozen=True, slots=True)
class Grant:
    """All that is needed to ask for one mailbox's token.

    `version` changes whenever a Secret behind it does (uid and resourceVersion), and `namespace`
    is the tenant's: both belong to the key of the cache. `ca_bundle` is PEM that is trusted
    instead of the public authorities. `issuer` and `key_id` are those of a service account.
    `kept_for` is None where a new refresh token is not to be kept. `secret` names the Secrets
    behind it, for the audit; it makes no other grant.
    """

    provider: OAuthProvider
    flow: OAuthFlow
    token_url: str
    client_id: str
    subject: str
    scopes: tuple[str, ...]
    secrets: OAuthSecrets
    version: str
    namespace: str
    ca_bundle: str | None = None
    key_id: str = ""
    kept_for: KeptFor | None = None
    secret: str = field(default="", compare=False)

    @property
    def is_shared(self) -> bool:
        """Whether its token opens every mailbox that the application may open, not one."""
        return self.flow is OAuthFlow.CLIENT_CREDENTIALS

    @property
    def key(self) -> str:
        """Return what tells this grant from all others, without any secret in it."""
        return self._key(self.subject)

    @property
    def token_key(self) -> str:
        """Return what tells its token from those of other grants."""
        return self._key("" if self.is_shared else self.subject)

    def _key(self, subject: str) -> str:
        parts = (
            *(self.namespace, self.provider, self.flow, self.token_url, self.client_id),
            *(subject, self.version, " ".join(sorted(self.scopes)), self.ca_bundle or ""),
            *((self.kept_for.kind, self.kept_for.uid) if self.kept_for else ()),
        )
        return hashlib.sha256(json.dumps(parts).encode("utf-8")).hexdigest()

    def form(self, now: float, refresh_token: Masked | None = None) -> Form:
        """Return the parameters of the request at `now` (seconds since the epoch).

        `refresh_token` replaces the one of the Secret, where the provider has rotated it. Costs
        milliseconds where something is signed. Raises `UnusableKey`.
        """
        match self.flow:
            case OAuthFlow.SERVICE_ACCOUNT:
                issued = int(now) - _SKEW
                claims = {
                    "iss": self.client_id,
                    "sub": self.subject,
                    "scope": " ".join(self.scopes),
                    "aud": self.token_url,
                    "iat": issued,
                    "exp": issued + _GOOGLE_LIFETIME,
                }
                header = {"alg": "RS256", "typ": "JWT"}
                if self.key_id:
                    header["kid"] = self.key_id
                key = private_key(_present(self.secrets.private_key))
                assertion = signed(header, claims, key)
                return Form({"grant_type": _JWT_BEARER_GRANT}, {"assertion": assertion})
            case OAuthFlow.CLIENT_CREDENTIALS:
                form = Form({"grant_type": "client_credentials"}, {})
            case OAuthFlow.REFRESH_TOKEN:
                shown = refresh_token or self.secrets.refresh_token
                assert shown is not None  # noqa: S101 - `grant_of` sees to it
                form = Form({"grant_type": "refresh_token"}, {"refresh_token": shown})
        form.open["client_id"] = self.client_id
        if self.scopes:
            form.open["scope"] = " ".join(self.scopes)
        # What proves to be the client (RFC 6749 section 2.3.1, RFC 7523 section 2.2).
        if self.secrets.client_secret is not None:
            form.masked["client_secret"] = self.secrets.client_secret
        elif self.secrets.private_key is not None:
            form.open["client_assertion_type"] = _JWT_BEARER_CLIENT
            form.masked["client_assertion"] = self._client_assertion(now)
        return form

    def _client_assertion(self, now: float) -> Masked:
        issued = int(now) - _SKEW
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.token_url,
            "jti": secrets.token_hex(16),
            "iat": issued,
            "nbf": issued,
            "exp": issued + _MICROSOFT_LIFETIME,
        }
        pem = _present(self.secrets.certificate).reveal().encode("utf-8", "replace")
        try:
            certificate = x509.load_pem_x509_certificate(pem)
        except ValueError:
            raise UnusableKey("has a certificate that is no readable PEM") from None
        thumbprint = encoded(hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest())
        header = {"alg": "PS256", "typ": "JWT", "x5t#S256": thumbprint}
        return signed(header, claims, private_key(_present(self.secrets.private_key)))


@dataclass(frozen=True, slots=True)
class Form:
    """Parameters of a request; those in `masked` are revealed on the wire only."""

    open: dict[str, str] = field(default_factory=dict)
    masked: dict[str, Masked] = field(default_factory=dict)


def grant_of(
    oauth: OAuth,
    given: OAuthSecrets,
    *,
    address: str,
    version: str,
    namespace: str,
    ca_bundle: str | None = None,
    kept_for: KeptFor | None = None,
) -> Grant | BadGrant:
    """Read a spec and its Secrets; `address` is the mailbox where the spec names none."""
    checked = _checked(oauth, given)
    if isinstance(checked, BadGrant):
        return checked
    client_id, key_id = oauth.client_id or "", ""
    if oauth.flow is OAuthFlow.SERVICE_ACCOUNT:
        account = _service_account(_present(checked.service_account_key))
        if isinstance(account, BadGrant):
            return account
        client_id, key_id = account.email, account.key_id
        checked = OAuthSecrets(private_key=account.private_key)
    return Grant(
        provider=oauth.provider,
        flow=oauth.flow,
        token_url=token_url_of(oauth),
        client_id=client_id,
        subject=oauth.subject or address,
        scopes=scopes_of(oauth),
        secrets=checked,
        version=version,
        namespace=namespace,
        ca_bundle=ca_bundle,
        key_id=key_id,
        kept_for=kept_for,
    )


def _checked(oauth: OAuth, given: OAuthSecrets) -> OAuthSecrets | BadGrant:
    """Take what the spec references, and name the mistakes that users make."""
    wanted = {
        "client_secret": ("the client secret", oauth.client_secret_ref is not None),
        "refresh_token": ("the refresh token", oauth.refresh_token_ref is not None),
    }
    kept: dict[str, Masked | None] = {}
    for name, (called, referenced) in wanted.items():
        if not referenced:
            continue
        value: Masked | None = getattr(given, name)
        # One line of text; the line end that editors add is dropped.
        text = value.reveal() if value is not None else ""
        text = text.removesuffix("\n").removesuffix("\r") if text.endswith("\n") else text
        if not text:
            return BadGrant(f"{called} is missing or empty: set it.")
        if UNSENDABLE.search(text) or text != text.strip():
            return BadGrant(f"{called} holds a space or control character at an end: remove it.")
        if len(text) > _SECRET_LIMIT:
            return BadGrant(f"{called} is longer than any: check what the Secret holds.")
        kept[name] = Masked(text)
    blobs = {
        "service_account_key": ("the service account's key", oauth.service_account_key_ref),
        "certificate": ("tls.crt", oauth.certificate_ref),
        "private_key": ("tls.key", oauth.certificate_ref),
    }
    for name, (called, reference) in blobs.items():
        blob: Masked | None = getattr(given, name) if reference is not None else None
        if reference is not None and not (blob and 0 < len(blob.reveal()) <= _SECRET_LIMIT):
            return BadGrant(f"{called} is missing, empty or too long: set it.")
        kept[name] = blob
    return OAuthSecrets(**kept)


@dataclass(frozen=True, slots=True)
class _ServiceAccount:
    email: str
    key_id: str
    private_key: Masked


def _service_account(key: Masked) -> _ServiceAccount | BadGrant:
    """Read the JSON that Google hands out. Its ``token_uri`` is not followed: whoever may write
    the Secret must not choose where the assertion goes."""
    try:
        found = json.loads(key.reveal())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, Mapping) or found.get("type") != "service_account":
        return BadGrant(
            "the service account's key is not the JSON file that Google hands out: put the whole "
            "file into the Secret."
        )
    email, pem, key_id = (
        found.get(name) for name in ("client_email", "private_key", "private_key_id")
    )
    if not (isinstance(email, str) and _ACCOUNT.fullmatch(email) and isinstance(pem, str)):
        return BadGrant(
            "the service account's key lacks client_email or private_key: put the whole file into "
            "the Secret."
        )
    known = key_id if isinstance(key_id, str) and re.fullmatch(r"[0-9A-Za-z]{1,64}", key_id) else ""
    return _ServiceAccount(email, known, Masked(pem))


def _present(value: Masked | None) -> Masked:
    assert value is not None  # noqa: S101 - `grant_of` sees to it
    return value
