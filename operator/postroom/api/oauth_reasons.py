# SPDX-License-Identifier: Apache-2.0
"""The part of the reason catalogue that is about OAuth: what each means, and what to do."""

from collections.abc import Mapping

#: By the reason's value: its meaning and its remedy.
CATALOGUE: Mapping[str, tuple[str, str]] = {
    "OAuthEndpointUnavailable": (
        "The token endpoint could not be reached, or is not available now; this says nothing "
        "about the credentials.",
        "Wait; if it stays, open the way from the operator to the endpoint.",
    ),
    "OAuthEndpointUnexpected": (
        "What answers at the token endpoint does not speak OAuth 2.0.",
        "Check tokenURL, and whether a proxy answers in the endpoint's place.",
    ),
    "OAuthEndpointDenied": (
        "The operator does not send credentials to the token endpoint.",
        "Use a public endpoint that the operator allows, or have its list of hosts widened.",
    ),
    "OAuthThrottled": (
        "The token endpoint wants fewer requests.",
        "Wait: the pause that it asks for is kept.",
    ),
    "OAuthCredentialsInvalid": (
        "A Secret that spec.oauth references does not hold what it should.",
        "Mend the key that the message names.",
    ),
    "OAuthRequestInvalid": (
        "The token endpoint finds the request incomplete or not allowed for this client.",
        "Check the client's type and the fields of spec.oauth.",
    ),
    "OAuthClientSecretInvalid": (
        "The client secret is wrong.",
        "Put the current secret of the client into the Secret.",
    ),
    "OAuthClientSecretExpired": (
        "The client secret has expired.",
        "Create a new client secret and put it into the Secret.",
    ),
    "OAuthClientUnknown": (
        "The provider knows no such client.",
        "Correct clientID, and tenant where there is one.",
    ),
    "OAuthClientDisabled": (
        "The client is disabled or deleted.",
        "Enable it with the provider, or use another one.",
    ),
    "OAuthAssertionInvalid": (
        "The provider does not accept the assertion that postroom signed.",
        "Check that the key belongs to this client, and the clock of the operator.",
    ),
    "OAuthTenantUnknown": (
        "There is no such tenant in this cloud.",
        "Correct spec.oauth.tenant or spec.oauth.cloud.",
    ),
    "OAuthDelegationMissing": (
        "The service account may not act for the mailbox.",
        "A Workspace administrator must grant domain-wide delegation to the service account's "
        "client ID for the scope https://mail.google.com/.",
    ),
    "OAuthGrantExpired": (
        "The refresh token has expired.",
        "Sign in again: postroom auth login.",
    ),
    "OAuthGrantRevoked": (
        "The refresh token is revoked or wrong.",
        "Sign in again: postroom auth login.",
    ),
    "OAuthInteractionRequired": (
        "The provider wants the user to sign in again, with a second factor.",
        "Sign in again: postroom auth login.",
    ),
    "OAuthBlockedByConditionalAccess": (
        "A Conditional Access policy of the organisation forbids the sign-in.",
        "An administrator must permit it for this application and user.",
    ),
    "OAuthBlockedByAdmin": (
        "A policy of the organisation forbids this client.",
        "An administrator must permit the client.",
    ),
    "OAuthConsentRequired": (
        "Nobody has consented to what the client asks for.",
        "Sign in again and consent, or have an administrator consent for the organisation.",
    ),
    "OAuthAccessDeclined": (
        "Whoever signed in declined.",
        "Sign in again and consent.",
    ),
    "OAuthAccountDisabled": (
        "The account is disabled.",
        "Have an administrator enable it.",
    ),
    "OAuthAccountNotFound": (
        "The provider knows no such account.",
        "Correct spec.oauth.subject or the tenant.",
    ),
    "OAuthScopeRejected": (
        "The provider does not grant the scopes.",
        "Correct spec.oauth.scopes, or leave them out.",
    ),
    "OAuthWrongAudience": (
        "The token is for another service than mail.",
        "Ask for the scopes of mail: leave spec.oauth.scopes out and sign in again.",
    ),
    "OAuthScopeMissing": (
        "The token does not carry the scope that the protocol needs.",
        "Sign in again and consent to it, or grant the application's permission.",
    ),
    "OAuthWrongAccount": (
        "Another account signed in than the one that was meant.",
        "Sign in as the account that the message names.",
    ),
    "OAuthLoginPending": (
        "Nobody has signed in yet.",
        "Finish in the browser.",
    ),
    "OAuthLoginExpired": (
        "Nobody signed in in time.",
        "Run postroom auth login again.",
    ),
    "OAuthTokenRejected": (
        "The mail server does not take a token that the provider has just handed out.",
        "Check the mailbox's permissions for the client, and that the mailbox exists.",
    ),
    "RefreshTokenNotKept": (
        "A new refresh token could not be written into the Secret that the operator owns.",
        "Do what the message says; until then the token is in memory only.",
    ),
    "RefreshTokenAging": (
        "No new refresh token was kept for 60 days, and it ends after 90.",
        "Mend what else is reported of the token, or run postroom auth login again.",
    ),
}
