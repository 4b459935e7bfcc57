# SPDX-License-Identifier: Apache-2.0
"""Causes in the name: the record exists, but stands somewhere else."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from postroom.dns import dkim, requirements, spf
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.diagnosis import fix_contents, synthesis
from postroom.dns.diagnosis.case import Case, CauseFamily, Probe
from postroom.dns.diagnosis.misplaced import found_at
from postroom.dns.diagnosis.places import Place, places
from postroom.dns.finding_codes import Code
from postroom.dns.judging.dkim import without_secrets
from postroom.dns.judging.fixes import create, delete, external, move, removal
from postroom.dns.judging.judgement import Cause, Evidence, lacking
from postroom.dns.names import fits_into_query

#: Kinds of record that have one place only; of any other nothing can be said.
_KINDS = (
    requirements.TextWanted,
    requirements.CNAMEWanted,
    requirements.DKIMKeyWanted,
    spf.Requirement,
    requirements.DMARCWanted,
    requirements.MXWanted,
    requirements.MTASTSWanted,
    requirements.TLSRPTWanted,
    requirements.BIMIWanted,
)
#: Where the causes of SPF look for a policy themselves.
_TOLD_OF_SPF = frozenset({Code.NAME_AT_WWW, Code.NAME_AT_WILDCARD, Code.NAME_WRONG_ZONE_LEVEL})


def _places(case: Case) -> tuple[Place, ...]:
    if case.apex is None or not isinstance(case.planned.wanted, _KINDS):
        return ()
    found = places(case.planned.name, case.planned.type, case.domain, case.apex)
    if isinstance(case.planned.wanted, spf.Requirement):
        return tuple(place for place in found if place.code not in _TOLD_OF_SPF)
    return found


def probes(case: Case) -> Iterable[Probe]:
    """The places where slips put a record."""
    for place in _places(case):
        if fits_into_query(place.name):
            yield Probe(place.priority, Question(place.name, case.planned.type))
        answer = case.at(place.name)
        if answer is not None and answer.values and not answer.aliases:
            yield Probe(
                0,
                Question(synthesis.invented_name(synthesis.parent(place.name)), case.planned.type),
            )
    if _places(case):
        for zone in _zones(case):
            yield Probe(1, Question(synthesis.invented_name(zone), case.planned.type))
    above = _above_keys(case)
    if above is not None and case.answer.outcome is Outcome.NX_DOMAIN:
        yield Probe(5, Question(above, RecordType.NS))


def causes(case: Case) -> Iterable[Cause]:
    """Only the record itself proves that it stands elsewhere; a wildcard does not."""
    beside = synthesis.invented_sibling(case)
    only_wild = beside is not None and case.holds(case.at(beside))
    wild = {
        value
        for zone in _zones(case)
        if (answer := case.at(synthesis.invented_name(zone))) is not None
        for value in answer.values
    }
    for place in _places(case):
        answer = case.at(place.name)
        if answer is None or answer.aliases:
            continue
        pretended = (
            only_wild or wild & set(answer.values) or synthesis.only_from_wildcard(case, answer)
        )
        if place.code == Code.NAME_AT_WILDCARD or not pretended:
            yield from _at(case, place, answer)
    if not only_wild:
        yield from _other_selector(case)


def _zones(case: Case) -> tuple[str, ...]:
    """The names directly below which a wildcard would answer at the places of slips."""
    return tuple(dict.fromkeys(zone for zone in (case.domain, case.apex) if zone is not None))


def _at(case: Case, place: Place, answer: Answer) -> Iterator[Cause]:
    """Tell what stands at a wrong place: the record, be it damaged, or another of its kind."""
    wanted = case.planned.wanted
    key = wanted.key if isinstance(wanted, requirements.DKIMKeyWanted) else None
    if key is not None and any(dkim.holds_private(text, key) for text in answer.values):
        # A private key is as public at a wrong name; its text is repeated nowhere.
        message = (
            f"The TXT at {place.name} holds a private key: whoever reads it signs mail in the name "
            "of the domain. Take it out of DNS, make a new key pair under a new selector, and sign "
            "with that."
        )
        secrets_gone = delete(without_secrets(place.name, answer.values, key))
        yield Cause(Code.DKIM_PRIVATE_KEY_PUBLISHED, message, secrets_gone, Evidence.PROVEN)
        return
    found, telling = found_at(case, answer), place.telling
    if place.code == Code.NAME_AT_APEX:
        telling = not place.own and isinstance(wanted, requirements.DMARCWanted)
    if found is None or not (found.held or telling):
        return
    if found.held and place.code == Code.NAME_AT_APEX and case.planned.type is not RecordType.TXT:
        return  # An alias of the domain itself is at its own place there.
    name, texts = case.planned.name, sorted(found.texts)
    message = f"A record that was meant for {name} stands at {place.name}: {place.how}."
    if found.held and _may_serve_another(case, place):
        lack = lacking(case.planned, case.answer.values)
        message = f"{lack} The same record stands at {place.name}: {place.how}."
    elif found.held:
        message = f"The record stands at {place.name} instead of {name}: {place.how}."
    value = fix_contents.value_from(case, texts[0])
    lost = ""
    if found.fault is None:
        lost = fix_contents.consequences(case, texts[0])
        message += lost
    else:
        said = found.fault.message.replace(f" {name} ", f" {place.name} ")
        message = f"{message} It is wrong in itself too. {said}"
        value = found.fault.fix.value if found.fault.fix is not None else None
    fix = move(case.planned, place.name, texts, value or None)
    without = None if value else fix_contents.unmergeable(case, texts[0])
    if without is not None:
        message, fix, texts = f"{message} {without}", external(), []
    elif _may_serve_another(case, place):
        fix, texts = create(case.planned, value or None), []
    gone = fix_contents.records_to_remove(case, removal(place.name, case.planned.type, texts))
    evidence = Evidence.PROVEN if found.held else Evidence.SHOWN
    fix = fix_contents.with_removed(fix, gone)
    told = Cause(place.code, message, fix, evidence, answer.question, left_out=lost)
    yield told
    if found.fault is not None:
        yield replace(told, code=found.fault.code, evidence=Evidence.LIKELY)


def _may_serve_another(case: Case, place: Place) -> bool:
    """A token is made for one domain; a policy, a key or an alias may be for the zone itself."""
    wanted = case.planned.wanted
    text_of_key = isinstance(wanted, requirements.DKIMKeyWanted) and place.code == Code.NAME_AT_APEX
    is_wild = place.code == Code.NAME_AT_WILDCARD
    return is_wild or (
        place.own and not isinstance(wanted, requirements.TextWanted) and not text_of_key
    )


def _above_keys(case: Case) -> str | None:
    """The name below which all keys of the domain stand, for records that are below it."""
    above = synthesis.parent(case.planned.name)
    return above if above == f"_domainkey.{case.domain}" else None


def _other_selector(case: Case) -> Iterator[Cause]:
    """The key stands under another selector of the plan, or there are keys, but not of the plan."""
    above = _above_keys(case)
    if above is None:
        return
    name = case.planned.name
    siblings = [
        record for record in case.context.plan.records if synthesis.parent(record.name) == above
    ]
    for sibling in siblings:
        answer = case.at(sibling.name)
        if sibling.name == name or answer is None or answer.aliases:
            continue
        if sibling.wanted != case.planned.wanted and case.holds(answer):
            message = f"What belongs at {name} stands at {sibling.name}, under another selector."
            fix = fix_contents.with_removed(
                create(case.planned), fix_contents.records_to_remove(case)
            )
            yield Cause(Code.NAME_OTHER_SELECTOR, message, fix, Evidence.PROVEN, answer.question)
    below = case.at(above, RecordType.NS)
    if below is None or below.outcome is not Outcome.NO_DATA or below.aliases:
        return
    own = case.at(above, RecordType.TXT)
    if own is not None and own.values:
        return  # That the name exists says nothing of names below it then.
    asked = [case.seen.get(sibling.name, sibling.type) for sibling in siblings]
    if all(reply is not None and reply.outcome is Outcome.NX_DOMAIN for reply in asked):
        selector = name.removesuffix(f".{above}")
        message = (
            f"There is something at {above} or below it, but nothing for the selector {selector}."
        )
        yield Cause(Code.NAME_OTHER_SELECTOR, message, create(case.planned))


FAMILY = CauseFamily(probes, causes)
