# SPDX-License-Identifier: Apache-2.0
"""What a token's own claims tell before a mail server is asked: for another service, too little."""

from dataclasses import dataclass

from postroom.api.finding_texts import in_full
from postroom.api.masked import Masked
from postroom.api.oauth import MicrosoftCloud, OAuthFlow, OAuthProvider
from postroom.mail.oauth.answers import AccessToken
from postroom.mail.oauth.endpoints import Endpoints, directory, endpoints_of
from postroom.mail.oauth.jwt import Claims, claims_of
from postroom.mail.oauth.reasons import OAuthReason
from postroom.mail.replies.model import Protocol

_OUTLOOK = "leave spec.oauth.scopes out, or name the scopes of Outlook, and sign in again."


@dataclass(frozen=True, slots=True)
class TokenFault:
    """Why a mail server would refuse a token; `wrong`, and `fix` as in `postroom.mail.report`,
    repeat nothing of the token."""

    reason: OAuthReason
    wrong: str
    fix: str = ""

    @property
    def sentence(self) -> str:
        """What is wrong and what to do, in one text."""
        return in_full(self.wrong, self.fix)


def fault_of(
    token: AccessToken,
    protocol: Protocol,
    provider: OAuthProvider,
    flow: OAuthFlow,
    cloud: MicrosoftCloud | None = None,
) -> TokenFault | None:
    """Why a token would be refused; None where nothing speaks against it.

    Opaque tokens, as those of Google and of Microsoft's personal accounts, tell nothing of
    themselves; the scopes that came with them do.
    """
    known = endpoints_of(provider, cloud)
    if known is None:
        return None
    if provider is not OAuthProvider.GOOGLE:
        claims = claims_of(token.value)
        return _microsoft_fault(claims, protocol, flow, known) if claims is not None else None
    wanted = known.delegated_scopes[protocol][0]
    if token.scopes is None or wanted in token.scopes:
        return None
    return TokenFault(
        OAuthReason.SCOPE_MISSING,
        f"The token does not carry {wanted}, the only scope that IMAP and SMTP take:",
        "sign in again and leave its box ticked.",
    )


def _microsoft_fault(
    claims: Claims, protocol: Protocol, flow: OAuthFlow, known: Endpoints
) -> TokenFault | None:
    audience = {recipient.rstrip("/").lower() for recipient in claims.audience}
    if audience & set(known.graph_audiences):
        return TokenFault(
            OAuthReason.WRONG_AUDIENCE,
            f"The token is for Microsoft Graph, not for {protocol}:",
            _OUTLOOK,
        )
    if audience and not audience & set(known.audiences):
        return TokenFault(
            OAuthReason.WRONG_AUDIENCE,
            f"The token is for another service, not for {protocol}:",
            _OUTLOOK,
        )
    permission = directory().microsoft_permissions[protocol]
    if flow is OAuthFlow.CLIENT_CREDENTIALS:
        if permission.role in claims.roles:
            return None
        return TokenFault(
            OAuthReason.SCOPE_MISSING,
            f"The application lacks the role {permission.role}:",
            "add it to the application's permissions for Office 365 Exchange Online, and have an "
            "administrator consent.",
        )
    if permission.scope in {scope.rpartition("/")[2] for scope in claims.scopes}:
        return None
    return TokenFault(
        OAuthReason.SCOPE_MISSING,
        f"The token lacks the scope {permission.scope}:",
        "sign in again and consent to it.",
    )


def signed_in_as(id_token: Masked, wanted: str) -> TokenFault | None:
    """Whether an ID token is that of an address; None where it is.

    It came from the token endpoint itself over verified TLS, which stands for its signature
    (OpenID Connect Core section 3.1.3.7).
    """
    claims = claims_of(id_token)
    if claims is None or not claims.accounts:
        return TokenFault(
            OAuthReason.WRONG_ACCOUNT,
            "The provider does not say who signed in, so that the address could not be checked.",
        )
    if wanted.lower() not in claims.accounts:
        return TokenFault(
            OAuthReason.WRONG_ACCOUNT,
            f"{claims.account} signed in, not {wanted}:",
            "sign in with the other account.",
        )
    if claims.email_verified is False:
        return TokenFault(
            OAuthReason.WRONG_ACCOUNT,
            f"The provider has not verified that {wanted} belongs to whoever signed in.",
        )
    return None
