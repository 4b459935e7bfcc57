# SPDX-License-Identifier: Apache-2.0
"""Causes in SPF that no single record shows: the policy stands where receivers do not look (67)."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from postroom.api.findings import Fix
from postroom.dns import spf
from postroom.dns.answers import Question, RecordType
from postroom.dns.diagnosis import fix_contents, synthesis
from postroom.dns.diagnosis.case import Case, CauseFamily, Probe
from postroom.dns.finding_codes import Code
from postroom.dns.judging import spf_merge
from postroom.dns.judging.fixes import create, external, removal
from postroom.dns.judging.judgement import Cause, Evidence, lacking

#: Labels below which people put the policy of the domain above.
_LABELS = ("_spf", "spf", "_spf1", "mail", "www")
#: What has mail of its own, or says for itself that it has none.
_HOSTS = ("mail", "www")
_WILDCARD = "*"


class _SPFPlace(NamedTuple):
    """Where the policy may stand instead, and why receivers do not look there.

    `own`: what stands there may be meant for that name, so that it stays.
    """

    name: str
    why: str
    own: bool


def _places(case: Case, wanted: spf.Requirement) -> Iterator[_SPFPlace]:
    name, domain = case.planned.name, case.domain
    # Where another record of the plan must authorise all of it as well.
    planned = {
        record.name
        for record in case.context.plan.records
        if isinstance(record.wanted, spf.Requirement)
        and set(wanted.includes) <= set(record.wanted.includes)
        and set(wanted.networks) <= set(record.wanted.networks)
    }
    if name == domain:
        for record in case.context.plan.records:
            if record.id.startswith("return-path") and record.name not in planned:
                why = "mail whose envelope sender is of the domain itself is not checked there"
                yield _SPFPlace(record.name, why, own=True)
        for label in _LABELS:
            yield _SPFPlace(
                f"{label}.{domain}", "receivers look at the domain itself", own=label in _HOSTS
            )
        why = "a wildcard holds for the names below the domain, not for the domain itself"
        yield _SPFPlace(f"{_WILDCARD}.{domain}", why, own=True)
    elif domain not in planned:
        why = f"the envelope sender is of {name}, so that receivers look there"
        yield _SPFPlace(domain, why, own=True)


def probes(case: Case) -> Iterable[Probe]:
    """The places where the policy does not belong, unless one stands where it does."""
    wanted = case.planned.wanted
    if isinstance(wanted, spf.Requirement) and not spf.select(case.answer.values):
        for number, place in enumerate(_places(case, wanted)):
            yield Probe(3 + number, Question(place.name, RecordType.TXT))
            if case.holds(case.at(place.name, RecordType.TXT)):
                yield Probe(
                    0,
                    Question(synthesis.invented_name(synthesis.parent(place.name)), RecordType.TXT),
                )


def causes(case: Case) -> Iterable[Cause]:
    if not isinstance(case.planned.wanted, spf.Requirement):
        return
    said, texts = case.judgement.cause, case.answer.values
    if spf.select(texts):
        # What the policy lacks is told by the judge. A damaged text beside it counts for nobody,
        # and must not take its place.
        if said is not None and any(spf_merge.meant(text) is not None for text in texts):
            yield replace(said, evidence=Evidence.PROVEN)
        return
    beside = synthesis.invented_sibling(case)
    if beside is not None and case.holds(case.at(beside, RecordType.TXT)):
        return
    for place in _places(case, case.planned.wanted):
        answer = case.at(place.name, RecordType.TXT)
        if answer is None or answer.aliases or not case.holding(answer):
            continue
        if not place.name.startswith(_WILDCARD) and synthesis.only_from_wildcard(case, answer):
            continue
        yield _cause(case, place, case.holding(answer)[0])


def _cause(case: Case, place: _SPFPlace, text: str) -> Cause:
    lack = lacking(case.planned, case.answer.values)
    message = f"{lack} The policy stands at {place.name}: {place.why}."
    value, shows = fix_contents.value_from(case, text), Question(place.name, RecordType.TXT)
    without = fix_contents.unmergeable(case, text)
    fix: Fix | None
    lost = "" if place.own else fix_contents.consequences(case, text)
    if without is not None:
        # What cannot be merged stays where it is, and the bare requirement would not be sound.
        message = f"{message} {without}"
        return Cause(Code.SPF_WRONG_NAME, message, external(), Evidence.PROVEN, shows)
    if place.own:
        fix = create(case.planned)
    else:
        # Policies are kept under such labels on purpose, too: whoever includes this one goes on.
        message += (
            f"{lost} The fix copies it: what stands at "
            f"{place.name} stays, as other records may include it."
        )
        fix = create(case.planned, value)
    gone = fix_contents.records_to_remove(
        case, fix.remove if fix is not None else removal(place.name, RecordType.TXT, ())
    )
    fix = fix_contents.with_removed(fix, gone)
    return Cause(Code.SPF_WRONG_NAME, message, fix, Evidence.PROVEN, shows, left_out=lost)


FAMILY = CauseFamily(probes, causes)
