# SPDX-License-Identifier: Apache-2.0
"""The catalogue of DNS findings: stable codes, how bad each is, and what it means.

``postroom explain CODE`` and ``docs/findings.md`` are made from it.
"""

from __future__ import annotations

from typing import NamedTuple

from postroom.api.findings import Finding, Fix, FixAction, Severity


class FindingEntry(NamedTuple):
    """What a code means, and what to do about it."""

    severity: Severity
    meaning: str
    remedy: str


_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO
_PUBLISH = "Publish the record that the fix names."
_REPLACE = "Replace what is there by the value that the fix offers."

CATALOGUE: dict[str, FindingEntry] = {
    "LOOKUP_FAILED": FindingEntry(
        _W,
        "DNS could not be asked about a record; this says nothing about the record.",
        "If it stays, check the zone's name servers and the operator's way to them.",
    ),
    "RESOLVER_ONLY": FindingEntry(
        _I,
        "The zone's name servers cannot be asked from here (port 53 is blocked?); the resolver "
        "alone decides.",
        "Allow DNS from the operator to the internet to see changes without cache delay.",
    ),
    "PROPAGATING": FindingEntry(
        _I,
        "The zone's name servers have the record, the resolver does not show it yet.",
        "Wait: caches expire by themselves.",
    ),
    "DOMAIN_NXDOMAIN": FindingEntry(
        _E,
        "The domain does not exist in DNS: not registered, expired, or misspelt.",
        "Register the domain or correct spec.domain.",
    ),
    "NAME_ZONE_DOUBLED": FindingEntry(
        _E,
        "The record stands at a name to which the DNS host has added the zone once more.",
        "Enter the name relative to the zone, as status.records shows it as hostLabel.",
    ),
    "OWNERSHIP_MISSING": FindingEntry(_E, "The ownership record is not published.", _PUBLISH),
    "OWNERSHIP_MISMATCH": FindingEntry(
        _E, "An ownership record is there, with another value.", _PUBLISH
    ),
    "DKIM_MISSING": FindingEntry(_E, "There is no DKIM key under the selector.", _PUBLISH),
    "DKIM_KEY_OTHER": FindingEntry(
        _E, "The DKIM record holds another key than the required one.", _REPLACE
    ),
    "DKIM_REVOKED": FindingEntry(
        _E, "The DKIM record has an empty p= tag: the key is revoked.", _REPLACE
    ),
    "DKIM_WEAK": FindingEntry(
        _E, "The RSA key is shorter than 1024 bits (RFC 8301).", "Publish a key of 2048 bits."
    ),
    "DKIM_SYNTAX": FindingEntry(_E, "The DKIM record cannot be read.", _REPLACE),
    "DKIM_MULTIPLE": FindingEntry(
        _E, "Several DKIM records stand at one selector, which leaves the key undefined.", _REPLACE
    ),
    "DKIM_TARGET_WITHOUT_KEY": FindingEntry(
        _E,
        "The CNAME is right, but its target holds no key yet.",
        "Wait for the provider, or check the target against what the provider shows.",
    ),
    "CNAME_TARGET_WRONG": FindingEntry(_E, "The CNAME points to another target.", _REPLACE),
    "CNAME_FLATTENED": FindingEntry(
        _W,
        "The key stands at the name itself where a CNAME to the provider is asked for.",
        "Make it a CNAME if the DNS host can, so that it follows when the provider changes keys.",
    ),
    "DKIM_TESTING": FindingEntry(
        _W,
        "The DKIM record has the flag t=y: receivers may treat the mail as unsigned.",
        "Take the flag out when the tests are over.",
    ),
    "TYPE_TXT_FOR_CNAME": FindingEntry(
        _E, "A TXT record stands where a CNAME is needed.", "Delete the TXT, then add the CNAME."
    ),
    "VALUE_QUOTED": FindingEntry(
        _E,
        "Quotation marks are part of the value: the DNS host adds its own.",
        "Enter the value without quotation marks.",
    ),
    "VALUE_TRUNCATED": FindingEntry(
        _E,
        "The value was cut off, often after 255 characters.",
        "Enter the whole value, as several quoted strings in one record if the host asks for it.",
    ),
    "VALUE_SPLIT_RECORDS": FindingEntry(
        _E,
        "One value was split into several records.",
        "Make it one record, of several strings if the DNS host asks for it.",
    ),
    "SPF_MISSING": FindingEntry(_E, "The domain has no SPF record.", _PUBLISH),
    "SPF_MULTIPLE": FindingEntry(
        _E,
        "The domain has several SPF records, so receivers give permerror (RFC 7208 section 4.5).",
        "Replace them by the one merged record that the fix offers.",
    ),
    "SPF_SYNTAX": FindingEntry(_E, "The SPF record has a syntax error.", _REPLACE),
    "SPF_MISSING_INCLUDE": FindingEntry(
        _E,
        "The SPF record does not authorise everything that is required.",
        "Replace it by the merged record that the fix offers.",
    ),
    "SPF_TOO_MANY": FindingEntry(
        _E,
        "The SPF record takes more than 10 DNS lookups (RFC 7208 section 4.6.4).",
        "Remove mechanisms that are not needed, or send from a return path of its own.",
    ),
    "SPF_VOID": FindingEntry(
        _E,
        "More than two names that the SPF record looks up do not exist.",
        "Remove the mechanisms that name them.",
    ),
    "SPF_DEAD_INCLUDE": FindingEntry(
        _E,
        "The SPF record includes a name without exactly one valid SPF record: permerror.",
        "Remove the include, or correct its name.",
    ),
    "SPF_PLUS_ALL": FindingEntry(_E, "The SPF record lets everyone send (+all).", _REPLACE),
    "DMARC_MISSING": FindingEntry(_E, "The domain has no DMARC record of its own.", _PUBLISH),
    "DMARC_MULTIPLE": FindingEntry(
        _E, "The domain has several DMARC records, so receivers ignore all.", _REPLACE
    ),
    "DMARC_SYNTAX": FindingEntry(_E, "The DMARC record cannot be applied.", _REPLACE),
    "DMARC_POLICY_WEAK": FindingEntry(
        _E, "The DMARC policy is weaker than spec.dmarc.policy.", _REPLACE
    ),
    "DMARC_RUA_MISSING": FindingEntry(
        _E, "The DMARC record does not report to a required address.", _REPLACE
    ),
    "DMARC_EXTERNAL_RUA_UNAUTHORISED": FindingEntry(
        _E,
        "The domain of a report address has not agreed to receive the reports (RFC 9990).",
        "Publish the record at the destination, or report to an address of the domain itself.",
    ),
    "MX_MISSING": FindingEntry(_E, "The domain has no MX record.", _PUBLISH),
    "MX_NULL": FindingEntry(
        _E, "The domain says that it accepts no mail (null MX, RFC 7505).", _REPLACE
    ),
    "MX_MISMATCH": FindingEntry(_E, "A required MX record is not among those there.", _PUBLISH),
    "MX_UNRESOLVABLE": FindingEntry(
        _E,
        "A required mail exchange has no address.",
        "Give the host an address, or name another host in spec.mx.",
    ),
    "MX_FOREIGN": FindingEntry(
        _W,
        "Another mail exchange is preferred over, or equal to, the required ones.",
        "Delete it if it belongs to a former provider.",
    ),
}


def finding(code: str, subject: str, message: str, fix: Fix | None = None) -> Finding:
    """Build a finding of the catalogue."""
    return Finding(
        code=code,
        severity=CATALOGUE[code].severity,
        subject=subject,
        message=message[:1024],
        fix=fix,
    )


def change(action: FixAction, name: str, type: str, value: str) -> Fix:
    """Build a fix."""
    return Fix(action=action, name=name, type=type, value=value)
