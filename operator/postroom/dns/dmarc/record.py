# SPDX-License-Identifier: Apache-2.0
"""DMARC policy records (RFC 9989 sections 4.7 and 4.8): reading one, whatever is in it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache

from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns.dmarc.uri import ReportURI, encoded, key_of, parse_list

#: Longest text that is read: the data of a DNS record holds no more.
TEXT_LIMIT = 65_535
#: Most tags that are read, and most problems that are told.
TAG_LIMIT = 100
PROBLEM_LIMIT = 16
POLICY_TAGS = ("p", "sp", "np")
URI_TAGS = ("rua", "ruf")
#: Tags of RFC 7489 that RFC 9989 took away (section 9.3; appendix A.6 for pct).
REMOVED_TAGS = frozenset({"pct", "rf", "ri"})
#: The values that each tag may have, where they can be listed.
_VALUES: Mapping[str, frozenset[str]] = {
    "adkim": frozenset("rs"),
    "aspf": frozenset("rs"),
    "psd": frozenset("ynu"),
    "t": frozenset("yn"),
    **{tag: frozenset(DMARCPolicy) for tag in POLICY_TAGS},
}
KNOWN_TAGS = frozenset({*_VALUES, *URI_TAGS, *REMOVED_TAGS, "fo", "v"})
_STRICTNESS = list(DMARCPolicy)
_VERSION = re.compile(r"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_MEANT = re.compile(
    r"(?:\bv[\s=:\"'\\]{1,8}dmarc|^[\s\"']{0,8}dmarc1\b"
    r"|\bp[ \t]*=[ \t\"']*(?:none|quarantine|reject)\b)",
    re.IGNORECASE,
)
_VISIBLE = re.compile(r"[ -~]+")


class AlignmentMode(StrEnum):
    """How closely an identifier must match the From domain (RFC 9989 section 4.4)."""

    RELAXED = "r"
    STRICT = "s"


class PublicSuffixFlag(StrEnum):
    """What a record says of its name in the tree walk (RFC 9989 section 4.7, psd=)."""

    YES = "y"  # a public suffix domain
    NO = "n"  # an organisational domain
    UNSAID = "u"


class AppliesTo(StrEnum):
    """Whom a record is applied to, which decides the tag that the policy is taken from."""

    SELF = "p"
    SUBDOMAIN = "sp"  # one that exists
    MISSING_SUBDOMAIN = "np"  # one for which DNS says NXDOMAIN


@dataclass(frozen=True, slots=True)
class Tag:
    """One ``name=value``: the name in lowercase; positions count characters from the start."""

    name: str
    value: str
    position: int
    value_position: int


@dataclass(frozen=True, slots=True)
class TagProblem:
    """Something that receivers ignore: the tag ("" where none can be read), where, and why."""

    tag: str
    position: int
    sentence: str


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """A parsed record.

    `policy` is what receivers apply to the domain itself: a missing or unknown p= counts as none
    where a valid rua= is present (RFC 9989 section 4.10.1), and test mode lowers it by one level.
    `rua` are the mailto: URIs that get aggregate reports, in lowercase without a size. `problem`
    says why receivers would not apply the record at all. `p`, `sp` and `np` are the valid values
    as written, the first where one is there twice. `removed` are the tags that RFC 9989 took away;
    `problems` what else receivers ignore, by position.
    """

    policy: DMARCPolicy
    rua: tuple[str, ...]
    problem: str | None = None
    p: DMARCPolicy | None = None
    sp: DMARCPolicy | None = None
    np: DMARCPolicy | None = None
    adkim: AlignmentMode = AlignmentMode.RELAXED
    aspf: AlignmentMode = AlignmentMode.RELAXED
    psd: PublicSuffixFlag = PublicSuffixFlag.UNSAID
    testing: bool = False
    failure_options: tuple[str, ...] = ("0",)
    aggregate: tuple[ReportURI, ...] = ()
    failure: tuple[ReportURI, ...] = ()
    removed: tuple[Tag, ...] = ()
    problems: tuple[TagProblem, ...] = ()
    fallen_back: bool = False

    @property
    def strictness(self) -> int:
        """Orders policies: none, quarantine, reject."""
        return strictness(self.policy)

    def at_least(self, wanted: DMARCPolicy) -> bool:
        return self.strictness >= strictness(wanted)

    def written(self, reach: AppliesTo) -> tuple[DMARCPolicy, AppliesTo]:
        """Return the policy asked for, and the tag it comes from: np, else sp, else p.

        Test mode is not counted in. Where the record acts as ``p=none``, so does all of it.
        """
        if self.fallen_back:
            return DMARCPolicy.NONE, AppliesTo.SELF
        choices = {AppliesTo.MISSING_SUBDOMAIN: self.np, AppliesTo.SUBDOMAIN: self.sp}
        order = [AppliesTo.MISSING_SUBDOMAIN, AppliesTo.SUBDOMAIN]
        for level in order[order.index(reach) :] if reach in order else []:
            policy = choices[level]
            if policy is not None:
                return policy, level
        return self.p or DMARCPolicy.NONE, AppliesTo.SELF

    def applied(self, reach: AppliesTo) -> DMARCPolicy | None:
        """Return the policy that receivers apply; None where they would not apply the record."""
        if self.problem is not None:
            return None
        policy, _ = self.written(reach)
        return lowered(policy) if self.testing else policy


def strictness(policy: DMARCPolicy) -> int:
    """Orders policies: none, quarantine, reject."""
    return _STRICTNESS.index(policy)


def lowered(policy: DMARCPolicy) -> DMARCPolicy:
    """One level below, which is what test mode asks for (RFC 9989 section 4.7, t=)."""
    return _STRICTNESS[max(strictness(policy) - 1, 0)]


def missing_reports(record: PolicyRecord, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the wanted mailto: URIs to which the record does not report, in their order."""
    there = {key_of(uri) for uri in record.rua}
    return tuple(uri for uri in wanted if key_of(encoded(uri)) not in there)


