# SPDX-License-Identifier: Apache-2.0
"""Signing in as a person, to get a refresh token: what both ways have in common."""

from dataclasses import dataclass

from postroom.api.masked import Masked
from postroom.api.oauth import OAuthFlow, OAuthProvider
from postroom.mail.connect.https_answers import NoAnswer
from postroom.mail.oauth.answers import TokenFailure, token_from
from postroom.mail.oauth.diagnosis import signed_in_as
from postroom.mail.oauth.endpoints import Endpoints
from postroom.mail.oauth.exchange import TokenAnswer
from postroom.mail.oauth.grant import Form
from postroom.mail.oauth.reasons import CATALOGUE, OAuthReason
from postroom.mail.replies.model import FailureClass

#: What the flows of this module end in; the table of errors knows no other for people.
FLOW = OAuthFlow.REFRESH_TOKEN


@dataclass(frozen=True, slots=True)
class LoginRequest:
    """Who signs in to what. `address` is whom we expect to; `ca_bundle` serves tests."""

    provider: OAuthProvider
    endpoints: Endpoints
    client_id: str
    address: str
    tenant: str | None = None
    client_secret: Masked | None = None
    scopes: tuple[str, ...] = ()
    ca_bundle: str | None = None

    @property
    def asked_scopes(self) -> str:
        """Return what is asked for, with what tells who signed in."""
        wanted = self.scopes or self.endpoints.scopes_of_user()
        return " ".join(dict.fromkeys((*wanted, *self.endpoints.sign_in_scopes)))

    def form(self, grant_type: str, masked: dict[str, Masked]) -> Form:
        """Return a request of this client."""
        form = Form({"client_id": self.client_id}, dict(masked))
        if grant_type:
            form.open["grant_type"] = grant_type
        if self.client_secret is not None:
            form.masked["client_secret"] = self.client_secret
        return form


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a person's sign-in yields: the refresh token, of the account that was expected."""

    refresh_token: Masked


def signed_in(answer: TokenAnswer | NoAnswer, request: LoginRequest) -> SignedIn | TokenFailure:
    """Read the answer that ends a sign-in, and check who signed in."""
    got = token_from(answer, request.provider, FLOW, None)
    if isinstance(got, TokenFailure):
        return got
    assert isinstance(answer, TokenAnswer)  # noqa: S101 - else there would be no token
    if got.rotated is None:
        return TokenFailure(
            OAuthReason.SCOPE_MISSING,
            FailureClass.CONFIGURATION,
            "The provider hands out no refresh token:",
            fix="remove the application's access in the account's settings and sign in again, or "
            "ask for the scope offline_access.",
        )
    stated = (answer.document or {}).get("id_token")
    fault = signed_in_as(Masked(stated if isinstance(stated, str) else ""), request.address)
    if fault is not None:
        return TokenFailure(fault.reason, FailureClass.PERMANENT, fault.wrong, fix=fault.fix)
    # Microsoft leaves the host of some scopes out, and nobody repeats those that only tell who
    # signed in.
    wanted = set(request.scopes or request.endpoints.scopes_of_user())
    needed = {_name(scope) for scope in wanted - set(request.endpoints.sign_in_scopes)}
    if got.scopes is not None and not needed <= {_name(scope) for scope in got.scopes}:
        return TokenFailure(
            OAuthReason.SCOPE_MISSING,
            FailureClass.PERMANENT,
            "Not all that mail needs was consented to:",
            fix="sign in again and leave every box ticked.",
        )
    return SignedIn(got.rotated)


def too_late() -> TokenFailure:
    """The failure of a login in which nobody signed in in time."""
    entry = CATALOGUE[OAuthReason.LOGIN_EXPIRED]
    return TokenFailure(
        OAuthReason.LOGIN_EXPIRED, FailureClass.PERMANENT, entry.meaning, fix=entry.remedy
    )


def _name(scope: str) -> str:
    """The last part of a scope that is a URL; all of it where that is empty."""
    return (scope.rpartition("/")[2] or scope).lower()
