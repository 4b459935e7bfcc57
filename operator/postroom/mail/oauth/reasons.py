# SPDX-License-Identifier: Apache-2.0
"""Why there is no token, or none that the mailbox takes: stable names, meanings and remedies."""

from __future__ import annotations

from enum import StrEnum

from postroom.api.reasons import Entry


class FailureClass(StrEnum):
    """What a failure means for the next attempt.

    Transient passes by itself; Throttled passes when the pause is kept; Permanent and
    Configuration stay until a person changes something, and must not be retried before.
    """

    TRANSIENT = "Transient"
    THROTTLED = "Throttled"
    PERMANENT = "Permanent"
    CONFIGURATION = "Configuration"

    @property
    def conclusive(self) -> bool:
        """Whether it is a verdict, and not merely "could not ask"."""
        return self in (FailureClass.PERMANENT, FailureClass.CONFIGURATION)


class OAuthReason(StrEnum):
    """Every reason that this package gives."""

    ENDPOINT_UNAVAILABLE = "OAuthEndpointUnavailable"
    ENDPOINT_UNEXPECTED = "OAuthEndpointUnexpected"
    ENDPOINT_DENIED = "OAuthEndpointDenied"
    THROTTLED = "OAuthThrottled"
    CREDENTIALS_INVALID = "OAuthCredentialsInvalid"
    REQUEST_INVALID = "OAuthRequestInvalid"
    CLIENT_SECRET_INVALID = "OAuthClientSecretInvalid"  # noqa: S105 - names, not secrets
    CLIENT_SECRET_EXPIRED = "OAuthClientSecretExpired"  # noqa: S105
    CLIENT_UNKNOWN = "OAuthClientUnknown"
    CLIENT_DISABLED = "OAuthClientDisabled"
    ASSERTION_INVALID = "OAuthAssertionInvalid"
    TENANT_UNKNOWN = "OAuthTenantUnknown"
    DELEGATION_MISSING = "OAuthDelegationMissing"
    GRANT_EXPIRED = "OAuthGrantExpired"
    GRANT_REVOKED = "OAuthGrantRevoked"
    INTERACTION_REQUIRED = "OAuthInteractionRequired"
    BLOCKED_BY_CONDITIONAL_ACCESS = "OAuthBlockedByConditionalAccess"
    BLOCKED_BY_ADMIN = "OAuthBlockedByAdmin"
    CONSENT_REQUIRED = "OAuthConsentRequired"
    ACCESS_DECLINED = "OAuthAccessDeclined"
    ACCOUNT_DISABLED = "OAuthAccountDisabled"
    ACCOUNT_NOT_FOUND = "OAuthAccountNotFound"
    SCOPE_REJECTED = "OAuthScopeRejected"
    WRONG_AUDIENCE = "OAuthWrongAudience"
    SCOPE_MISSING = "OAuthScopeMissing"
    WRONG_ACCOUNT = "OAuthWrongAccount"
    LOGIN_PENDING = "OAuthLoginPending"
    LOGIN_EXPIRED = "OAuthLoginExpired"
    TOKEN_REJECTED = "OAuthTokenRejected"  # noqa: S105


_SIGN_IN_AGAIN = "Sign in again: postroom auth login."

