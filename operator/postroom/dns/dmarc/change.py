# SPDX-License-Identifier: Apache-2.0
"""The smallest change of a DMARC record after which it says what is required."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns.dmarc.record import (
    KNOWN_TAGS,
    REMOVED_TAGS,
    URI_TAGS,
    AppliesTo,
    PolicyRecord,
    PublicSuffixFlag,
    Tag,
    failure_options,
    is_dmarc,
    missing_reports,
    parse,
    split,
    strictness,
)
from postroom.dns.dmarc.slips import POLICY_NAMES, VERSION, mended, policy_meant, slips
from postroom.dns.dmarc.uri import ReportURI, encoded, key_of
from postroom.dns.dmarc.uri import parse as parse_uri

#: What a parent's record says of mail from the names below it, besides the policy.
_OF_NAMES_BELOW = frozenset({"adkim", "aspf", "fo", "ruf"})


def record_for(policy: DMARCPolicy, rua: Sequence[str]) -> str:
    """Write the TXT value for a policy and report addresses."""
    reports = f"; rua={','.join(map(encoded, rua))}" if rua else ""
    return f"{VERSION}; p={policy.value}{reports}"


def satisfies(record: PolicyRecord, policy: DMARCPolicy, rua: Sequence[str]) -> bool:
    """Whether receivers apply a record, strictly enough, and report to all of `rua`."""
    return record.problem is None and record.at_least(policy) and not missing_reports(record, rua)


def with_requirements(existing: str, policy: DMARCPolicy, rua: Sequence[str]) -> str:
    """Change an existing record as little as it takes.

    One that satisfies already, and that receivers read whole, comes back as it is. Else plain
    mistakes are mended; the result is as strict as what is written, what applied before and what is
    wanted, and reports to all of `rua`. Other tags that mean something are kept, in their order;
    gone are tags that RFC 9989 removed, values that do not exist, and test mode where it weakens
    too much.
    """
    if is_dmarc(existing) and satisfies(parse(existing), policy, rua) and not slips(existing):
        return existing
    base = mended(existing)
    if not is_dmarc(base):
        return record_for(policy, rua)
    record = parse(base)
    enough = record.problem is None and record.at_least(policy)
    written = record.p or policy_meant(base)
    chosen = max((policy, written or record.policy), key=strictness)
    if enough and written is not None:
        chosen = written
    dropped = {"p", *POLICY_NAMES, *REMOVED_TAGS, *_weakening(existing, record, chosen)}
    if record.testing and not enough:
        dropped.add("t")
    return "; ".join([VERSION, f"p={chosen.value}", *_kept(base, record, rua, dropped)])


def with_inherited(
    value: str, above: str, policy: DMARCPolicy, *, organisational: bool = False
) -> str:
    """Add to a record that is to be published what applied to its name by a parent's until then.

    From its publication on, nothing of the parent's record counts for the name (RFC 9989 section
    4.10). `above` is the parent's record and `policy` what it came to there: the result is no
    weaker, reports to its addresses too, and aligns as strictly, unless `value` says otherwise.
    Names below go on to get what the parent's record says of them, unless the record stands at an
    `organisational` domain, or makes it one: then it is no weaker for them either.
    """
    before = parse(above)
    made = with_requirements(value, policy, before.rua)
    said = {tag.name for tag in _tags(made)}
    dropped = {tag.name for tag in _tags(above)} - (_OF_NAMES_BELOW - said)
    unreported = replace(before, aggregate=())
    made = "; ".join([made.rstrip("; "), *_kept(above, unreported, (), dropped)])
    if organisational or parse(made).psd is not PublicSuffixFlag.UNSAID:
        return _as_strict_below(made, before)
    return made


def _as_strict_below(made: str, before: PolicyRecord) -> str:
    """Give names below no weaker policy than another record did: those that exist, and others."""
    for reach in (AppliesTo.SUBDOMAIN, AppliesTo.MISSING_SUBDOMAIN):
        needed = before.applied(reach)
        if needed is None:
            continue
        for text in (made, _without(made, "t")):
            applied = parse(text).applied(reach)
            if applied is not None and strictness(applied) >= strictness(needed):
                made = text
                break
        else:
            made = f"{_without(made, 't', reach)}; {reach}={needed}"
    return made


def _without(made: str, *names: str) -> str:
    """Take tags out of a record."""
    parts = (part.strip() for part in made.split(";"))
    kept = (part for part in parts if part.partition("=")[0].rstrip().lower() not in names)
    return "; ".join(filter(None, kept))


def without_destinations(existing: str, domains: Collection[str]) -> str | None:
    """Take the report addresses at some domains out of a record, and leave all else as it is.

    None where the record would say something else then, or nothing at all.
    """
    parts = existing.split(";")
    for tag in split(existing):
        if isinstance(tag, Tag) and tag.name in URI_TAGS:
            stay = [
                each
                for each in tag.value.split(",")
                if parse_uri(each.strip(" \t")).destination not in domains
            ]
            at = existing.count(";", 0, tag.position)
            written = parts[at].partition("=")[0]
            parts[at] = f"{written}={','.join(stay)}" if any(map(str.strip, stay)) else ""
    made = ";".join(part for part in parts if part.strip())
    before, after = parse(existing), parse(made)
    same = (after.problem, after.p, after.sp, after.np) == (None, before.p, before.sp, before.np)
    return made if same else None


def _weakening(existing: str, mended_record: PolicyRecord, chosen: DMARCPolicy) -> set[str]:
    """Tags that only mending brought to light, and that would weaken what applied before."""
    before = parse(existing)
    if not is_dmarc(existing) or before.problem is not None:
        return set()
    subdomains = {"sp": (before.sp, mended_record.sp), "np": (before.np, mended_record.np)}
    found = {
        tag
        for tag, (old, new) in subdomains.items()
        if old is None and new is not None and strictness(new) < strictness(before.sp or chosen)
    }
    return found | ({"t"} if mended_record.testing and not before.testing else set())


def _kept(base: str, record: PolicyRecord, rua: Sequence[str], dropped: set[str]) -> list[str]:
    """The tags behind p=: those that are kept as they are written, and the report addresses."""
    faulty = {problem.position for problem in record.problems if problem.tag not in URI_TAGS}
    reports = _reports(record.aggregate, rua)
    kept: list[str] = []
    seen: set[str] = set()
    for tag in _tags(base):
        if tag.name == "fo" and "fo" not in seen and _is_of_old(tag.value):
            seen.add("fo")
            kept += _failure_option(tag.value)
        if tag.name in dropped or tag.position in faulty or tag.name in seen:
            continue
        seen.add(tag.name)
        if tag.name == "rua":
            kept += [f"rua={','.join(reports)}"] if reports else []
        elif tag.name == "ruf":
            failure = _reports(record.failure, ())
            kept += [f"ruf={','.join(failure)}"] if failure else []
        else:
            written = base[tag.position : tag.position + len(tag.name)]
            kept.append(f"{written}={tag.value}")
    if reports and "rua" not in seen:
        kept.append(f"rua={','.join(reports)}")
    return kept


def _is_of_old(value: str) -> bool:
    """Whether a list has digits, which RFC 7489 takes and RFC 9989 does not."""
    options = failure_options(value) or ()
    return len(options) > 1 and not {"0", "1"}.isdisjoint(options)


def _failure_option(value: str) -> list[str]:
    """Write such a list as both take it: 1 asks for what the letters ask for, and more."""
    options = failure_options(value) or ()
    letters = ":".join(letter for letter in ("d", "s") if letter in options)
    return ["fo=1"] if "1" in options else [f"fo={letters}"] if letters else []


def _tags(base: str) -> list[Tag]:
    """The tags that a record may hold: those that are known, and others that can be written."""
    return [
        tag
        for tag in split(base)
        if isinstance(tag, Tag)
        and (tag.name in KNOWN_TAGS or (tag.value and tag.value.isascii()))
        and tag.value.isprintable()
    ]


def _reports(there: Sequence[ReportURI], rua: Sequence[str]) -> list[str]:
    """The valid addresses that are there, without sizes, then the wanted ones; each once."""
    found: dict[str, str] = {}
    for uri in [*(address.uri for address in there if address.valid), *map(encoded, rua)]:
        found.setdefault(key_of(uri), uri)
    return list(found.values())
