# SPDX-License-Identifier: Apache-2.0
"""What the reasons about DNS mean, by their values in `Reason`."""

_NONE = "Nothing to do."

CATALOGUE: dict[str, tuple[str, str]] = {
    "RecordMatched": ("The record is published as required.", _NONE),
    "RecordsMatched": ("All the records are published as required.", _NONE),
    "RecordValid": ("The record is valid and contains what is required.", _NONE),
    "RecordNotFound": (
        "The zone's name servers have no such record.",
        "Publish the record that status lists.",
    ),
    "RecordMismatch": (
        "A record is there, but not with the required value.",
        "Replace its value with the one that status lists.",
    ),
    "MultipleRecords": (
        "There are several records where the standard allows one, so receivers ignore all.",
        "Replace them by the single record that the finding offers.",
    ),
    "InvalidRecord": (
        "The record breaks the syntax of its standard, or the policy that it announces does, or is "
        "not served as that asks.",
        "Do what the finding says: replace the record by the one that it offers, or the policy.",
    ),
    "SelectorNotFound": (
        "There is no DKIM key under the selector.",
        "Publish the record that status lists.",
    ),
    "KeyMismatch": (
        "The DKIM record holds another key than the required one.",
        "Replace the record by the one that status lists.",
    ),
    "KeyRevoked": (
        "The DKIM record has an empty p= tag: the key is revoked (RFC 6376 section 3.6.1).",
        "Publish the current key, or use another selector.",
    ),
    "KeyCompromised": (
        "The private half of the DKIM key was seen in DNS: whoever read it can sign with it.",
        "Make a new key pair under a new selector, and name that in spec.dkim.",
    ),
    "KeyTooWeak": (
        "The RSA key is shorter than 1024 bits; receivers must not accept it (RFC 8301).",
        "Make a key of 2048 bits and publish it.",
    ),
    "CNAMETargetMismatch": (
        "The CNAME points elsewhere.",
        "Point it to the target that status lists.",
    ),
    "LookupLimitExceeded": (
        "Evaluating the SPF record takes more than 10 DNS lookups (RFC 7208 section 4.6.4).",
        "Remove mechanisms that are not needed, or send from a return path of its own.",
    ),
    "VoidLookupLimitExceeded": (
        "More than two lookups of the SPF record find nothing (RFC 7208 section 4.6.4).",
        "Remove the mechanisms whose names do not exist.",
    ),
    "RequiredMechanismMissing": (
        "The SPF record does not authorise everything that spec.spf requires.",
        "Replace it by the merged record that the finding offers.",
    ),
    "PolicyTooPermissive": (
        "The SPF record lets everyone send, by +all or by what comes to the same.",
        "Publish the record that the finding offers.",
    ),
    "PolicyTooWeak": (
        "The published policy is weaker than the spec asks for: that of DMARC, which BIMI needs to "
        "be strict, too, or the mode of MTA-STS.",
        "Do what the finding says: publish the record, or the policy of MTA-STS, that it offers.",
    ),
    "ReportDestinationUnauthorized": (
        "The domain that should receive DMARC reports has not agreed to (RFC 9990).",
        "Publish the authorisation record at the destination, or report to an address of your own.",
    ),
    "NullMX": (
        "The domain says that it accepts no mail (RFC 7505).",
        "Publish the MX records that status lists.",
    ),
    "ExchangeMismatch": (
        "The MX records are not the required ones, or the policy of MTA-STS does not name them.",
        "Publish the MX records that status lists, or the policy that the finding offers.",
    ),
    "ExchangeUnresolvable": (
        "A host named by the MX records has no address.",
        "Give the host an address, or name another host.",
    ),
    "DomainClaimed": (
        "Another namespace claims the domain, or one above or below it: its ownership token is "
        "published, or it was verified earlier, and this namespace's token is not published.",
        "Publish the ownership token that the finding names, or use another domain.",
    ),
    "OwnershipKeyMissing": (
        "Without an ownership key there is no derived token, so control of the domain could not "
        "be looked at; this says nothing about the record.",
        "Set POSTROOM_OWNERSHIP_KEY or --ownership-key-file for the operator; give postroom check "
        "the same key.",
    ),
    "LookupFailed": (
        "DNS could not be asked (timeout, SERVFAIL, REFUSED), nor the host of a policy of MTA-STS; "
        "or the resolver does not validate, as DANE needs. This says nothing about the record.",
        "If it stays, check these servers and the operator's way to them, as the finding says.",
    ),
    "EndpointApplied": (
        "Every record that spec.publish names was handed to external-dns and stands in DNS.",
        _NONE,
    ),
    "AwaitingPublisher": (
        "The records were handed to external-dns, or are about to be, and do not all stand in DNS.",
        "If it stays, see that external-dns runs with --source=crd, with --managed-record-types "
        "once for each type (TXT, CNAME, MX), and for the zone.",
    ),
    "AwaitingOwnership": (
        "Control of the domain is not proven, so that only its proof is handed to external-dns.",
        "Publish the ownership record, or name Ownership in spec.publish.records.",
    ),
    "PublisherUnavailable": (
        "The cluster knows no DNSEndpoint, by which external-dns is told what to publish.",
        "Install external-dns with its CustomResourceDefinition, or publish the records by hand.",
    ),
    "PublishingDenied": (
        "This operator, the namespace or the spec may not publish what spec.publish names.",
        "Do what the finding names, or publish the record by hand.",
    ),
    "Conflict": (
        "What is to be published meets something of others, which would go: records in DNS, or "
        "a DNSEndpoint.",
        "Publish the record by hand beside what stands, as the finding says.",
    ),
    "ResolversDisagree": (
        "The zone has the record, the resolver does not show it yet.",
        "Wait: caches expire by themselves.",
    ),
}
