# SPDX-License-Identifier: Apache-2.0
"""Causes in the type: a record of another type stands where one is needed."""

import dataclasses
import re
from collections.abc import Iterable, Iterator

from postroom.api.findings import Fix, FixAction, RecordToRemove
from postroom.api.sendingdomain import Purpose
from postroom.dns import spf
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.diagnosis import fix_contents, synthesis
from postroom.dns.diagnosis.case import Case, CauseFamily, Probe
from postroom.dns.diagnosis.dns_hosts import host_of
from postroom.dns.diagnosis.proxies import proxy_of
from postroom.dns.finding_codes import Code
from postroom.dns.judging.fixes import removal, replace, with_removed
from postroom.dns.judging.judgement import Cause, Evidence, lacking, where
from postroom.dns.names import is_within
from postroom.dns.presets import title_of
from postroom.dns.requirements import Behind, CNAMEWanted, DKIMKeyWanted, DMARCWanted, MXWanted
from postroom.dns.texts.pasted import without_caption, without_quotes
from postroom.dns.texts.quoting import quoted

_ADDRESSES = (RecordType.A, RecordType.AAAA)


def probes(case: Case) -> Iterable[Probe]:
    """The types that are confused with the right one, where nothing better is there."""
    name, wanted = case.planned.name, case.planned.wanted
    if isinstance(wanted, CNAMEWanted):
        if not case.answer.values:
            yield Probe(1, Question(name, RecordType.TXT))
            if _proxies(case):
                yield from (Probe(1, Question(name, kind)) for kind in _ADDRESSES)
            yield from _probes_in_the_way(case)
        return
    if isinstance(wanted, spf.Requirement) and not spf.select(case.answer.values):
        yield Probe(1, Question(name, RecordType.SPF))
    if case.answer.values and not case.answer.aliases:
        yield Probe(4, Question(name, RecordType.CNAME))
    yield from _probes_through_alias(case)


def _probes_through_alias(case: Case) -> Iterator[Probe]:
    """What else is found through the CNAME that is in the place of the record, and goes with it."""
    name = case.planned.name
    if case.answer.aliases and not fix_contents.is_dedicated(name):
        yield from (Probe(3, Question(name, kind)) for kind in fix_contents.THROUGH_ALIAS)


def _probes_in_the_way(case: Case) -> Iterator[Probe]:
    """What else the name has, if it has anything, and whether a name that nobody made is denied."""
    if case.answer.outcome is not Outcome.NO_DATA:
        return
    yield from (Probe(3, Question(case.planned.name, kind)) for kind in synthesis.BESIDE_ALIAS)
    beside = synthesis.invented_sibling(case)
    if beside is not None:
        yield Probe(4, Question(beside, RecordType.CNAME))


def with_all_in_the_way(case: Case, cause: Cause) -> Cause:
    """Take away, with what a cause is about, all else that stands where a CNAME is published, or
    the CNAME that stands where something else is."""
    fix, planned = cause.fix, case.planned
    if fix is None or fix.name != planned.name:
        return cause
    if fix.action not in (FixAction.CREATE, FixAction.REPLACE, FixAction.MOVE):
        return cause
    if fix.type != RecordType.CNAME.value:
        return _without_alias(case, cause, fix)
    gone = {(record.name, record.type) for record in fix.remove}
    left = [
        answer
        for answer in _seen_at_name(case, synthesis.BESIDE_ALIAS)
        if (planned.name, answer.question.type.value) not in gone
    ]
    if not left:
        unseen = "" if gone else _unseen(case)
        return dataclasses.replace(cause, message=f"{cause.message} {unseen}".rstrip())
    kinds = ", ".join(answer.question.type.value for answer in left)
    message = (
        f"{cause.message} A CNAME stands alone: what else is at {planned.name} ({kinds}, and what "
        "there may be of types that are not asked for) goes with that, and needs another name "
        "where somebody uses it."
    )
    more = [
        record
        for answer in left
        for record in removal(planned.name, answer.question.type, answer.values)
    ]
    fix = with_removed(fix, [*fix.remove, *more])
    return dataclasses.replace(cause, message=message, fix=fix)


