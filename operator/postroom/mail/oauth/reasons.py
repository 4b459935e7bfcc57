# SPDX-License-Identifier: Apache-2.0
"""Why there is no token, or none that the mailbox takes: stable names, and what each means."""

from collections.abc import Mapping
from enum import StrEnum

from postroom.api import oauth_reasons
from postroom.api.reasons import Entry


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


#: The texts stand once, where those of all reasons do.
CATALOGUE: Mapping[OAuthReason, Entry] = {
    reason: Entry(*oauth_reasons.CATALOGUE[reason.value]) for reason in OAuthReason
}
