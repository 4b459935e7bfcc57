# SPDX-License-Identifier: Apache-2.0
"""Causes in DKIM key records that are no mere damage of text."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from postroom.api.findings import Fix
from postroom.api.sendingdomain import DKIMRole
from postroom.dns import dkim
from postroom.dns.answers import RecordType
from postroom.dns.diagnosis.case import Case, CauseFamily, no_probes
from postroom.dns.diagnosis.fix_contents import records_to_remove, with_removed
from postroom.dns.diagnosis.synthesis import from_wildcard
from postroom.dns.finding_codes import Code
from postroom.dns.judging.fixes import as_removed, replacing
from postroom.dns.judging.judgement import Cause, Evidence, where
from postroom.dns.presets import title_of
from postroom.dns.requirements import VALUE_LIMIT, DKIMKeyWanted

#: What leaves the key itself whole, so that undoing it proves that nothing else is wrong.
_PROVEN = frozenset({Code.DKIM_PEM_HEADERS, Code.DKIM_SEMICOLON_LOST})
#: That a private half is, or was, there for everybody to read: nothing else of the key matters.
EXPOSED = frozenset({Code.DKIM_KEY_COMPROMISED, Code.DKIM_PRIVATE_KEY_PUBLISHED})
#: What a sentence of its own is for.
_APART = frozenset({Code.DKIM_KEY_OTHER, Code.DKIM_PRIVATE_KEY_PUBLISHED})


def causes(case: Case) -> Iterable[Cause]:
    """Explain what stands in the place of the key."""
    wanted, said, answer = case.planned.wanted, case.judgement.cause, case.answer
    if said is not None and said.code in EXPOSED:
        yield said  # As the first of all: nothing else that may be wrong matters beside it.
        return
    if not isinstance(wanted, DKIMKeyWanted) or from_wildcard(case, RecordType.TXT):
        return
    # A selector has one TXT record (RFC 6376 section 3.6.2.2): all that is there makes way.
    fix = replacing(case.planned, answer, answer.values)
    fix = with_removed(fix, records_to_remove(case, fix.remove if fix is not None else ()))
    for slip in dkim.slips(answer.values, answer.strings, wanted.key, case.planned.value):
        if slip.code.startswith("VALUE_") or slip.code in _APART:
            continue
        proven = slip.proves and slip.code in _PROVEN
        evidence = Evidence.PROVEN if proven else Evidence.SHOWN
        yield Cause(slip.code, f"The {where(case.planned)} {slip.detail}.", fix, evidence)
    texts = [value for value in answer.values if dkim.looks_like_key(value)]
    found = dkim.parse(texts[0]).key if len(texts) == 1 else None
    if found is None or found == wanted.key:
        return
    # Whose key it is that stands there instead of the required one; no word where nothing tells.
    whose = ""
    for record in case.context.plan.records:
        if isinstance(record.wanted, DKIMKeyWanted) and record.wanted.key == found:
            retired = ", which is retired" if record.wanted.role is DKIMRole.RETIRED else ""
            whose = f"that of {record.name}{retired}"
            break
    if answer.aliases and not whose:
        title = title_of(answer.aliases[0])
        named = f" ({title})" if title else ""
        whose = f"that of {answer.aliases[0]}{named}, to which a CNAME leads"
    if whose:
        message = (
            f"The {where(case.planned)} holds another key ({dkim.described(found)}) than the "
            f"required one ({dkim.described(wanted.key)}): {whose}."
        )
        keys = frozenset((found, wanted.key))
        yield Cause(Code.DKIM_KEY_OTHER, message, fix, Evidence.SHOWN, keys=keys)


def with_keys_named(case: Case, cause: Cause) -> Cause:
    """Name the usable keys that the fix takes away: mail that is signed with them fails then.

    One that is a mistyped form of the wanted key signs nothing.
    """
    if cause.fix is None or cause.code == Code.VALUE_NEAR:
        return cause
    gone, kept = set[dkim.PublicKey](), _usable([cause.fix.value])
    for goes, stays in _going(case, cause.fix):
        gone |= _usable(goes)
        kept |= _usable(stays)
    named = gone - kept - cause.keys
    if not named:
        return cause
    said = "; ".join(sorted(map(dkim.described, named)))
    more = f"The fix takes away another key: {said}. Mail that is signed with it fails."
    return replace(cause, message=f"{cause.message} {more}", keys=cause.keys | named)


def with_tags_kept(case: Case, cause: Cause) -> Cause:
    """Keep in the offered key record what those in its place say besides the key, and name the
    rest: strictness (t=s) and the like are the user's own."""
    wanted, fix = case.planned.wanted, cause.fix
    if not isinstance(wanted, DKIMKeyWanted) or fix is None or cause.code in EXPOSED:
        return cause
    parted = list(_going(case, fix))
    texts = [text for goes, _ in parted for text in goes]
    offered = next(
        (text for _, stays in parted for text in stays if dkim.parse(text).key == wanted.key), ""
    )
    if fix.value:
        # What was said of another key need not hold for this one; a mistyped form is no other.
        near = cause.code == Code.VALUE_NEAR
        own = [text for text in texts if near or dkim.parse(text).key in (None, wanted.key)]
        value = dkim.with_tags_of(fix.value, own, wanted.key)
        offered = value if len(value) <= VALUE_LIMIT else fix.value
        fix = fix.model_copy(update={"value": offered})
    said = dkim.left_out(texts, offered) if offered else ""
    return replace(cause, message=f"{cause.message} {said}" if said else cause.message, fix=fix)


def _going(case: Case, fix: Fix) -> Iterator[tuple[list[str], list[str]]]:
    """The texts that a fix takes from each name, and those that it leaves there.

    What stands behind a CNAME is another's.
    """
    for name in dict.fromkeys(record.name for record in fix.remove if record.type == "TXT"):
        answer = case.at(name, RecordType.TXT)
        if answer is None or answer.aliases:
            continue
        going = {
            record.value for record in fix.remove if (record.name, record.type) == (name, "TXT")
        }
        goes = [value for value in sorted(answer.values) if going & {"", as_removed(value)}]
        yield goes, [value for value in answer.values if value not in goes]


def _usable(texts: Iterable[str]) -> set[dkim.PublicKey]:
    records = map(dkim.parse, texts)
    return {record.key for record in records if record.usable and record.key is not None}


FAMILY = CauseFamily(no_probes, causes)
