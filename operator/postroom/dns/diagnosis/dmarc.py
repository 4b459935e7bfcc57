# SPDX-License-Identifier: Apache-2.0
"""Causes at the name for DMARC: another policy stands there, or a CNAME leads away (81 and 82)."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from postroom.api.findings import Fix
from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns import dmarc, spf
from postroom.dns.answers import Answer, Outcome, Question, RecordType
from postroom.dns.diagnosis import fix_contents, synthesis
from postroom.dns.diagnosis.case import Case, CauseFamily, Probe
from postroom.dns.finding_codes import Code
from postroom.dns.judging.dmarc_walk import discover, domain_of, walk, with_parents
from postroom.dns.judging.fixes import create, replacing
from postroom.dns.judging.judgement import Cause, Evidence
from postroom.dns.presets import title_of
from postroom.dns.requirements import DMARCWanted
from postroom.dns.texts.quoting import quoted


def probes(case: Case) -> Iterable[Probe]:
    """A name beside this one, where something else than DMARC is there: is it a wildcard's?"""
    beside = synthesis.invented_sibling(case)
    if beside is not None and _policies(case):
        yield Probe(1, Question(beside, RecordType.TXT))


def causes(case: Case) -> Iterable[Cause]:
    """What stands at the name while no DMARC record does."""
    if not isinstance(case.planned.wanted, DMARCWanted):
        return
    said, records = case.judgement.cause, dmarc.select(case.answer.values)
    if records:
        # A damaged text beside a record counts for nobody, and must not take its place.
        damaged = [value for value in case.answer.values if value not in records]
        if said is not None and any(map(dmarc.looks_like_dmarc, damaged)):
            yield replace(said, evidence=Evidence.PROVEN)
        return
    name, target = case.planned.name, synthesis.alias_of(case)
    if _policies(case):
        how = "."
        if synthesis.from_wildcard(case, RecordType.TXT):
            how = ", which a wildcard record answers for every name."
        elif target is not None:
            how = f", to which the CNAME to {quoted(target)} leads."
        message = f"What stands at {name} is an SPF record{how} Receivers find no DMARC record."
        evidence = (
            Evidence.SHOWN if synthesis.from_wildcard(case, RecordType.TXT) else Evidence.PROVEN
        )
        yield Cause(Code.DMARC_SPF_AT_DMARC, message, _fix(case), evidence)
    if target is not None:
        title = title_of(target)
        owner = f", which belongs to {title}" if title else ""
        message = f"{name} is a CNAME to {quoted(target)}{owner}; no DMARC record stands there."
        yield Cause(Code.DMARC_ON_CNAME, message, _fix(case), Evidence.SHOWN)


def with_policy_kept(case: Case, cause: Cause) -> Cause:
    """Keep in the offered record what a parent's asks of the domain's mail until then.

    Nothing of it counts for the domain any more once a record of its own stands there.
    """
    wanted, fix = case.planned.wanted, cause.fix
    if not isinstance(wanted, DMARCWanted) or fix is None or not fix.value:
        return cause
    if fix.name != case.planned.name:
        return cause
    found = discover(domain_of(case.planned), case.seen)
    if found.source is dmarc.PolicySource.UNKNOWN:
        unseen = (
            "Whether a parent's record asks for more until then could not be looked at: nothing of "
            "it is in the fix."
        )
        return replace(cause, message=f"{cause.message} {unseen}")
    value = with_parents(fix.value, found)
    if value == fix.value or found.policy is None:
        return cause
    aligns = "how strictly it aligns"
    if own := _aligned_otherwise(value, found):
        aligns = f"how strictly it aligns but for {own}, which is said here"
    message = (
        f"{cause.message} The fix keeps what the record of {found.policy_domain} asks for, as it "
        f"applies here until then: p={found.policy.value}, its report addresses, {aligns}, and "
        "what names below get."
    )
    return replace(cause, message=message, fix=fix.model_copy(update={"value": value}))


def _aligned_otherwise(value: str, found: dmarc.Discovery) -> str:
    """The alignment that a record asks for and the parent's does not, as tags; "" for none."""
    record, above = dmarc.parse(value), found.record
    if above is None:
        return ""
    modes = {"adkim": (record.adkim, above.adkim), "aspf": (record.aspf, above.aspf)}
    return " and ".join(f"{tag}={own}" for tag, (own, theirs) in modes.items() if own != theirs)


def with_names_below(case: Case, cause: Cause) -> Cause:
    """Tell what a fix does to others than the domain itself.

    Where that is an organisational domain, or becomes one, names below have its policy as well,
    unless they have their own (RFC 9989 section 4.10.2).
    """
    wanted, fix, planned = case.planned.wanted, cause.fix, case.planned
    if not isinstance(wanted, DMARCWanted) or fix is None or not fix.value:
        return cause
    if fix.name != planned.name:
        return cause
    before = _applied_below(case, case.answer.values)
    after = _applied_below(case, (fix.value,))
    if after is None or dmarc.PolicyRecord(before or DMARCPolicy.NONE, ()).at_least(after):
        return cause
    domain = domain_of(planned)
    message = (
        f"{cause.message} Names below {domain} that have no policy of their own get {after.value} "
        "with it, too: see that their mail passes, or add sp=none."
    )
    return replace(cause, message=message)


def _applied_below(case: Case, values: Sequence[str]) -> DMARCPolicy | None:
    """What names below the domain that have no record of their own get, were these its records;
    None for nothing, and where that is not known."""
    domain = domain_of(case.planned)
    below = synthesis.invented_name(domain)
    own = Question(f"_dmarc.{below}", RecordType.TXT)
    made = {
        **walk(below, case.seen),
        own.name: Answer(own, Outcome.NX_DOMAIN),
        case.planned.name: replace(case.answer, values=tuple(values), outcome=Outcome.FOUND),
    }
    return dmarc.discover(below, made).policy


def _policies(case: Case) -> tuple[str, ...]:
    """The SPF records at a name for DMARC."""
    if not isinstance(case.planned.wanted, DMARCWanted):
        return ()
    return spf.select(case.answer.values)


def _fix(case: Case) -> Fix | None:
    """Put the record in the place of what stands there; what a wildcard answers stands nowhere."""
    if synthesis.from_wildcard(case, RecordType.TXT):
        return create(case.planned, case.judgement.value)
    fix = replacing(case.planned, case.answer, _policies(case), case.judgement.value)
    return fix_contents.with_removed(
        fix, fix_contents.records_to_remove(case, fix.remove if fix is not None else ())
    )


FAMILY = CauseFamily(probes, causes)
