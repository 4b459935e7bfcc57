# SPDX-License-Identifier: Apache-2.0
"""Causes in the name: the record exists, but stands somewhere else (codes 1 to 10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from postroom.dns import dkim, dmarc, spf
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.diagnosis.case import Case, Family, Probe
from postroom.dns.diagnosis.places import Place, places
from postroom.dns.diagnosis.standing import (
    in_the_way,
    parent,
    stranger,
    stranger_in,
    value_from,
    with_removed,
)
from postroom.dns.judging.fixes import create, move, removal
from postroom.dns.judging.judgement import Cause, Evidence
from postroom.dns.names import can_be_asked
from postroom.dns.wanted import (
    AliasWanted,
    ExchangeWanted,
    IndicatorWanted,
    KeyWanted,
    PolicyWanted,
    TextWanted,
    TransportPolicyWanted,
    TransportReportWanted,
)

#: Kinds of record that have one place only; of any other nothing can be said.
_KINDS = (
    TextWanted,
    AliasWanted,
    KeyWanted,
    spf.Requirement,
    PolicyWanted,
    ExchangeWanted,
    TransportPolicyWanted,
    TransportReportWanted,
    IndicatorWanted,
)


def _places(case: Case) -> tuple[Place, ...]:
    if case.apex is None or not isinstance(case.expected.wanted, _KINDS):
        return ()
    return places(case.expected.name, case.expected.type, case.domain, case.apex)


def probes(case: Case) -> Iterable[Probe]:
    """Ask at the places where slips put a record."""
    for one in _places(case):
        if can_be_asked(one.name):
            yield Probe(one.priority, Question(one.name, case.expected.type))
    if _places(case):
        for zone in _zones(case):
            yield Probe(1, Question(stranger_in(zone), case.expected.type))
    above = _above_keys(case)
    if above is not None and case.answer.outcome is Outcome.NX_DOMAIN:
        yield Probe(5, Question(above, RecordType.NS))


def causes(case: Case) -> Iterable[Cause]:
    """Only the record itself proves that it stands elsewhere; a wildcard does not."""
    beside = stranger(case)
    if beside is not None and case.holds(case.at(beside)):
        return
    wild = {
        value
        for zone in _zones(case)
        if (answer := case.at(stranger_in(zone))) is not None
        for value in answer.values
    }
    for place in _places(case):
        answer = case.at(place.name)
        if answer is None or answer.aliases or wild & set(answer.values):
            continue
        yield from _at(case, place, answer)
    yield from _other_selector(case)


def _zones(case: Case) -> tuple[str, ...]:
    """The names directly below which a wildcard would answer at the places of slips."""
    return tuple(dict.fromkeys(one for one in (case.domain, case.apex) if one is not None))


def _at(case: Case, place: Place, answer: Answer) -> Iterator[Cause]:
    """Tell what stands at a wrong place: the record, or another of its kind."""
    held = case.holding(answer)
    if place.code == "NAME_AT_APEX":
        # An alias or an SPF record of the domain itself is at its own place there.
        held = tuple(one for one in held if case.expected.type is RecordType.TXT)
    kin = () if held or not _tells(case, place) else tuple(_of_kind(case, answer))
    if not held and not kin:
        return
    found = sorted(held or kin)
    name = case.expected.name
    message = f"The record stands at {place.name} instead of {name}: {place.how}."
    if kin:
        message = f"A record that was meant for {name} stands at {place.name}: {place.how}."
    fix = move(case.expected, place.name, found, value_from(case, found[0]))
    if _may_serve_another(case, place):
        fix = create(case.expected, value_from(case, found[0]))
        found = []
    gone = in_the_way(case, removal(place.name, case.expected.type, found))
    evidence = Evidence.PROVEN if held else Evidence.SHOWN
    yield Cause(place.code, message, with_removed(fix, gone), evidence)


def _may_serve_another(case: Case, place: Place) -> bool:
    """A token is made for one domain; a policy, a key or an alias may be for the zone itself."""
    wanted = case.expected.wanted
    text_of_key = isinstance(wanted, KeyWanted) and place.code == "NAME_AT_APEX"
    return place.own and not isinstance(wanted, TextWanted) and not text_of_key


def _tells(case: Case, place: Place) -> bool:
    """Whether anything of the kind was meant for the record's own name."""
    if place.code == "NAME_AT_APEX":
        return not place.own and isinstance(case.expected.wanted, PolicyWanted)
    return place.telling


def _of_kind(case: Case, answer: Answer) -> Iterator[str]:
    for value in answer.values:
        match case.expected.wanted:
            case KeyWanted() if dkim.looks_like_key(value):
                yield value
            case PolicyWanted() if dmarc.is_dmarc(value):
                yield value
            case spf.Requirement() if spf.is_spf(value):
                yield value


def _above_keys(case: Case) -> str | None:
    """The name below which all keys of the domain stand, for records that are below it."""
    above = parent(case.expected.name)
    return above if above == f"_domainkey.{case.domain}" else None


def _other_selector(case: Case) -> Iterator[Cause]:
    """The key stands under another selector of the plan, or there are keys, but not of the plan."""
    above = _above_keys(case)
    if above is None:
        return
    name = case.expected.name
    siblings = [one for one in case.context.plan.records if parent(one.name) == above]
    for one in siblings:
        answer = case.at(one.name)
        if one.name == name or answer is None or answer.aliases:
            continue
        if one.wanted != case.expected.wanted and case.holds(answer):
            message = f"What belongs at {name} stands at {one.name}, under another selector."
            fix = with_removed(create(case.expected), in_the_way(case))
            yield Cause("NAME_OTHER_SELECTOR", message, fix, Evidence.PROVEN)
    below = case.at(above, RecordType.NS)
    if below is None or below.outcome is not Outcome.NO_DATA or below.aliases:
        return
    asked = [case.seen.get(one.name, one.type) for one in siblings]
    if all(one is not None and one.outcome is Outcome.NX_DOMAIN for one in asked):
        selector = name.removesuffix(f".{above}")
        message = f"There are names below {above}, but none for the selector {selector}."
        yield Cause("NAME_OTHER_SELECTOR", message, create(case.expected))


FAMILY = Family(probes, causes)
