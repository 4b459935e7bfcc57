# SPDX-License-Identifier: Apache-2.0
"""BIMI records (draft-brand-indicators-for-message-identification): a logo beside the message."""

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns import dmarc
from postroom.dns.texts import tag_list
from postroom.dns.texts.quoting import quoted
from postroom.dns.texts.tag_slips import meant

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
    """Write a record with this logo and mark certificate; further tags of a single one are kept,
    also where nobody can read it but what it was meant to say is plain."""
    texts = list(there)
    kept = _tags(texts[0]) if len(texts) == 1 else {}
    tags = {"v": VERSION, "l": logo}
    if certificate is not None:
        tags["a"] = certificate
    elif kept.get("a"):
        tags["a"] = kept["a"]
    return tag_list.written(
        tags | {name: kept[name] for name in kept if name not in ("v", "l", "a")}
    )


def left_out(there: Iterable[str], value: str) -> str:
    """Name in a sentence which tags the offered record has not, or not so; "" for none.

    The logo and the certificate that are wanted are told by the finding itself.
    """
    offered = tag_list.parse(value).tags
    gone = dict.fromkeys(
        quoted(f"{name}={said}")
        for text in there
        for name, said in _tags(text).items()
        if said and name not in ("v", "l") and offered.get(name) != said
        if name != "a" or "a" not in offered
    )
    return f"The fix leaves out {'; '.join(gone)}." if gone else ""


def _tags(text: str) -> dict[str, str]:
    """The tags of a record; of a text that nobody can read those that it was meant to have."""
    found = tag_list.parse(text)
    if is_record(text) and found.problem is None:
        return found.tags
    tags = tag_list.parse(meant(text, f"v={VERSION}", "bimi", ("l", "a", "avp", "lps"))).tags
    return {name: said for name, said in tags.items() if re.fullmatch(r"[!-~]+", said)}


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
