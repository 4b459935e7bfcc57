# SPDX-License-Identifier: Apache-2.0
"""DMARC (RFC 9989, RFC 9990): records, the tree walk, alignment, reports, and changing a record."""

from postroom.dns.dmarc.advice import Circumstances, Recommendation, advise, on_change
from postroom.dns.dmarc.alignment import (
    Alignment,
    Mechanism,
    Misalignment,
    PlannedIdentifier,
    align,
)
from postroom.dns.dmarc.change import (
    record_for,
    satisfies,
    with_inherited,
    with_requirements,
    without_destinations,
)
from postroom.dns.dmarc.left_out import left_out
from postroom.dns.dmarc.record import (
    AlignmentMode,
    AppliesTo,
    PolicyRecord,
    PublicSuffixFlag,
    is_dmarc,
    looks_like_dmarc,
    missing_reports,
    parse,
    select,
)
from postroom.dns.dmarc.reports import (
    Consent,
    ExternalDestination,
    consent,
    destinations,
    external,
    report_authorization,
    report_domain,
)
from postroom.dns.dmarc.slips import TagSlip, meant, mended, slip, slips
from postroom.dns.dmarc.suffixes import (
    Disagreement,
    aligned_by_list,
    disagreement,
    is_public_suffix,
    is_shared,
    organisational_domain,
    registered_domain,
)
from postroom.dns.dmarc.uri import ReportURI
from postroom.dns.dmarc.walk import (
    Discovery,
    PolicySource,
    discover,
    existence,
    walk_domains,
    walk_names,
)

__all__ = [
    "Alignment",
    "AlignmentMode",
    "AppliesTo",
    "Circumstances",
    "Consent",
    "Disagreement",
    "Discovery",
    "ExternalDestination",
    "Mechanism",
    "Misalignment",
    "PlannedIdentifier",
    "PolicyRecord",
    "PolicySource",
    "PublicSuffixFlag",
    "Recommendation",
    "ReportURI",
    "TagSlip",
    "advise",
    "align",
    "aligned_by_list",
    "consent",
    "destinations",
    "disagreement",
    "discover",
    "existence",
    "external",
    "is_dmarc",
    "is_public_suffix",
    "is_shared",
    "left_out",
    "looks_like_dmarc",
    "meant",
    "mended",
    "missing_reports",
    "on_change",
    "organisational_domain",
    "parse",
    "record_for",
    "registered_domain",
    "report_authorization",
    "report_domain",
    "satisfies",
    "select",
    "slip",
    "slips",
    "walk_domains",
    "walk_names",
    "with_inherited",
    "with_requirements",
    "without_destinations",
]
