# SPDX-License-Identifier: Apache-2.0
"""Every cause that a check of a mail server can name. ``causes.yaml`` says what each means."""

from enum import StrEnum


class Cause(StrEnum):
    """The precise cause of a failure; a condition's reason is coarser and stands for several."""

    # before anything is dialled
    SECRET_MISSING = "SecretMissing"  # noqa: S105 - the names of causes, not secrets
    SECRET_KEY_MISSING = "SecretKeyMissing"  # noqa: S105
    SECRET_EMPTY = "SecretEmpty"  # noqa: S105
    CREDENTIAL_HAS_WHITESPACE = "CredentialHasWhitespace"
    CREDENTIAL_ALTERED = "CredentialAltered"
    INVALID_SPEC = "InvalidSpec"
    HOST_NOT_BOUND_TO_SECRET = "HostNotBoundToSecret"  # noqa: S105
    HOST_MISSPELLED = "HostMisspelled"
    PORT_CONTRADICTS_TLS = "PortContradictsTLS"
    PORT_NOT_SERVED = "PortNotServed"
    USERNAME_MUST_BE = "UsernameMustBe"
    WRONG_KEY_TYPE = "WrongKeyType"
    # name, guard, connection
    HOST_NOT_FOUND = "HostNotFound"
    DNS_TEMPORARY_FAILURE = "DNSTemporaryFailure"
    ADDRESS_FORBIDDEN = "AddressForbidden"
    CONNECTION_REFUSED = "ConnectionRefused"
    CONNECT_TIMEOUT = "ConnectTimeout"
    PORT_BLOCKED = "PortBlocked"
    NETWORK_UNREACHABLE = "NetworkUnreachable"
    # TLS
    TLS_REQUIRED_BY_SERVER = "TLSRequiredByServer"
    PLAINTEXT_ON_TLS_PORT = "PlaintextOnTLSPort"
    TLS_HANDSHAKE_TIMEOUT = "TLSHandshakeTimeout"
    TLS_HANDSHAKE_FAILED = "TLSHandshakeFailed"
    CERTIFICATE_EXPIRED = "CertificateExpired"
    CERTIFICATE_NOT_YET_VALID = "CertificateNotYetValid"
    CERTIFICATE_HOSTNAME_MISMATCH = "CertificateHostnameMismatch"
    CERTIFICATE_SELF_SIGNED = "CertificateSelfSigned"
    CERTIFICATE_UNTRUSTED = "CertificateUntrusted"
    CERTIFICATE_CHAIN_INCOMPLETE = "CertificateChainIncomplete"
    CERTIFICATE_EXPIRING_SOON = "CertificateExpiringSoon"
    START_TLS_NOT_OFFERED = "StartTLSNotOffered"
    START_TLS_REJECTED = "StartTLSRejected"
    # greeting and conversation
    GREETING_TIMEOUT = "GreetingTimeout"
    GREETING_REJECTED = "GreetingRejected"
    SERVER_BUSY = "ServerBusy"
    SERVER_THROTTLED = "ServerThrottled"
    NOT_AN_SMTP_SERVER = "NotAnSMTPServer"
    NOT_AN_IMAP_SERVER = "NotAnIMAPServer"
    PROTOCOL_ERROR = "ProtocolError"
    RESPONSE_TOO_LARGE = "ResponseTooLarge"
    CONNECTION_CLOSED = "ConnectionClosed"
    # signing in
    AUTH_NOT_OFFERED = "AuthNotOffered"
    AUTH_NOT_ACCEPTED = "AuthNotAccepted"
    AUTH_DISREGARDED = "AuthDisregarded"
    AUTH_REQUIRES_TLS = "AuthRequiresTLS"
    AUTH_MECHANISM_UNSUPPORTED = "AuthMechanismUnsupported"
    AUTHENTICATION_FAILED = "AuthenticationFailed"
    APP_PASSWORD_REQUIRED = "AppPasswordRequired"  # noqa: S105
    WRONG_REGION_OR_APP_PASSWORD = "WrongRegionOrAppPassword"  # noqa: S105
    WEB_LOGIN_REQUIRED = "WebLoginRequired"
    OAUTH_TOKEN_REJECTED = "OAuthTokenRejected"  # noqa: S105
    BASIC_AUTH_DISABLED = "BasicAuthDisabled"
    SMTP_AUTH_DISABLED_FOR_TENANT = "SmtpAuthDisabledForTenant"
    SMTP_AUTH_DISABLED_FOR_MAILBOX = "SmtpAuthDisabledForMailbox"
    BLOCKED_BY_SECURITY_DEFAULTS = "BlockedBySecurityDefaults"
    BLOCKED_BY_CONDITIONAL_ACCESS = "BlockedByConditionalAccess"
    AUTH_TEMPORARY_FAILURE = "AuthTemporaryFailure"
    AUTH_TIMEOUT = "AuthTimeout"
    ACCOUNT_LOCKED = "AccountLocked"
    ACCOUNT_DISABLED = "AccountDisabled"
    PASSWORD_EXPIRED = "PasswordExpired"  # noqa: S105
    PROTOCOL_DISABLED = "ProtocolDisabled"
    IMAP_DISABLED = "IMAPDisabled"
    ACCOUNT_NOT_ACTIVATED = "AccountNotActivated"
    PLAN_INSUFFICIENT = "PlanInsufficient"
    PERMISSION_MISSING = "PermissionMissing"
    TOO_MANY_LOGINS = "TooManyLogins"
    TOO_MANY_CONNECTIONS = "TooManyConnections"
    BANDWIDTH_EXCEEDED = "BandwidthExceeded"
    # whom the server takes mail from
    CLIENT_NOT_ALLOWED = "ClientNotAllowed"
    CLIENT_NAME_REJECTED = "ClientNameRejected"
    BLOCK_LISTED = "BlockListed"
    # mailbox
    MAILBOX_TEMPORARY_FAILURE = "MailboxTemporaryFailure"
    MAILBOX_UNAVAILABLE = "MailboxUnavailable"
    MAILBOX_NOT_CONNECTED = "MailboxNotConnected"
    CLIENT_ID_REQUIRED = "ClientIDRequired"
    MAILBOX_FULL = "MailboxFull"
    MAILBOX_QUOTA_EXCEEDED = "MailboxQuotaExceeded"
    MAILBOX_NEARLY_FULL = "MailboxNearlyFull"
    # sending
    SENDER_NOT_PERMITTED = "SenderNotPermitted"
    SENDER_NOT_VERIFIED = "SenderNotVerified"
    SENDER_UNAUTHENTICATED = "SenderUnauthenticated"
    SENDING_BLOCKED = "SendingBlocked"
    RELAY_DENIED = "RelayDenied"
    RECIPIENT_REJECTED = "RecipientRejected"
    RECIPIENT_MAILBOX_FULL = "RecipientMailboxFull"
    MESSAGE_TOO_LARGE = "MessageTooLarge"
    MESSAGE_SUSPECTED = "MessageSuspected"
    MESSAGE_REJECTED = "MessageRejected"
    SEND_LIMIT_EXCEEDED = "SendLimitExceeded"
    SEND_REFUSED = "SendRefused"
    SEND_TEMPORARY_FAILURE = "SendTemporaryFailure"