def is_dmarc(text: str) -> bool:
    """Whether a TXT text is a DMARC record: v= first, its value case-sensitive (4.8)."""
    return _VERSION.match(text) is not None


def looks_like_dmarc(text: str) -> bool:
    """Whether a TXT text was meant as a DMARC record."""
    return _MEANT.search(text[:TEXT_LIMIT]) is not None


def select(texts: Sequence[str]) -> tuple[str, ...]:
    """Return the DMARC records among the TXT texts of a name, in a stable order."""
    return tuple(sorted(text for text in texts if is_dmarc(text)))


# A look reads the same record for each server, receiver and destination, dozens of times.
@lru_cache(maxsize=64)
def parse(text: str) -> PolicyRecord:
    """Parse a record for which `is_dmarc` holds; never raises.

    Unknown tags are ignored. A tag that stands there twice makes the whole list invalid
    (RFC 6376 section 3.2, which RFC 9989 section 4.8 builds on): what of it counts is up to the
    receiver. The first is read here.
    """
    problems: list[TagProblem] = []
    tags: dict[str, Tag] = {}
    twice = ""
    for item in split(text):
        if isinstance(item, TagProblem):
            problems.append(item)
        elif item.name in tags or item.name == "v":
            twice = twice or item.name
            problems.append(TagProblem(item.name, item.position, "is there twice"))
        else:
            tags[item.name] = item
    problems += [problem for problem in map(_value_problem, tags.values()) if problem is not None]
    aggregate, failure = _uris(tags, "rua"), _uris(tags, "ruf")
    for name, uris in (("rua", aggregate), ("ruf", failure)):
        problems += [TagProblem(name, uri.position, uri.problem) for uri in uris if uri.problem]
    made = _record(tags, aggregate, failure, problems)
    if twice and made.problem is None:
        return replace(made, problem=f"it has the tag {twice[:20]}= twice (RFC 6376 section 3.2)")
    return made