CATALOGUE: dict[OAuthReason, Entry] = {
    OAuthReason.ENDPOINT_UNAVAILABLE: Entry(
        "The token endpoint could not be reached, or is not available now; this says nothing "
        "about the credentials.",
        "Wait; if it stays, open the way from the operator to the endpoint.",
    ),
    OAuthReason.ENDPOINT_UNEXPECTED: Entry(
        "What answers at the token endpoint does not speak OAuth 2.0.",
        "Check tokenURL, and whether a proxy answers in the endpoint's place.",
    ),
    OAuthReason.ENDPOINT_DENIED: Entry(
        "The operator does not send credentials to the token endpoint.",
        "Use a public endpoint that the operator allows, or have its list of hosts widened.",
    ),
    OAuthReason.THROTTLED: Entry(
        "The token endpoint wants fewer requests.", "Wait: the pause that it asks for is kept."
    ),
    OAuthReason.CREDENTIALS_INVALID: Entry(
        "A Secret that spec.oauth references does not hold what it should.",
        "Mend the key that the message names.",
    ),
    OAuthReason.REQUEST_INVALID: Entry(
        "The token endpoint finds the request incomplete or not allowed for this client.",
        "Check the client's type and the fields of spec.oauth.",
    ),
    OAuthReason.CLIENT_SECRET_INVALID: Entry(
        "The client secret is wrong.", "Put the current secret of the client into the Secret."
    ),
    OAuthReason.CLIENT_SECRET_EXPIRED: Entry(
        "The client secret has expired.", "Create a new client secret and put it into the Secret."
    ),
    OAuthReason.CLIENT_UNKNOWN: Entry(
        "The provider knows no such client.", "Correct clientID, and tenant where there is one."
    ),
    OAuthReason.CLIENT_DISABLED: Entry(
        "The client is disabled or deleted.", "Enable it with the provider, or use another one."
    ),
    OAuthReason.ASSERTION_INVALID: Entry(
        "The provider does not accept the assertion that postroom signed.",
        "Check that the key belongs to this client, and the clock of the operator.",
    ),
    OAuthReason.TENANT_UNKNOWN: Entry(
        "There is no such tenant in this cloud.", "Correct spec.oauth.tenant or spec.oauth.cloud."
    ),
    OAuthReason.DELEGATION_MISSING: Entry(
        "The service account may not act for the mailbox.",
        "A Workspace administrator must grant domain-wide delegation to the service account's "
        "client ID for the scope https://mail.google.com/.",
    ),
    OAuthReason.GRANT_EXPIRED: Entry("The refresh token has expired.", _SIGN_IN_AGAIN),
    OAuthReason.GRANT_REVOKED: Entry("The refresh token is revoked or wrong.", _SIGN_IN_AGAIN),
    OAuthReason.INTERACTION_REQUIRED: Entry(
        "The provider wants the user to sign in again, with a second factor.", _SIGN_IN_AGAIN
    ),
    OAuthReason.BLOCKED_BY_CONDITIONAL_ACCESS: Entry(
        "A Conditional Access policy of the organisation forbids the sign-in.",
        "An administrator must permit it for this application and user.",
    ),
    OAuthReason.BLOCKED_BY_ADMIN: Entry(
        "A policy of the organisation forbids this client.",
        "An administrator must permit the client.",
    ),
    OAuthReason.CONSENT_REQUIRED: Entry(
        "Nobody has consented to what the client asks for.",
        "Sign in again and consent, or have an administrator consent for the organisation.",
    ),
    OAuthReason.ACCESS_DECLINED: Entry("Whoever signed in declined.", "Sign in again and consent."),
    OAuthReason.ACCOUNT_DISABLED: Entry(
        "The account is disabled or locked.", "Have an administrator enable it."
    ),
    OAuthReason.ACCOUNT_NOT_FOUND: Entry(
        "The provider knows no such account.", "Correct spec.oauth.subject or the tenant."
    ),
    OAuthReason.SCOPE_REJECTED: Entry(
        "The provider does not grant the scopes.", "Correct spec.oauth.scopes, or leave them out."
    ),
    OAuthReason.WRONG_AUDIENCE: Entry(
        "The token is for another service than mail.",
        "Ask for the scopes of mail: leave spec.oauth.scopes out and sign in again.",
    ),
    OAuthReason.SCOPE_MISSING: Entry(
        "The token does not carry the scope that the protocol needs.",
        "Sign in again and consent to it, or grant the application's permission.",
    ),
    OAuthReason.WRONG_ACCOUNT: Entry(
        "Another account signed in than the one that was meant.",
        "Sign in as the account that the message names.",
    ),
    OAuthReason.LOGIN_PENDING: Entry("Nobody has signed in yet.", "Finish in the browser."),
    OAuthReason.LOGIN_EXPIRED: Entry("Nobody signed in in time.", "Run postroom auth login again."),
    OAuthReason.TOKEN_REJECTED: Entry(
        "The mail server does not take a token that the provider has just handed out.",
        "Check the mailbox's permissions for the client, and that the mailbox exists.",
    ),
}