def _without_alias(case: Case, cause: Cause, fix: Fix) -> Cause:
    """Whatever is the cause: nothing that is published beside a CNAME is seen."""
    name, target = case.planned.name, synthesis.alias_of(case)
    gone = {(record.name, record.type) for record in fix.remove}
    if target is None or not case.answer.aliases or (name, RecordType.CNAME.value) in gone:
        return cause
    message = (
        f"{cause.message} At {name} stands a CNAME to {quoted(target)}, beside which no {fix.type} "
        "can be published: it goes as well."
    )
    more = removal(name, RecordType.CNAME, (target,))
    fix = with_removed(fix, [*fix.remove, *more])
    return dataclasses.replace(cause, message=message, fix=fix)


def _unseen(case: Case) -> str:
    """What to say of a name that exists, though nothing is found there nor known below it."""
    name, beside = case.planned.name, synthesis.invented_sibling(case)
    other = case.at(beside, RecordType.CNAME) if beside is not None else None
    tells = other is not None and other.outcome is Outcome.NX_DOMAIN and not other.aliases
    below = any(
        answer.values and asked.name != name and is_within(asked.name, name)
        for asked, answer in case.seen.answers.items()
    )
    answers = [case.at(name, kind) for kind in synthesis.BESIDE_ALIAS]
    empty = all(answer and answer.outcome is Outcome.NO_DATA for answer in answers)
    if case.answer.outcome is not Outcome.NO_DATA or not tells or below or not empty:
        return ""
    kinds = ", ".join(kind.value for kind in synthesis.BESIDE_ALIAS)
    return (
        f"{name} exists, without a record of type {kinds}: a CNAME stands alone, so that what is "
        "there of another type, such as SRV, has to go first, if it is no name below that makes "
        "it exist."
    )


def causes(case: Case) -> Iterable[Cause]:
    wanted = case.planned.wanted
    if isinstance(wanted, CNAMEWanted):
        yield from _proxied(case)
        yield from _text_for_alias(case, wanted)
    else:
        yield from _alias_for_other(case)
        yield from _obsolete_type(case)
    yield from _coexisting(case)


def _proxies(case: Case) -> bool:
    """Whether the zone's DNS host can answer with addresses of its own."""
    host = host_of(case.context.zone.nameservers) if case.context.zone else None
    return host is not None and bool(host.proxy)


def _seen_at_name(case: Case, types: Iterable[RecordType]) -> list[Answer]:
    """The answers of these types that stand at the name itself."""
    answers = (case.at(case.planned.name, kind) for kind in types)
    return [
        answer
        for answer in answers
        if answer is not None
        and answer.values
        and not answer.aliases
        and not synthesis.from_wildcard(case, answer.question.type)
    ]


def _all_of(case: Case, answers: Iterable[Answer]) -> list[RecordToRemove]:
    found = [
        record
        for answer in answers
        for record in removal(case.planned.name, answer.question.type, answer.values)
    ]
    return fix_contents.records_to_remove(case, found)


def _proxied(case: Case) -> Iterator[Cause]:
    """The DNS host has the CNAME, but answers with its proxy."""
    found = _seen_at_name(case, _ADDRESSES)
    proxy = proxy_of([value for answer in found for value in answer.values])
    if case.answer.values or proxy is None or not _proxies(case):
        return
    message = (
        f"{case.planned.name} is answered with addresses of {proxy} itself: the record is "
        "proxied. Set its proxy status to DNS only (the grey cloud), which comes to the same as "
        "what follows."
    )
    # It makes an HTTPS record of its own, too.
    found += _seen_at_name(case, [RecordType.HTTPS])
    fix = fix_contents.with_removed(replace(case.planned, ()), _all_of(case, found))
    yield Cause(Code.CNAME_PROXIED, message, fix, Evidence.PROVEN)


def _text_for_alias(case: Case, wanted: CNAMEWanted) -> Iterator[Cause]:
    """The target was entered as a text; any text keeps a CNAME from being there."""
    found = _seen_at_name(case, (RecordType.TXT,))
    if case.answer.values or not found:
        return
    texts = found[0].values
    meant = (without_quotes(without_caption(text[:512])).strip(" .").lower() for text in texts)
    pasted = wanted.target in meant
    if not pasted and wanted.behind is Behind.KEY:
        return  # The judge has said so.
    what = f"with the text {quoted(min(texts))}"
    if pasted:
        what = "whose text is the target"
    message = f"There is a TXT at {case.planned.name} {what}, where a CNAME is needed."
    others = _seen_at_name(case, _ADDRESSES)
    fix = fix_contents.with_removed(replace(case.planned, ()), _all_of(case, [*found, *others]))
    yield Cause(
        Code.TYPE_TXT_FOR_CNAME, message, fix, Evidence.PROVEN if pasted else Evidence.LIKELY
    )


