# SPDX-License-Identifier: Apache-2.0
"""Causes in the target of a CNAME."""

import re
from collections.abc import Iterable, Iterator

import idna

from postroom.dns.answers import Outcome, Question, RecordType
from postroom.dns.diagnosis.case import Case, CauseFamily, Probe
from postroom.dns.diagnosis.damage import first_difference
from postroom.dns.diagnosis.fix_contents import records_to_remove, with_removed
from postroom.dns.diagnosis.synthesis import alias_of
from postroom.dns.finding_codes import Code
from postroom.dns.judging.cname import behind
from postroom.dns.judging.fixes import external, removal, replace
from postroom.dns.judging.judgement import Cause, Evidence
from postroom.dns.names import is_within
from postroom.dns.presets import identify, title_of
from postroom.dns.requirements import CNAMEWanted
from postroom.dns.texts.quoting import quoted

#: Longest circle that is followed.
_CHAIN_LIMIT = 8
_ESCAPED = re.compile(r"\\([0-9]{3})|\\(.)")
_AROUND = re.compile(r"^(?:[a-z]{2,8}:/{0,2})?[\"' ]*|[\"' /.]*$")


def _chain(case: Case) -> list[str]:
    """The name and the CNAME targets that follow, as far as they were asked for."""
    chain = [case.planned.name]
    while len(chain) <= _CHAIN_LIMIT:
        answer = case.at(chain[-1], RecordType.CNAME)
        if answer is None or not answer.values:
            break
        chain.append(min(answer.values))
        if chain[-1] in chain[:-1]:
            break
    return chain


def probes(case: Case) -> Iterable[Probe]:
    """Follow a CNAME that may lead in a circle: within the zone, where names of the user are."""
    wanted, target = case.planned.wanted, alias_of(case)
    if not isinstance(wanted, CNAMEWanted) or target is None or target == wanted.target:
        return
    last = _chain(case)[-1]
    if case.apex is not None and is_within(last, case.apex):
        yield Probe(1, Question(last, RecordType.CNAME))


def causes(case: Case) -> Iterable[Cause]:
    wanted, target = case.planned.wanted, alias_of(case)
    if not isinstance(wanted, CNAMEWanted) or target is None:
        return
    if target == wanted.target:
        # The CNAME is right, but the provider may have nothing at its target.
        answers = [case.at(wanted.target, kind) for kind in behind(wanted)]
        if any(answer is not None and answer.outcome is Outcome.NX_DOMAIN for answer in answers):
            message = (
                f"The CNAME at {case.planned.name} is as required, but its target "
                f"{wanted.target} does not exist: the provider has removed it, or it is misspelt "
                "in the spec."
            )
            shows = Question(wanted.target, behind(wanted)[0])
            yield Cause(Code.CNAME_DANGLING, message, external(), Evidence.SHOWN, shows)
        return
    for code, message, evidence in _explained(case, wanted, target):
        gone = records_to_remove(case, removal(case.planned.name, RecordType.CNAME, (target,)))
        yield Cause(code, message, with_removed(replace(case.planned, ()), gone), evidence)


def _explained(
    case: Case, wanted: CNAMEWanted, target: str
) -> Iterator[tuple[Code, str, Evidence]]:
    """Yield what is known of a wrong target: (code, sentence, evidence)."""
    said = f"The CNAME at {case.planned.name} points to {quoted(target)}"
    zones = [zone for zone in (case.apex, case.domain) if zone is not None]
    if any(target == f"{wanted.target}.{zone}" for zone in zones):
        message = f"{said}: the DNS host has added the zone to the target."
        yield Code.CNAME_TARGET_DOUBLED, message, Evidence.PROVEN
        return
    chain = _chain(case)
    if chain[-1] in chain[:-1]:
        yield Code.CNAME_LOOP, f"{said}, which leads in a circle.", Evidence.PROVEN
        return
    if meant(target) == wanted.target:
        if any(match[1] and int(match[1]) > 127 for match in _ESCAPED.finditer(target)):
            message = f"{said}: a name in DNS needs its xn-- form."
            yield Code.IDN_ULABEL, message, Evidence.PROVEN
        else:
            message = f"{said}: only the name of the target belongs there."
            yield Code.CNAME_TARGET_WRONG, message, Evidence.PROVEN
        return
    ends = [case.at(case.planned.name, kind) for kind in behind(wanted)]
    if any(answer is not None and answer.outcome is Outcome.NX_DOMAIN for answer in ends):
        # Where they begin to differ is told if it is no more than a slip of the hand.
        start, tail = first_difference(target, wanted.target), 0
        room = min(len(target), len(wanted.target)) - start
        while tail < room and target[-1 - tail] == wanted.target[-1 - tail]:
            tail += 1
        changed = max(len(target), len(wanted.target)) - start - tail
        place = f": it differs from {wanted.target} at character {start + 1}"
        detail = place if changed <= 2 else ""
        message = f"{said}, which does not exist{detail}."
        yield Code.CNAME_DANGLING, message, Evidence.SHOWN
        return
    owner, title = identify(target), title_of(target)
    if owner is not None and owner == identify(wanted.target):
        message = f"{said}, which is of {title} too, but of another account, region or key."
        yield Code.CNAME_TARGET_OTHER_ACCOUNT, message, Evidence.SHOWN
    elif owner is not None:
        message = f"{said}, which belongs to {title}."
        yield Code.CNAME_TARGET_OTHER_PROVIDER, message, Evidence.SHOWN


def meant(target: str) -> str:
    """Read a target as its author meant it: without URL and quotes, in A-label form."""
    octets = _ESCAPED.sub(lambda match: chr(int(match[1])) if match[1] else match[2], target)
    bare = _AROUND.sub("", octets)
    if bare.isascii():
        return bare
    try:
        text = bare.encode("latin-1").decode("utf-8")
        return idna.encode(text, uts46=True).decode("ascii").lower()
    except (UnicodeError, idna.IDNAError):
        return bare


FAMILY = CauseFamily(probes, causes)
