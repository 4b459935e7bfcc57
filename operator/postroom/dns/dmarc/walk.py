# SPDX-License-Identifier: Apache-2.0
"""The DNS tree walk (RFC 9989 section 4.10): who a domain belongs to, and which policy applies."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from postroom.api.sendingdomain import DMARCPolicy
from postroom.dns.answers import Answer, Outcome
from postroom.dns.dmarc.record import AppliesTo, PolicyRecord, PublicSuffixFlag, parse, select
from postroom.dns.names import can_be_asked

#: RFC 9989 section 4.10: a domain of this many labels or more is cut to one less.
LABEL_LIMIT = 8
PREFIX = "_dmarc."


class PolicySource(StrEnum):
    """Where the policy of a domain comes from."""

    OWN = "Own"
    INHERITED = "Inherited"
    ABSENT = "Absent"  # no record anywhere, or one that receivers do not apply
    UNKNOWN = "Unknown"  # DNS could not be asked


@dataclass(frozen=True, slots=True)
class Step:
    """One name of the walk, without the ``_dmarc`` label, and what stands there.

    `record` is None where there is none, where several were discarded (`count` > 1), and where
    the name could not be asked (`failed`).
    """

    domain: str
    record: PolicyRecord | None = None
    text: str | None = None
    count: int = 0
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Discovery:
    """What the walk from a domain yields.

    `organisational_domain` is None where a name that decides it could not be asked. `record` is
    the record that applies, published at `policy_domain`; `policy` what receivers then do, after
    test mode, None where no DMARC applies or it is not known; `reach` the tag it is taken from.
    `several` are the domains whose records are discarded because there are several, and `failed`
    those that could not be asked; both in the order of the walk.
    """

    domain: str
    source: PolicySource
    organisational_domain: str | None
    policy_domain: str | None = None
    record: PolicyRecord | None = None
    policy: DMARCPolicy | None = None
    reach: AppliesTo | None = None
    steps: tuple[Step, ...] = ()

    @property
    def several(self) -> tuple[str, ...]:
        return tuple(step.domain for step in self.steps if step.count > 1)

    @property
    def failed(self) -> tuple[str, ...]:
        return tuple(step.domain for step in self.steps if step.failed)

    @property
    def records(self) -> Mapping[str, PolicyRecord]:
        """The single records that were found, by domain."""
        return {step.domain: step.record for step in self.steps if step.record is not None}


def walk_domains(domain: str) -> tuple[str, ...]:
    """Return the domains of the walk, at most eight, from the start to the top-level domain."""
    labels = domain.split(".")
    parents = range(max(len(labels) - LABEL_LIMIT + 1, 1), len(labels))
    return (domain, *(".".join(labels[index:]) for index in parents))


def walk_names(domain: str) -> tuple[str, ...]:
    """Return the names to ask for TXT, in the order of the walk."""
    return tuple(f"{PREFIX}{name}" for name in walk_domains(domain))


def existence(answer: Answer) -> bool | None:
    """Tell from any answer about a domain itself whether it exists; None if that is not known.

    Only NXDOMAIN makes it non-existent (RFC 9989 section 3.2, RFC 8020).
    """
    return answer.outcome is not Outcome.NX_DOMAIN if answer.conclusive else None


def discover(domain: str, answers: Mapping[str, Answer], exists: bool | None = True) -> Discovery:
    """Evaluate the walk from a domain over the answers to `walk_names`.

    A name without an answer counts as one that could not be asked, unless the walk stops before.
    `exists` is what `existence` tells of the domain: it decides between sp= and np=.
    """
    steps = tuple(_walk(domain, answers))
    organisation = _organisation(domain, steps)
    found = Discovery(domain, PolicySource.ABSENT, organisation, steps=steps)
    own = steps[0]
    if own.record is not None:
        return _applied(found, own, AppliesTo.SELF)
    if any(step.failed for step in steps):
        return replace(found, source=PolicySource.UNKNOWN)
    # The record of the organisational domain, else that of the public suffix above it.
    with_record = (step for step in steps if step.record is not None)
    inherited = next(
        (step for step in with_record if step.domain == organisation),
        steps[-1] if _is_suffix(steps[-1]) else None,
    )
    record = None if inherited is None else inherited.record
    if inherited is None or record is None:
        return found
    of_missing = record.applied(AppliesTo.MISSING_SUBDOMAIN)
    if exists is None and record.applied(AppliesTo.SUBDOMAIN) is not of_missing:
        return replace(
            found, source=PolicySource.UNKNOWN, policy_domain=inherited.domain, record=record
        )
    reach = AppliesTo.MISSING_SUBDOMAIN if exists is False else AppliesTo.SUBDOMAIN
    return _applied(found, inherited, reach)


def _walk(domain: str, answers: Mapping[str, Answer]) -> Iterator[Step]:
    for name in walk_domains(domain):
        answer = answers.get(f"{PREFIX}{name}")
        if not can_be_asked(f"{PREFIX}{name}"):
            # No query can hold the name, so nothing can stand there.
            yield Step(name)
        elif answer is None or not answer.conclusive:
            yield Step(name, failed=True)
        else:
            texts = select(answer.values)
            text = texts[0] if len(texts) == 1 else None
            record = None if text is None else parse(text)
            yield Step(name, record, text, len(texts))
            if record is not None and record.psd is not PublicSuffixFlag.UNSAID:
                return


def _organisation(domain: str, steps: tuple[Step, ...]) -> str | None:
    """Choose the organisational domain, from the longest name to the shortest (4.10.2)."""
    if any(step.failed for step in steps):
        return None
    found = [step for step in steps if step.record is not None]
    if not found:
        return domain
    last = found[-1]
    # A walk stops at its first psd=y or psd=n, so only the last record can carry one.
    if _is_suffix(last) and last.domain != domain:
        # One label below the public suffix.
        return ".".join(domain.split(".")[-(last.domain.count(".") + 2) :])
    return last.domain


def _is_suffix(step: Step) -> bool:
    return step.record is not None and step.record.psd is PublicSuffixFlag.YES


def _applied(found: Discovery, step: Step, reach: AppliesTo) -> Discovery:
    if step.record is None:
        return found
    policy = step.record.applied(reach)
    own = step.domain == found.domain
    source = PolicySource.OWN if own else PolicySource.INHERITED
    return replace(
        found,
        source=PolicySource.ABSENT if policy is None else source,
        policy_domain=step.domain,
        record=step.record,
        policy=policy,
        reach=step.record.written(reach)[1],
    )
