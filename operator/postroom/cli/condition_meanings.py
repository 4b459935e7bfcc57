# SPDX-License-Identifier: Apache-2.0
"""What each type of condition is about, and each word of a domain's status means, for
``postroom explain``."""

from collections.abc import Mapping

from postroom.api.conditions import ConditionType as Type
from postroom.api.sendingdomain_status import RecordState, Verification

CONDITIONS: Mapping[Type, str] = {
    Type.READY: "Whether the object works as declared: the verdict on everything that is required.",
    Type.RECONCILING: "The current spec is still being evaluated. Present only while it is.",
    Type.STALLED: "It stays as it is until somebody acts. Present only while that is so.",
    Type.SUSPENDED: "spec.suspend is true, and nothing is checked. Present only while it is.",
    Type.OWNERSHIP_VERIFIED: "Whether the domain shows the token that proves whose it is.",
    Type.DKIM_VERIFIED: "Whether the declared DKIM keys are published and are the right ones.",
    Type.SPF_VERIFIED: "Whether SPF authorises what is declared, within the limits of SPF.",
    Type.DMARC_VERIFIED: "Whether the DMARC policy that receivers find is the declared one.",
    Type.MX_VERIFIED: "Whether the declared mail exchangers are published.",
    Type.RETURN_PATH_VERIFIED: "Whether the record of the return path (bounces) is published.",
    Type.TRACKING_VERIFIED: "Whether the record of the tracking host is published.",
    Type.MTA_STS_VERIFIED: "Whether MTA-STS works: its record, and the policy over HTTPS.",
    Type.TLS_RPT_VERIFIED: "Whether the record that asks for TLS reports is published.",
    Type.BIMI_VERIFIED: "Whether the BIMI record is published and receivers may use it.",
    Type.DANE_VERIFIED: "Whether the TLSA records of the mail exchangers are there and signed.",
    Type.REVERSE_DNS_VERIFIED: "Whether the sending addresses have names that lead back to them.",
    Type.RECORDS_PUBLISHED: "Whether the records could be handed to what publishes them.",
    Type.REFERENCES_RESOLVED: "Whether all that the spec names is there and can be used.",
    Type.DEPENDENCIES_READY: "Whether the objects that this one needs are Ready.",
    Type.TARGET_ALLOWED: "Whether the operator may dial the host and port.",
    Type.SMTP_AVAILABLE: "Whether the SMTP server answers.",
    Type.IMAP_AVAILABLE: "Whether the IMAP server answers.",
    Type.TLS_VERIFIED: "Whether the server's certificate is valid for its name.",
    Type.SMTP_AUTHENTICATED: "Whether the SMTP server takes the credentials.",
    Type.IMAP_AUTHENTICATED: "Whether the IMAP server takes the credentials.",
    Type.IDENTITIES_VERIFIED: "Whether the account may send as the addresses that are declared.",
    Type.ROUND_TRIP_HEALTHY: "Whether the last test message arrived where it should.",
    Type.FORWARDING_VERIFIED: "Whether mail to the address arrives by way of the forwarding.",
    Type.BINDING_READY: "Whether applications have the Secret to send with.",
    Type.INBOUND_DELIVERING: "Whether incoming mail is handed to the application.",
    Type.DEFAULT: "Whether this is the default that others use when they name none.",
}

#: By where it stands in the status of a SendingDomain.
STATES: Mapping[str, Mapping[Verification | RecordState, str]] = {
    "status.verification": {
        Verification.PENDING: "This spec was never verified: its records are waited for.",
        Verification.VERIFIED: "Everything that is required was seen good.",
        Verification.DEGRADED: "It was verified, and fails since degradedAt; mail goes out until "
        "spec.gracePeriod ends.",
        Verification.FAILED: "A required record stands wrong, or is waited for or fails for longer "
        "than spec allows; mail does not go out.",
        Verification.UNKNOWN: "Nothing could be looked at for so long that no verdict counts.",
    },
    "status.records[].state": {
        RecordState.VALID: "The record is there, and is what it must be.",
        RecordState.MISSING: "There is no such record at its name.",
        RecordState.WRONG: "A record is there, and is not what it must be.",
        RecordState.CONFLICTING: "What else stands there contradicts it, such as a second record "
        "of its kind.",
        RecordState.PROPAGATING: "The zone has the record; a cache still has what was before.",
        RecordState.UNKNOWN: "DNS could not be asked for it.",
    },
}