def _alias_for_other(case: Case) -> Iterator[Cause]:
    """A CNAME stands where another type is needed, and hides it (RFC 1034 section 3.6.2)."""
    target, name, wanted = synthesis.alias_of(case), case.planned.name, case.planned.wanted
    if target is None or not case.answer.aliases:
        return
    shown, owner, kind = quoted(target), title_of(target), case.planned.type
    # The value may have been entered as the target, which the DNS host may have made longer.
    value = case.planned.value.lower()
    is_value = bool(value) and re.sub(r"\\(.)", r"\1", target).startswith(value)
    code = Code.TYPE_CNAME_FOR_OTHER
    if kind is RecordType.TXT:
        code = Code.TYPE_CNAME_FOR_TXT
    elif case.planned.purpose is Purpose.RETURN_PATH:
        code = Code.RP_CONFLICT
    if name == case.domain:
        code = Code.CNAME_AT_APEX
        message = (
            f"The CNAME at {name} to {shown} hides all other records of the domain, so that its "
            "mail is neither delivered nor authenticated by them. The website that it leads to "
            "goes with it: put an ALIAS or ANAME in its place, if the DNS host has that, else the "
            "A and AAAA records of the website."
        )
    elif is_value:
        message = (
            f"The value stands at {name} as the target of a CNAME: it belongs into a record of "
            f"type {kind.value}."
        )
    elif not case.answer.values:
        message = (
            f"There is a CNAME at {name} to {shown}, which has no {kind.value}; the "
            f"{where(case.planned)} is needed in its place."
        )
    elif isinstance(wanted, DMARCWanted | MXWanted):
        return  # Those have causes of their own.
    else:
        if isinstance(wanted, DKIMKeyWanted):
            code = Code.CNAME_TARGET_OTHER_PROVIDER if owner else Code.CNAME_TARGET_WRONG
        suffix = f", which belongs to {owner}" if owner else ""
        message = (
            f"There is a CNAME at {name} to {shown}{suffix}; what it leads to is not what is "
            "required."
        )
    gone = fix_contents.records_to_remove(case, removal(name, RecordType.CNAME, (target,)))
    fix = fix_contents.with_removed(replace(case.planned, ()), gone)
    yield Cause(code, message, fix, Evidence.PROVEN)


def _obsolete_type(case: Case) -> Iterator[Cause]:
    """The policy stands in a record of type SPF (RFC 7208 section 3.1)."""
    answer = case.at(case.planned.name, RecordType.SPF)
    texts = spf.select(answer.values) if answer is not None and not answer.aliases else ()
    if not isinstance(case.planned.wanted, spf.Requirement) or not texts:
        return
    if synthesis.from_wildcard(case, RecordType.SPF):
        return
    lost = fix_contents.consequences(case, texts[0])
    message = (
        f"There is a record of type SPF at {case.planned.name}, which receivers do not ask for. "
        f"{lacking(case.planned, case.answer.values)}{lost}"
    )
    gone = fix_contents.records_to_remove(case, removal(case.planned.name, RecordType.SPF, texts))
    fix = fix_contents.with_removed(
        replace(case.planned, (), fix_contents.value_from(case, texts[0])), gone
    )
    yield Cause(Code.TYPE_SPF99, message, fix, Evidence.PROVEN, left_out=lost)


def _coexisting(case: Case) -> Iterator[Cause]:
    """A CNAME and other records stand at one name, so that resolvers see the one or the other."""
    cname = _seen_at_name(case, (RecordType.CNAME,))
    others = _seen_at_name(case, synthesis.BESIDE_ALIAS)
    if not cname or not others:
        return
    kinds = ", ".join(other.question.type.value for other in others)
    message = (
        f"At {case.planned.name} a CNAME to {quoted(min(cname[0].values))} stands beside records "
        f"of type {kinds}, which DNS does not allow: receivers see the one or the other."
    )
    # For a CNAME all others have to go; for a text, those of its own type that the judge named.
    wrong = others if case.planned.type is RecordType.CNAME else []
    fix = fix_contents.with_removed(replace(case.planned, ()), _all_of(case, [*cname, *wrong]))
    yield Cause(Code.CNAME_COEXISTS, message, fix, Evidence.PROVEN)


FAMILY = CauseFamily(probes, causes)
