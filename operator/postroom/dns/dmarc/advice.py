# SPDX-License-Identifier: Apache-2.0
"""Advice on a DMARC policy: what works, but not as well as it could."""

from collections.abc import Iterator
from dataclasses import dataclass

from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns.dmarc.record import AppliesTo, PolicyRecord, PublicSuffixFlag, strictness
from postroom.dns.finding_codes import Code


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What the record alone does not tell.

    `organisational` is whether it stands at the organisational domain, where sp= and np= count.
    `previous` is the policy that applied before, None where there was none. `people` is whether
    people write mail from the domain, to mailing lists and through forwarders, rather than
    programs.
    """

    organisational: bool = True
    previous: DMARCPolicy | None = None
    people: bool = False


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The code of a finding, and a whole sentence about the record that says what to do."""

    code: Code
    sentence: str


def advise(record: PolicyRecord, circumstances: Circumstances) -> tuple[Recommendation, ...]:
    """What could be better about a record that receivers apply, what matters most first."""
    if record.problem is not None:
        return ()
    return tuple(_advice(record, circumstances))


def on_change(wanted: DMARCPolicy, circumstances: Circumstances) -> tuple[Recommendation, ...]:
    """What to think of before a policy is published (RFC 9989 section 5.1)."""
    if wanted is DMARCPolicy.REJECT and circumstances.previous in (None, DMARCPolicy.NONE):
        sentence = (
            "The policy goes to reject at once: publish p=none with rua= first, read the reports, "
            "then go to quarantine and reject."
        )
        return (Recommendation(Code.DMARC_POLICY_JUMP, sentence),)
    return ()


def _advice(record: PolicyRecord, circumstances: Circumstances) -> Iterator[Recommendation]:
    if record.psd is PublicSuffixFlag.YES:
        sentence = (
            "psd=y declares a registry, so each name below counts as an organisation of its own: "
            "take it out unless names are registered here."
        )
        yield Recommendation(Code.DMARC_PSD, sentence)
    if record.testing and record.p is not DMARCPolicy.NONE:
        applied = record.policy.value
        sentence = f"t=y makes receivers apply {applied}: take it out when the tests are over."
        yield Recommendation(Code.DMARC_TEST_MODE, sentence)
    if circumstances.people and record.policy is DMARCPolicy.REJECT:
        sentence = (
            "p=reject loses mail that people send to mailing lists and through forwarders "
            "(RFC 9989 section 7.4): prefer quarantine for a domain that people write from."
        )
        yield Recommendation(Code.DMARC_REJECT_PEOPLE, sentence)
    yield from _subdomains(record, circumstances)
    if not any(uri.valid for uri in record.aggregate):
        if record.p is DMARCPolicy.NONE:
            sentence = "p=none without rua= does nothing: add rua= to get reports."
            yield Recommendation(Code.DMARC_NONE_WITHOUT_RUA, sentence)
        else:
            sentence = "Without rua= nobody tells you which of your mail fails: add it."
            yield Recommendation(Code.DMARC_RUA_ABSENT, sentence)
    if any(uri.size for uri in (*record.aggregate, *record.failure)):
        sentence = "RFC 9989 receivers ignore the size behind ! in a report address: take it out."
        yield Recommendation(Code.DMARC_URI_SIZE, sentence)
    if record.removed:
        names = [tag.name for tag in record.removed]
        hint = "; t=y replaces pct below 100" if "pct" in names else ""
        sentence = f"RFC 9989 receivers ignore {', '.join(names)}{hint}: take it out."
        yield Recommendation(Code.DMARC_REMOVED_TAGS, sentence)
    for problem in record.problems:
        what = f"{problem.tag}= {problem.sentence}" if problem.tag else f"a part {problem.sentence}"
        sentence = f"Receivers ignore a mistake at character {problem.position + 1}: {what}."
        yield Recommendation(Code.DMARC_IGNORED_TAG, sentence)


def _subdomains(record: PolicyRecord, circumstances: Circumstances) -> Iterator[Recommendation]:
    if record.fallen_back or record.p is None:
        return
    if not circumstances.organisational:
        if record.sp is not None or record.np is not None:
            sentence = "sp= and np= count only at the organisational domain: put them there."
            yield Recommendation(Code.DMARC_SP_IGNORED, sentence)
        return
    for reach, policy in (
        (AppliesTo.SUBDOMAIN, record.sp),
        (AppliesTo.MISSING_SUBDOMAIN, record.np),
    ):
        if policy is not None and strictness(policy) < strictness(record.p):
            sentence = (
                f"{reach.value}={policy.value} is weaker than p={record.p.value}: who cannot forge "
                "the domain forges a subdomain. Raise it, or take it out."
            )
            yield Recommendation(Code.DMARC_SP_WEAKER, sentence)
