# SPDX-License-Identifier: Apache-2.0
"""Near misses: texts that were meant as a DMARC record, and what they were meant to say."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns.dmarc.record import (
    KNOWN_TAGS,
    POLICY_TAGS,
    URI_TAGS,
    PolicyRecord,
    Tag,
    TagProblem,
    is_dmarc,
    looks_like_dmarc,
    parse,
    split,
    strictness,
)
from postroom.dns.dmarc.uri import MISSPELT
from postroom.dns.dmarc.uri import parse as parse_uri
from postroom.dns.finding_codes import Code
from postroom.dns.texts.mailto import with_at_signs
from postroom.dns.texts.pasted import (
    DAMAGE_LIMIT,
    DETAILS,
    UNDO,
    Undo,
    decoded,
    detail_of,
    placeholder,
)

VERSION = "v=DMARC1"
_TAGS = "|".join(sorted(KNOWN_TAGS - {"v"}, key=len, reverse=True))
#: A version that was meant, of which there is one: other case or digit, letters for it, no ``v=``.
_VERSION_MEANT = (
    r"(?i)(?:v[\s=:]{1,8})?d[\s_-]?marc[\s._-]{0,2}(?:[0-9](?:\.[0-9])?|[li]|one)?"
    rf"(?=\Z|[\s;,:|.]|(?:{_TAGS})[ \t]{{0,4}}=)"
)
_VERSION_LATER = r"(?i);[ \t]{0,8}v[ \t]{0,8}[=:][ \t]{0,8}DMARC1[ \t]{0,8}(?=;|\Z)"
_POLICY_FIRST = r"(?i)p[ \t]{0,8}=[ \t]{0,8}(?:none|quarantine|reject)\b"
_TAG_INSIDE = re.compile(rf"(?<=[\s,|])(?:{_TAGS})[ \t]{{0,8}}=", re.IGNORECASE)
_TAG_BEHIND_VERSION = re.compile(rf"(?<=DMARC1)(?:{_TAGS})[ \t]{{0,8}}=", re.IGNORECASE)
#: Marks that people list by, before a tag: dashes and bullets. From where the blanks before them
#: begin, and not from each of thousands.
_BULLET = rf"(?i)(?<![\s,])[\s,]+[\u2010-\u2015\u2022\u00b7*-]+[ \t]*(?=(?:{_TAGS})[ \t]{{0,8}}=)"
_TAG_COLON = rf"(?i)(?<![^\s;,|])({_TAGS})[ \t]{{0,8}}:[ \t]{{0,8}}"
_VERSION_EXACT = rf"[vV][ \t]*=[ \t]*DMARC1(?=\Z|[\s;,:|]|(?:{_TAGS})[ \t]{{0,4}}=)"
_MAILTO_MEANT = (
    rf"(?i)\b(?:mailto|{'|'.join(sorted(MISSPELT))})[ \t]{{0,4}}[:=][ \t]{{0,4}}/{{0,2}}"
    r"(?=[^\s,/:]{1,64}@)"
)


#: An address between the brackets in which mail programs show one.
_BRACKETED = r"<([^<>\s,]{1,256}@[^<>\s,]{1,256})>"
#: What people call the tag p.
POLICY_NAMES = frozenset({"policy", "dmarc", "mode", "action", "requested-policy"})
_POLICY_MEANT = (
    rf"(?i)(?:p|{'|'.join(sorted(POLICY_NAMES))})?[\s:=\"'(\[]*(?P<word>[a-z]{{3,16}})[\"')\].,]*"
)
#: How alike a word and a policy must be to leave no doubt: one letter wrong, missing or too many.
_ALIKE = 0.8


@dataclass(frozen=True, slots=True)
class TagSlip:
    """A known mistake: the code of its finding, and the end of a sentence about the record."""

    code: Code
    detail: str


def slip(text: str) -> TagSlip | None:
    """Name the first mistake of a text that was meant as a DMARC record; None if it has none."""
    found = slips(text)
    return found[0] if found else None


def slips(text: str) -> tuple[TagSlip, ...]:
    """Name the mistakes of a text that was meant as a DMARC record, in the order to mend them.

    Only what receivers would stumble over counts: a record that they read whole has none.
    """
    if _clean(text):
        return ()
    mended, made = _mended(text)
    left = parse(mended) if is_dmarc(mended) else None
    found = list(made)
    if left is not None and left.p is None:
        found.append(TagSlip(Code.DMARC_P_INVALID, "names no policy that exists in p="))
    if any(placeholder(value) is not None for value in _unread(mended)):
        found.append(TagSlip(Code.VALUE_PLACEHOLDER, "still holds a placeholder"))
    return tuple(found)


def _unread(text: str) -> Iterator[str]:
    """The values that receivers cannot read: what they can read is no template.

    Of report addresses each stands for itself.
    """
    if not is_dmarc(text):
        yield text
        return
    faulty = {problem.tag for problem in parse(text).problems}
    for tag in split(text):
        if not isinstance(tag, Tag):
            yield text[tag.position :].partition(";")[0]
        elif tag.name in URI_TAGS:
            yield from (uri for uri in tag.value.split(",") if not parse_uri(uri.strip()).valid)
        elif tag.name in faulty:
            yield tag.value


def policy_meant(text: str) -> DMARCPolicy | None:
    """Return the policy that a record plainly names, though receivers cannot read it as p=.

    None where nothing names one, or several are named.
    """
    words = {word.value: word for word in DMARCPolicy}
    meant = set()
    for part in text.split(";"):
        match = re.fullmatch(_POLICY_MEANT, part.strip())
        # ``preject``: the tag and its value in one.
        spelt = match["word"].lower() if match is not None else ""
        for word in (spelt, spelt.removeprefix("p")):
            near = difflib.get_close_matches(word, words, n=1, cutoff=_ALIKE)
            meant |= {words[name] for name in near}
    return meant.pop() if len(meant) == 1 else None


def mended(text: str) -> str:
    """Return the text with the mistakes undone whose meaning is plain; else as it is."""
    return text if _clean(text) else _mended(text)[0]


def _clean(text: str) -> bool:
    """Whether receivers read all of it; and what is absurd is not worth mending."""
    if len(text) > DAMAGE_LIMIT or not is_dmarc(text):
        return len(text) > DAMAGE_LIMIT
    return not _trouble(parse(text))


def _trouble(record: PolicyRecord) -> int:
    return len(record.problems) + (record.problem is not None)


def _score(text: str) -> tuple[bool, int]:
    """Orders texts by how much receivers stumble over them."""
    return (not is_dmarc(text), _trouble(parse(text)) if is_dmarc(text) else 0)


# A look asks for the same texts as every record, at every place, and for each receiver.
@lru_cache(maxsize=128)
def _mended(text: str) -> tuple[str, tuple[TagSlip, ...]]:
    """Undo one mistake if that is all it takes, else as many, in their order, as help most."""
    best: tuple[str, tuple[TagSlip, ...]] = (text, ())
    least = _score(text)
    for code, detail, undo in _STEPS:
        single = undo(text)
        if single != text and is_dmarc(single) and _clean(single):
            return single, (TagSlip(code, _said(code, detail, text)),)
    current, made = text, []
    for code, detail, undo in _STEPS:
        changed = undo(current)
        if changed != current:
            made.append(TagSlip(code, _said(code, detail, text)))
            current, score = changed, _score(changed)
            if score < least or (best[1] and score == least):
                best, least = (current, tuple(made)), score
    return best


def _said(code: Code, detail: str, text: str) -> str:
    return detail_of(code, text) if code in DETAILS else detail


def _with_version(text: str) -> str:
    """Write the version as it must be, and put it first."""
    bare = text.strip()
    if re.match(_VERSION_EXACT, bare):
        return text
    match = re.match(_VERSION_MEANT, bare)
    if match:
        rest = bare[match.end() :].lstrip(" \t:.")
        return VERSION + (rest if not rest or rest[0] in ";,|" else f"; {rest}")
    later = re.search(_VERSION_LATER, bare)
    if later:
        return f"{VERSION}; {bare[: later.start()]}{bare[later.end() :]}"
    if re.match(_POLICY_FIRST, bare):
        return f"{VERSION}; {bare}"
    return text


def _with_equals(text: str) -> str:
    """Put equals signs behind the names of tags, where colons stand."""
    return re.sub(_TAG_COLON, r"\1=", text)


def _with_separators(text: str) -> str:
    """Put semicolons between the tags, and commas between the addresses of one tag."""
    parts: list[str] = []
    bare = re.sub(_BULLET, ";", decoded(text))
    for part in (bare if bare != decoded(text) else text).split(";"):
        for piece in _pieces(part):
            follows = parts and parts[-1].partition("=")[0].strip().lower() in URI_TAGS
            if follows and "=" not in piece and "@" in piece:
                parts[-1] = f"{parts[-1]},{piece}"
            elif piece:
                parts.append(piece)
    written = [part.strip() for part in text.split(";") if part.strip()]
    return text if written == parts else "; ".join(parts)


def _pieces(part: str) -> Iterator[str]:
    start = 0
    for pattern in (_TAG_BEHIND_VERSION, _TAG_INSIDE):
        for match in pattern.finditer(part):
            if match.start() > start and part[start : match.start()].strip(" \t\r\n,|"):
                yield part[start : match.start()].strip(" \t\r\n,|:")
                start = match.start()
    yield part[start:].strip(" \t\r\n,|")


def _with_uris(text: str) -> str:
    """Write every report address as a mailto: URI, separated by commas."""
    for tag in reversed([item for item in split(text) if isinstance(item, Tag)]):
        items = [item.strip(" \t") for item in tag.value.split(",") if item.strip()]
        if tag.name not in URI_TAGS or all(parse_uri(item).valid for item in items):
            continue
        uris: list[str] = []
        bare_value = re.sub(_BRACKETED, r"\1", tag.value)
        for item in re.split(r"[\s,|]+", re.sub(_MAILTO_MEANT, "mailto:", bare_value)):
            bare = item.strip("<>()'").rstrip(".")
            prefixed = f"mailto:{bare}"
            lacks_scheme = not parse_uri(bare).valid and parse_uri(prefixed).address
            if bare:
                uris.append(prefixed if lacks_scheme else bare)
        end = tag.value_position + len(tag.value)
        text = text[: tag.value_position] + ",".join(uris) + text[end:]
    return text


def _with_single_tags(text: str) -> str:
    """Make one of the tags that are there twice: the strictest policy, all report addresses.

    Which one receivers took is not known: so nobody's policy is weakened, and no report is lost.
    """
    items = list(split(text))
    names = [tag.name for tag in items if isinstance(tag, Tag)]
    if not is_dmarc(text) or (len(set(names)) == len(names) and "v" not in names):
        return text
    kept: dict[str, str] = {}
    for item in items:
        if isinstance(item, TagProblem):
            kept[f" {item.position}"] = text[item.position :].partition(";")[0].rstrip()
        elif item.name != "v":
            written, value = text[item.position :][: len(item.name)], item.value
            if item.name in kept:
                value = _joined(item.name, kept[item.name].partition("=")[2], value)
            kept[item.name] = f"{written}={value}"
    return "; ".join([VERSION, *kept.values()])


def _joined(name: str, first: str, second: str) -> str:
    """What two values of one tag come to."""
    if name in URI_TAGS:
        return ",".join(value for value in (first, second) if value.strip())
    if name in POLICY_TAGS:
        order = {policy.value: strictness(policy) for policy in DMARCPolicy}
        return max((first, second), key=lambda value: order.get(value.lower(), -1))
    return first


_STEPS: tuple[tuple[Code, str, Undo], ...] = (
    *((code, DETAILS[code], undo) for code, undo in UNDO),
    (Code.DMARC_URI, "has a report address whose @ is spelt out", with_at_signs),
    (Code.DMARC_VERSION, f"does not begin with exactly {VERSION}", _with_version),
    (Code.DMARC_SYNTAX, "has colons in the place of equals signs", _with_equals),
    (Code.DMARC_SEPARATOR, "does not have semicolons between its tags", _with_separators),
    (Code.DMARC_URI, "has a report address that is not a mailto: URI", _with_uris),
    (
        Code.DMARC_SYNTAX,
        "has a tag twice, so that receivers may take either or ignore the record",
        _with_single_tags,
    ),
)


def meant(text: str) -> bool:
    """Whether a text is, or was meant as, a DMARC record, however it is damaged."""
    return looks_like_dmarc(text) or is_dmarc(mended(text))
