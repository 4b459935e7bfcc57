# SPDX-License-Identifier: Apache-2.0
"""BIMI records (draft-brand-indicators-for-message-identification): a logo beside the message."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns import dmarc
from postroom.dns.texts import tag_list

VERSION = "BIMI1"


def is_record(text: str) -> bool:
    """Whether a TXT text is a BIMI record: v=BIMI1 first."""
    return re.match(r"v[ \t]*=[ \t]*BIMI1[ \t]*(?:;|\Z)", text) is not None


def looks_like_record(text: str) -> bool:
    """Whether a TXT text was meant as one."""
    meant = r"\bv\s{0,4}[=:]\s{0,4}bimi|^[\s\"']{0,4}bimi1\b"
    return re.search(meant, text, re.IGNORECASE) is not None


def declines(tags: dict[str, str]) -> bool:
    """Whether a record says that there is no logo: the locations are there, but empty."""
    return tags.get("l") == "" and not tags.get("a")


def same_location(one: str, other: str) -> bool:
    """Whether two addresses are the same: the case of scheme and host does not matter."""
    return _location(one) == _location(other)


def _location(text: str) -> tuple[str, str, str, str]:
    try:
        parts = urlsplit(text)
    except ValueError:  # no address at all, such as one with a broken IPv6 literal
        return "", "", text, ""
    return parts.scheme.lower(), parts.netloc.lower(), parts.path, parts.query


def record_for(there: Iterable[str], logo: str, certificate: str | None) -> str:
    """Write a record with this logo and mark certificate; further tags of a single one are kept."""
    texts = list(there)
    kept = tag_list.parse(texts[0]).tags if len(texts) == 1 and is_record(texts[0]) else {}
    tags = {"v": VERSION, "l": logo}
    if certificate is not None:
        tags["a"] = certificate
    elif kept.get("a"):
        tags["a"] = kept["a"]
    return tag_list.written(
        tags | {name: kept[name] for name in kept if name not in ("v", "l", "a")}
    )


def policy_problem(found: dmarc.Discovery) -> tuple[str, str] | None:
    """Why receivers show no logo under a domain's DMARC policy, and what changes that.

    None where they may. The policy of the domain must be quarantine or reject, all of it (no test
    mode, and no pct= below 100 with quarantine, for receivers that still read it), and that of
    subdomains not none where the record is that of the organisational domain.
    """
    record = found.record
    enforce = "Make the DMARC policy quarantine or reject, for subdomains too."
    if record is None or found.policy is None:
        return "no DMARC policy applies to it", enforce
    if record.testing:
        return "its DMARC record is in test mode (t=y)", "Take t=y out of the DMARC record."
    if found.policy is DMARCPolicy.NONE:
        return "its DMARC policy is none", enforce
    pct = next((tag.value for tag in record.removed if tag.name == "pct"), "")
    # One that is no number counts for nobody.
    is_partial = re.fullmatch(r"0*[0-9]{1,2}", pct.strip()) is not None
    if is_partial and found.policy is DMARCPolicy.QUARANTINE:
        problem = (
            f"its DMARC record says pct={pct}, by which receivers that still read it apply the "
            "policy to a part of the mail only"
        )
        return problem, f"Take pct={pct} out of the DMARC record."
    organisational = found.policy_domain == found.organisational_domain
    if organisational and record.sp is DMARCPolicy.NONE:
        problem = "the DMARC policy for subdomains is none (sp=none)"
        return problem, "Make sp= quarantine or reject, or take it out of the DMARC record."
    return None
