# SPDX-License-Identifier: Apache-2.0
"""The reason catalogue: stable names for every cause that a condition can carry.

A reason is API: it is never renamed. `CATALOGUE` says what each means and what to do about it;
``docs/reasons.md`` and ``postroom explain`` are made from it."""

from enum import StrEnum
from typing import NamedTuple

from postroom.api import (
    delivery_reasons,
    dns_reasons,
    mail_reasons,
    message_reasons,
    oauth_reasons,
    use_reasons,
)
from postroom.api.finding_texts import KEEPS_LOOKING


class Reason(StrEnum):
    """Every reason that postroom writes into a condition."""

    # lifecycle
    SUCCEEDED = "Succeeded"
    PENDING = "Pending"
    PROGRESSING = "Progressing"
    PROGRESSING_WITH_RETRY = "ProgressingWithRetry"
    AWAITING_DNS = "AwaitingDNS"
    AWAITING_DEPENDENCY = "AwaitingDependency"
    OBSERVATION_STALE = "ObservationStale"
    SUSPENDED = "Suspended"
    SUSPENDED_BY_SPEC = "SuspendedBySpec"
    INVALID_SPEC = "InvalidSpec"
    TARGET_DENIED = "TargetDenied"
    REFERENCE_NOT_PERMITTED = "ReferenceNotPermitted"
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    INTERNAL_ERROR = "InternalError"
    # DNS
    RECORD_MATCHED = "RecordMatched"
    RECORDS_MATCHED = "RecordsMatched"
    RECORD_VALID = "RecordValid"
    RECORD_NOT_FOUND = "RecordNotFound"
    RECORD_MISMATCH = "RecordMismatch"
    MULTIPLE_RECORDS = "MultipleRecords"
    INVALID_RECORD = "InvalidRecord"
    SELECTOR_NOT_FOUND = "SelectorNotFound"
    KEY_MISMATCH = "KeyMismatch"
    KEY_REVOKED = "KeyRevoked"
    KEY_COMPROMISED = "KeyCompromised"
    KEY_TOO_WEAK = "KeyTooWeak"
    CNAME_TARGET_MISMATCH = "CNAMETargetMismatch"
    LOOKUP_LIMIT_EXCEEDED = "LookupLimitExceeded"
    VOID_LOOKUP_LIMIT_EXCEEDED = "VoidLookupLimitExceeded"
    REQUIRED_MECHANISM_MISSING = "RequiredMechanismMissing"
    POLICY_TOO_PERMISSIVE = "PolicyTooPermissive"
    POLICY_TOO_WEAK = "PolicyTooWeak"
    REPORT_DESTINATION_UNAUTHORIZED = "ReportDestinationUnauthorized"
    NULL_MX = "NullMX"
    EXCHANGE_MISMATCH = "ExchangeMismatch"
    EXCHANGE_UNRESOLVABLE = "ExchangeUnresolvable"
    DOMAIN_CLAIMED = "DomainClaimed"
    OWNERSHIP_KEY_MISSING = "OwnershipKeyMissing"
    LOOKUP_FAILED = "LookupFailed"
    RESOLVERS_DISAGREE = "ResolversDisagree"
    # publishing
    ENDPOINT_APPLIED = "EndpointApplied"
    AWAITING_PUBLISHER = "AwaitingPublisher"
    AWAITING_OWNERSHIP = "AwaitingOwnership"
    PUBLISHER_UNAVAILABLE = "PublisherUnavailable"
    PUBLISHING_DENIED = "PublishingDenied"
    CONFLICT = "Conflict"
    # references
    RESOLVED = "Resolved"
    MAIL_SERVER_NOT_FOUND = "MailServerNotFound"
    REFERENCE_INVALID = "ReferenceInvalid"
    MAIL_SERVER_NOT_PERMITTED = "MailServerNotPermitted"
    NAMESPACE_NOT_WATCHED = "NamespaceNotWatched"
    SECRET_NOT_FOUND = "SecretNotFound"  # noqa: S105 - the name of a reason, not a secret
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105
    CONFIG_MAP_NOT_FOUND = "ConfigMapNotFound"
    CONFIG_MAP_KEY_MISSING = "ConfigMapKeyMissing"
    PUBLIC_KEY_INVALID = "PublicKeyInvalid"
    SENDING_DOMAIN_NOT_FOUND = "SendingDomainNotFound"
    NO_DEFAULT = "NoDefault"
    NEWEST_DEFAULT = "NewestDefault"
    SUPERSEDED = "Superseded"
    DEPENDENCIES_READY = "DependenciesReady"
    MAIL_SERVER_NOT_READY = "MailServerNotReady"
    SENDING_DOMAIN_NOT_READY = "SendingDomainNotReady"
    DEPENDENCY_UNKNOWN = "DependencyUnknown"
    DUPLICATE_ADDRESS = "DuplicateAddress"
    DUPLICATE_DOMAIN = "DuplicateDomain"
    ADDRESS_CONFLICT = "AddressConflict"
    EMAIL_ACCOUNT_NOT_FOUND = "EmailAccountNotFound"
    FALLBACK_SENDER_NOT_VERIFIED = "FallbackSenderNotVerified"
    # who uses an account
    DISCONNECTED = "Disconnected"
    RECEIVER_DISCONNECTED = "ReceiverDisconnected"
    FALLBACK_SENDER_DISCONNECTED = "FallbackSenderDisconnected"
    CONSUMER_CONFLICT = "ConsumerConflict"
    IDENTITY_DISABLED = "IdentityDisabled"
    # bindings
    SECRET_PROJECTED = "SecretProjected"  # noqa: S105
    SECRET_REFERENCED = "SecretReferenced"  # noqa: S105
    SECRET_CONFLICT = "SecretConflict"  # noqa: S105
    BINDING_WITHDRAWN = "BindingWithdrawn"
    BINDING_NOT_ENABLED = "BindingNotEnabled"
    BINDING_FORBIDDEN = "BindingForbidden"
    BINDING_UNGUARDED = "BindingUnguarded"
    BINDING_REFUSED = "BindingRefused"
    # inbound delivery
    DELIVERING = "Delivering"
    CONSUMER_UNAVAILABLE = "ConsumerUnavailable"
    CONSUMER_REJECTS = "ConsumerRejects"
    CONSUMER_GONE = "ConsumerGone"
    CURSOR_UNREADABLE = "CursorUnreadable"
    SERVICE_NOT_FOUND = "ServiceNotFound"
    SERVICE_NOT_USABLE = "ServiceNotUsable"
    SIGNING_KEY_INVALID = "SigningKeyInvalid"
    SINK_NOT_CONFIGURED = "SinkNotConfigured"
    WORKER_ABSENT = "WorkerAbsent"
    WORKER_UNKNOWN = "WorkerUnknown"
    # mail
    ALLOWED = "Allowed"
    ADDRESS_DENIED = "AddressDenied"
    PORT_DENIED = "PortDenied"
    PROBE_SUCCEEDED = "ProbeSucceeded"
    PROBE_INCONCLUSIVE = "ProbeInconclusive"
    RESOURCES_EXHAUSTED = "ResourcesExhausted"
    READ_FORBIDDEN = "ReadForbidden"
    CREDENTIALS_ELSEWHERE = "CredentialsElsewhere"
    HOST_NOT_FOUND = "HostNotFound"
    CONNECTION_REFUSED = "ConnectionRefused"
    CONNECTION_TIMEOUT = "ConnectionTimeout"
    UNEXPECTED_GREETING = "UnexpectedGreeting"
    SERVICE_UNAVAILABLE = "ServiceUnavailable"
    START_TLS_NOT_OFFERED = "StartTLSNotOffered"
    CAPABILITY_MISSING = "CapabilityMissing"
    CERTIFICATE_VALID = "CertificateValid"
    CERTIFICATE_EXPIRED = "CertificateExpired"
    CERTIFICATE_NOT_YET_VALID = "CertificateNotYetValid"
    CERTIFICATE_NAME_MISMATCH = "CertificateNameMismatch"
    CERTIFICATE_UNTRUSTED = "CertificateUntrusted"
    CERTIFICATE_CHAIN_INCOMPLETE = "CertificateChainIncomplete"
    CERTIFICATE_WEAK = "CertificateWeak"
    CLIENT_CERTIFICATE_REQUIRED = "ClientCertificateRequired"
    HANDSHAKE_FAILED = "HandshakeFailed"
    PROTOCOL_TOO_OLD = "ProtocolTooOld"
    CA_BUNDLE_INVALID = "CABundleInvalid"
    AUTHENTICATION_SUCCEEDED = "AuthenticationSucceeded"
    AUTHENTICATION_REJECTED = "AuthenticationRejected"
    MECHANISM_UNSUPPORTED = "MechanismUnsupported"
    ACCOUNT_DISABLED = "AccountDisabled"
    ACCOUNT_LOCKED = "AccountLocked"
    ENCRYPTION_REQUIRED = "EncryptionRequired"
    SENDER_NOT_AUTHORIZED = "SenderNotAuthorized"
    SENDING_DENIED = "SendingDenied"
    MAILBOX_NOT_FOUND = "MailboxNotFound"
    TEMPORARY_FAILURE = "TemporaryFailure"
    NOT_ATTEMPTED = "NotAttempted"
    # identities
    IDENTITIES_VERIFIED = "IdentitiesVerified"
    IDENTITY_VERIFIED = "IdentityVerified"
    IDENTITY_REJECTED = "IdentityRejected"
    IDENTITY_PENDING = "IdentityPending"
    IDENTITY_UNVERIFIABLE = "IdentityUnverifiable"
    HOST_AUTH_COOLDOWN = "HostAuthCooldown"
    PORT_BLOCKED = "PortBlocked"
    SERVER_THROTTLED = "ServerThrottled"
    MAILBOX_NEARLY_FULL = "MailboxNearlyFull"
    # messages of ours
    MESSAGE_ACCEPTED = "MessageAccepted"
    DELIVERED = "Delivered"
    DELIVERED_TO_SPAM = "DeliveredToSpam"
    NOT_DELIVERED = "NotDelivered"
    MESSAGE_UNCONFIRMED = "MessageUnconfirmed"
    RECIPIENT_REJECTED = "RecipientRejected"
    MESSAGE_REJECTED = "MessageRejected"
    MESSAGE_TOO_LARGE = "MessageTooLarge"
    SEND_LIMIT_EXCEEDED = "SendLimitExceeded"
    RECIPIENT_NOT_ALLOWED = "RecipientNotAllowed"
    RECEIVER_NOT_READY = "ReceiverNotReady"
    SUB_ADDRESS_UNSUPPORTED = "SubAddressUnsupported"
    SENDER_REWRITTEN = "SenderRewritten"
    REDIRECTED = "Redirected"
    HEADERS_REWRITTEN = "HeadersRewritten"
    NOT_FORWARDED = "NotForwarded"
    AWAITING_MESSAGE = "AwaitingMessage"
    # OAuth
    OAUTH_ENDPOINT_UNAVAILABLE = "OAuthEndpointUnavailable"
    OAUTH_ENDPOINT_UNEXPECTED = "OAuthEndpointUnexpected"
    OAUTH_ENDPOINT_DENIED = "OAuthEndpointDenied"
    OAUTH_THROTTLED = "OAuthThrottled"
    OAUTH_CREDENTIALS_INVALID = "OAuthCredentialsInvalid"
    OAUTH_REQUEST_INVALID = "OAuthRequestInvalid"
    OAUTH_CLIENT_SECRET_INVALID = "OAuthClientSecretInvalid"  # noqa: S105
    OAUTH_CLIENT_SECRET_EXPIRED = "OAuthClientSecretExpired"  # noqa: S105
    OAUTH_CLIENT_UNKNOWN = "OAuthClientUnknown"
    OAUTH_CLIENT_DISABLED = "OAuthClientDisabled"
    OAUTH_ASSERTION_INVALID = "OAuthAssertionInvalid"
    OAUTH_TENANT_UNKNOWN = "OAuthTenantUnknown"
    OAUTH_DELEGATION_MISSING = "OAuthDelegationMissing"
    OAUTH_GRANT_EXPIRED = "OAuthGrantExpired"
    OAUTH_GRANT_REVOKED = "OAuthGrantRevoked"
    OAUTH_INTERACTION_REQUIRED = "OAuthInteractionRequired"
    OAUTH_BLOCKED_BY_CONDITIONAL_ACCESS = "OAuthBlockedByConditionalAccess"
    OAUTH_BLOCKED_BY_ADMIN = "OAuthBlockedByAdmin"
    OAUTH_CONSENT_REQUIRED = "OAuthConsentRequired"
    OAUTH_ACCESS_DECLINED = "OAuthAccessDeclined"
    OAUTH_ACCOUNT_DISABLED = "OAuthAccountDisabled"
    OAUTH_ACCOUNT_NOT_FOUND = "OAuthAccountNotFound"
    OAUTH_SCOPE_REJECTED = "OAuthScopeRejected"
    OAUTH_WRONG_AUDIENCE = "OAuthWrongAudience"
    OAUTH_SCOPE_MISSING = "OAuthScopeMissing"
    OAUTH_WRONG_ACCOUNT = "OAuthWrongAccount"
    OAUTH_LOGIN_PENDING = "OAuthLoginPending"
    OAUTH_LOGIN_EXPIRED = "OAuthLoginExpired"
    OAUTH_TOKEN_REJECTED = "OAuthTokenRejected"  # noqa: S105
    REFRESH_TOKEN_NOT_KEPT = "RefreshTokenNotKept"  # noqa: S105
    REFRESH_TOKEN_AGING = "RefreshTokenAging"  # noqa: S105


