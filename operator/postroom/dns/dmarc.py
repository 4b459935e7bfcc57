# SPDX-License-Identifier: Apache-2.0
"""DMARC policy records (RFC 9989): reading one, and whether it is strict enough."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from postroom.api.sendingdomain import DMARCPolicy

_STRICTNESS = list(DMARCPolicy)


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """A parsed record. `problem` says why receivers would not apply it.

    `policy` is what receivers apply to the domain itself: a missing or unknown p= counts as none
    where a valid rua= is present (RFC 9989 section 4.7).
    """

    policy: DMARCPolicy
    rua: tuple[str, ...]
    problem: str | None = None

    @property
    def strictness(self) -> int:
        """Orders policies: none, quarantine, reject."""
        return _STRICTNESS.index(self.policy)

    def at_least(self, wanted: DMARCPolicy) -> bool:
        return self.strictness >= _STRICTNESS.index(wanted)


def is_dmarc(text: str) -> bool:
    """Tell whether a TXT text is a DMARC record: v= first, its value case-sensitive (4.7)."""
    return re.match(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)", text) is not None


def looks_like_dmarc(text: str) -> bool:
    """Tell whether a TXT text was meant as a DMARC record."""
    return re.search(r"v\s*=\s*dmarc|\bp\s*=\s*(?:none|quarantine|reject)", text, re.I) is not None


def select(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the DMARC records among the TXT texts of a name, in a stable order."""
    return tuple(sorted(one for one in texts if is_dmarc(one)))


def parse(text: str) -> PolicyRecord:
    """Parse a record for which `is_dmarc` holds; never raises. Unknown tags are ignored."""
    tags: dict[str, str] = {}
    for part in text.split(";")[1:]:
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip().lower(), value.strip())
    rua = tuple(_uris(tags.get("rua", "")))
    unknown = [tag for tag in ("p", "sp", "np") if not _names_policy(tags.get(tag), tag)]
    if not unknown:
        return PolicyRecord(_applied(DMARCPolicy(tags["p"].lower()), tags), rua)
    if rua:
        return PolicyRecord(DMARCPolicy.NONE, rua)
    problem = f"{unknown[0]}= is missing or unknown, and there is no valid rua="
    return PolicyRecord(DMARCPolicy.NONE, (), problem)


def _names_policy(value: str | None, tag: str) -> bool:
    """Only p= must be there; what is there must be a policy."""
    return (value is None and tag != "p") or (value or "").lower() in list(DMARCPolicy)


def _applied(policy: DMARCPolicy, tags: dict[str, str]) -> DMARCPolicy:
    """Test mode lowers the applied policy by one level (RFC 9989 section 4.7, t=)."""
    if tags.get("t", "n").lower() != "y":
        return policy
    return _STRICTNESS[max(_STRICTNESS.index(policy) - 1, 0)]


def _uris(value: str) -> list[str]:
    """Return the mailto: addresses of a list, in lower case, without the obsolete size suffix."""
    found = []
    for part in value.split(","):
        uri = part.strip().partition("!")[0]
        if re.fullmatch(r"mailto:[^\s@,;]+@[^\s@,;]+", uri, re.IGNORECASE):
            found.append(uri.lower())
    return found


def record_for(policy: DMARCPolicy, rua: Sequence[str]) -> str:
    """Write the TXT value for a policy and report addresses."""
    reports = f"; rua={','.join(rua)}" if rua else ""
    return f"v=DMARC1; p={policy.value}{reports}"


def with_requirements(existing: str, policy: DMARCPolicy, rua: Sequence[str]) -> str:
    """Change an existing record as little as it takes: its other tags are kept."""
    parsed = parse(existing)
    stricter = max(parsed.policy, policy, key=_STRICTNESS.index)
    addresses = list(dict.fromkeys([*_all_uris(existing), *(one for one in rua)]))
    wanted = [one for i, one in enumerate(addresses) if one.lower() not in _lower(addresses[:i])]
    dropped = {"v", "p", "rua", "t"} if not parsed.at_least(policy) else {"v", "p", "rua"}
    kept = []
    for part in existing.split(";")[1:]:
        name, equals, value = part.partition("=")
        tag = name.strip().lower()
        sound = _names_policy(value.strip(), tag) if tag in ("sp", "np") else part.isprintable()
        if equals and sound and tag not in dropped:
            kept.append(f"{name.strip()}={value.strip()}")
    p = stricter if "t" in dropped else _written_policy(existing, stricter)
    reports = [f"rua={','.join(wanted)}"] if wanted else []
    return "; ".join(["v=DMARC1", f"p={p.value}", *kept, *reports])


def _written_policy(existing: str, fallback: DMARCPolicy) -> DMARCPolicy:
    """The p= as it stands, which test mode may weaken: kept, because it is strict enough."""
    match = re.search(r";\s*p\s*=\s*(none|quarantine|reject)", existing, re.IGNORECASE)
    return DMARCPolicy(match[1].lower()) if match else fallback


def _all_uris(existing: str) -> list[str]:
    """Every URI of the rua= tag as it is written."""
    for part in existing.split(";")[1:]:
        name, equals, value = part.partition("=")
        if equals and name.strip().lower() == "rua":
            return [one.strip() for one in value.split(",") if ":" in one and one.isprintable()]
    return []


def _lower(texts: Sequence[str]) -> set[str]:
    return {one.lower() for one in texts}


def report_authorization(policy_domain: str, destination: str) -> str:
    """Return the name where a foreign report destination must agree (RFC 9990 section 4)."""
    return f"{policy_domain}._report._dmarc.{destination}"


def report_domain(uri: str) -> str:
    """Return the domain of a mailto: URI."""
    return uri.rpartition("@")[2].partition("!")[0].lower()