def split(text: str) -> Iterator[Tag | TagProblem]:
    """Read the tags behind the version, in order; bounded by `TEXT_LIMIT` and `TAG_LIMIT`."""
    following = 0
    for count, part in enumerate(text[:TEXT_LIMIT].split(";", TAG_LIMIT)):
        position = following
        following += len(part) + 1
        if count == 0 or (count < TAG_LIMIT and not part.strip(" \t")):
            continue  # the version, or nothing
        start = position + _indent(part)
        written, equals, rest = part.partition("=")
        name = written.strip(" \t")
        if count == TAG_LIMIT:
            yield TagProblem("", start, f"lies behind {TAG_LIMIT} tags")
        elif not equals or not (name.isascii() and name.isalpha()):
            yield TagProblem("", start, "is not a tag=value pair")
        else:
            value_position = position + len(written) + 1 + _indent(rest)
            yield Tag(name.lower(), rest.strip(" \t"), start, value_position)


def _indent(text: str) -> int:
    return len(text) - len(text.lstrip(" \t"))


def _value_problem(tag: Tag) -> TagProblem | None:
    """Why a value falls to the default of its tag; URIs are judged one by one."""
    if tag.name not in KNOWN_TAGS or tag.name in (*URI_TAGS, *REMOVED_TAGS):
        return None
    sentence = "has a value that does not exist"
    if tag.name == "fo":
        sound = failure_options(tag.value) is not None
        sentence = "must be 0, 1, d or s, or several of them with colons between"
    else:
        sound = tag.value.lower() in _VALUES[tag.name]
    return None if sound else TagProblem(tag.name, tag.position, sentence)


def failure_options(value: str) -> tuple[str, ...] | None:
    """Return the options of fo=; None where they do not exist.

    RFC 7489 section 6.3 takes any list of them, by which most published records and receivers go;
    in RFC 9989 section 4.7 a list is of letters alone.
    """
    options = tuple(option.strip(" \t").lower() for option in value.split(":", 8))
    return options if all(option in ("0", "1", "d", "s") for option in options) else None


def _uris(tags: Mapping[str, Tag], name: str) -> tuple[ReportURI, ...]:
    tag = tags.get(name)
    return () if tag is None else parse_list(tag.value, tag.value_position)


def _choice(tags: Mapping[str, Tag], name: str, default: str) -> str:
    tag = tags.get(name)
    value = default if tag is None else tag.value.lower()
    return value if value in _VALUES[name] else default


def _record(
    tags: Mapping[str, Tag],
    aggregate: tuple[ReportURI, ...],
    failure: tuple[ReportURI, ...],
    problems: Sequence[TagProblem],
) -> PolicyRecord:
    p, sp, np = (
        DMARCPolicy(value) if (value := _choice(tags, name, "")) else None for name in POLICY_TAGS
    )
    bad = [
        name
        for name, policy in (("p", p), ("sp", sp), ("np", np))
        if policy is None and (name == "p" or name in tags)
    ]
    valid = any(uri.valid for uri in aggregate)
    testing = _choice(tags, "t", "n") == "y"
    policy = DMARCPolicy.NONE if bad or p is None else lowered(p) if testing else p
    what = "missing" if bad and bad[0] not in tags else "unknown"
    fo = tags.get("fo")
    return PolicyRecord(
        policy=policy,
        rua=tuple(uri.uri.lower() for uri in aggregate if uri.address is not None),
        problem=f"{bad[0]}= is {what}, and there is no valid rua=" if bad and not valid else None,
        p=p,
        sp=sp,
        np=np,
        adkim=AlignmentMode(_choice(tags, "adkim", "r")),
        aspf=AlignmentMode(_choice(tags, "aspf", "r")),
        psd=PublicSuffixFlag(_choice(tags, "psd", "u")),
        testing=testing,
        failure_options=(failure_options(fo.value) if fo else None) or ("0",),
        aggregate=aggregate,
        failure=failure,
        removed=tuple(tags[name] for name in sorted(REMOVED_TAGS & tags.keys())),
        problems=tuple(sorted(problems, key=lambda problem: problem.position)[:PROBLEM_LIMIT]),
        fallen_back=bool(bad),
    )