class Entry(NamedTuple):
    """What a reason means, and what the reader should do."""

    meaning: str
    remedy: str


_NONE = "Nothing to do."

_ENTRIES: dict[Reason, Entry] = {
    Reason.SUCCEEDED: Entry("Everything that was required holds.", _NONE),
    Reason.PENDING: Entry(
        "The operator has not looked at the object yet.",
        "If it stays, check that the operator runs and watches this namespace.",
    ),
    Reason.PROGRESSING: Entry("The current spec is being evaluated.", KEEPS_LOOKING),
    Reason.PROGRESSING_WITH_RETRY: Entry(
        "A look failed for a passing reason and is repeated.", KEEPS_LOOKING
    ),
    Reason.AWAITING_DNS: Entry(
        "The records of this spec have not been seen complete yet.",
        "Publish what status.records lists as Missing or Wrong.",
    ),
    Reason.AWAITING_DEPENDENCY: Entry(
        "A server, Secret, ConfigMap or domain that this object needs is missing or not ready; or "
        "it waits for its turn.",
        "Create or mend the object that the message names, if it names one; it goes on by itself.",
    ),
    Reason.OBSERVATION_STALE: Entry(
        "Nothing could be observed for so long that the last verdict no longer counts.",
        "Mend the operator's way to DNS or to the server; the message names what failed.",
    ),
    Reason.SUSPENDED: Entry(
        "The object is suspended and its current spec was never evaluated.",
        "Set spec.suspend to false.",
    ),
    Reason.SUSPENDED_BY_SPEC: Entry(
        "spec.suspend is true: nothing is checked.", "Set it to false."
    ),
    Reason.INVALID_SPEC: Entry(
        "The spec cannot be understood.", "Correct the field that the message names."
    ),
    Reason.TARGET_DENIED: Entry(
        "The operator's dial guard forbids the host or port.",
        "Use an allowed host and port, or have the operator's --allow-cidr or --allow-port grow.",
    ),
    Reason.REFERENCE_NOT_PERMITTED: Entry(
        "A Secret is not to be used as the spec does: sent to this host, shown as a public key, "
        "copied for applications, or to sign incoming mail.",
        "Have the Secret's owner agree: to a host by its annotation postroom.dev/allowed-hosts, to "
        "another use by postroom.dev/allow.",
    ),
    Reason.PROGRESS_DEADLINE_EXCEEDED: Entry(
        "The first success did not come within the deadline; slow checks go on.",
        "Mend what the other conditions name, or raise the deadline.",
    ),
    Reason.INTERNAL_ERROR: Entry(
        "postroom itself failed while evaluating this object; others are not affected.",
        "Report it with the operator's log lines of this object; it is retried by itself.",
    ),
    Reason.RESOLVED: Entry("Every referenced object was found.", _NONE),
    Reason.MAIL_SERVER_NOT_FOUND: Entry(
        "The MailServer of spec.serverRef does not exist in this namespace.",
        "Create it or correct the name.",
    ),
    Reason.REFERENCE_INVALID: Entry(
        "What it stands on is there, but its own spec is invalid: a MailServer or EmailAccount "
        "that the spec names, the default MailServer, or the SendingDomain of the address.",
        "Correct that object's spec, as its status says.",
    ),
    Reason.MAIL_SERVER_NOT_PERMITTED: Entry(
        "The MailServer of another namespace that spec.serverRef names does not exist, or does not "
        "let accounts of this namespace use it as this one would.",
        "Correct the name, or have the server's owner name this namespace in its "
        "spec.allowedNamespaces; where it is only the server's credentials that are not for this "
        "account, set spec.credentialsRef or spec.oauth.",
    ),
    Reason.NAMESPACE_NOT_WATCHED: Entry(
        "spec.serverRef names a namespace that this operator does not watch, so that it sees no "
        "MailServer there.",
        "Have the operator's --namespace name it, too, or use a MailServer of this namespace.",
    ),
    Reason.SECRET_NOT_FOUND: Entry(
        "The referenced Secret does not exist in this namespace.", "Create it or correct the name."
    ),
    Reason.SECRET_KEY_MISSING: Entry(
        "The Secret lacks a key, or the value under it is empty.",
        "Set the key that the message names.",
    ),
    Reason.CONFIG_MAP_NOT_FOUND: Entry(
        "The referenced ConfigMap does not exist in this namespace.",
        "Create it or correct the name.",
    ),
    Reason.CONFIG_MAP_KEY_MISSING: Entry(
        "The ConfigMap lacks the key, or the value under it is empty.",
        "Set the key that the message names.",
    ),
    Reason.PUBLIC_KEY_INVALID: Entry(
        "What publicKeyRef leads to does not parse as a DKIM public key; nothing of it is shown.",
        "Put the public key (base64 or PEM) under the key that the message names.",
    ),
    Reason.SENDING_DOMAIN_NOT_FOUND: Entry(
        "No SendingDomain of this namespace covers the domain of the address.",
        "Create a SendingDomain for it.",
    ),
    Reason.NO_DEFAULT: Entry(
        "spec.serverRef is not set and the namespace has no default MailServer. Of BindingReady: "
        "the account asks for default-mail, and is not marked with spec.default.",
        "Set spec.serverRef, or spec.default on one MailServer; for the binding, on the account.",
    ),
    Reason.NEWEST_DEFAULT: Entry(
        "It is the default of its namespace: no other was marked with spec.default later.", _NONE
    ),
    Reason.SUPERSEDED: Entry(
        "Another object of the namespace was marked with spec.default later and is the default; "
        "this one works on under its own name.",
        "Take spec.default from the one that is not to be the default.",
    ),
    Reason.DEPENDENCIES_READY: Entry("The objects that this one stands on are ready.", _NONE),
    Reason.MAIL_SERVER_NOT_READY: Entry(
        "The MailServer behind the account is not ready.",
        "Mend the server as the message says, or have its owner read its status.",
    ),
    Reason.SENDING_DOMAIN_NOT_READY: Entry(
        "The SendingDomain behind the account is not verified.", "Read the SendingDomain's status."
    ),
    Reason.DEPENDENCY_UNKNOWN: Entry(
        "The state of an object that this one stands on is not known yet.",
        "Wait; if it stays, read what that object says.",
    ),
    Reason.DUPLICATE_ADDRESS: Entry(
        "An older EmailAccount already stands for this address.",
        "Remove one of the accounts that the message names.",
    ),
    Reason.DUPLICATE_DOMAIN: Entry(
        "An older SendingDomain of this namespace already stands for the domain.",
        "Put what both declare into one of them, and remove the other.",
    ),
    Reason.ADDRESS_CONFLICT: Entry(
        "An EmailAccount of another namespace is for the same address and keeps it: its namespace "
        "has the domain verified, or it is older.",
        "Delete this EmailAccount, or have the other one disconnected or deleted; or verify the "
        "address's domain with a SendingDomain of this namespace.",
    ),
    Reason.EMAIL_ACCOUNT_NOT_FOUND: Entry(
        "The EmailAccount of spec.roundTrip.receiverRef or spec.forwarding.receiverRef does not "
        "exist in this namespace.",
        "Create it or correct the name.",
    ),
    Reason.FALLBACK_SENDER_NOT_VERIFIED: Entry(
        "The fallback sender is needed, and no verified SendingDomain of this namespace is for it.",
        "Create one, or name an address of a domain that is verified here.",
    ),
    Reason.MAILBOX_NEARLY_FULL: Entry(
        "The mailbox has used most of its quota.",
        "Delete messages or raise the quota before mail is refused.",
    ),
    Reason.HOST_AUTH_COOLDOWN: Entry(
        "The host has refused too many credentials lately; signing in there pauses, so that it "
        "does not lock out the other accounts behind it.",
        "Correct the accounts whose credentials are refused; all others are checked again then.",
    ),
    **{
        Reason(name): Entry(*texts)
        for part in (
            delivery_reasons,
            dns_reasons,
            mail_reasons,
            message_reasons,
            oauth_reasons,
            use_reasons,
        )
        for name, texts in part.CATALOGUE.items()
    },
}
#: What each reason means, in the order of `Reason`.
CATALOGUE = {reason: _ENTRIES[reason] for reason in Reason}
