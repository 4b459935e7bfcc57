# SPDX-License-Identifier: Apache-2.0
"""The tree walk of DMARC (RFC 9989 section 4.10) over what was seen."""

from postroom.dns import dmarc
from postroom.dns.answers import Answer, RecordType
from postroom.dns.judging.seen import Seen
from postroom.dns.requirements import VALUE_LIMIT, DomainPlan, PlannedRecord

_PREFIX = "_dmarc."


def domain_of(planned: PlannedRecord) -> str:
    """Return the domain that a DMARC record is for."""
    return planned.name.removeprefix(_PREFIX)


def sending_identifiers(plan: DomainPlan) -> tuple[dmarc.PlannedIdentifier, ...]:
    """Return the domains besides the sending domain itself that mail will be authenticated with."""
    made = {
        record.name
        for record in plan.records
        if record.id in ("return-path", "return-path-spf")
        or record.id.startswith("return-path-mx-")
    }
    return tuple(dmarc.PlannedIdentifier(dmarc.Mechanism.SPF, domain) for domain in sorted(made))


def walk(domain: str, seen: Seen) -> dict[str, Answer]:
    """Return what was seen at the names of a tree walk."""
    asked = ((name, seen.get(name, RecordType.TXT)) for name in dmarc.walk_names(domain))
    return {name: answer for name, answer in asked if answer is not None}


def discover(domain: str, seen: Seen) -> dmarc.Discovery:
    """Walk the tree from a domain over what was seen."""
    about = (answer for answer in seen.answers.values() if answer.question.name == domain)
    known = (dmarc.existence(answer) for answer in about)
    exists = next((existence for existence in known if existence is not None), None)
    return dmarc.discover(domain, walk(domain, seen), exists)


def with_parents(value: str, found: dmarc.Discovery) -> str:
    """Add to a record that is to be published what a parent's asks of the domain until then.

    Nothing of that counts for the domain any more once a record of its own stands there. One that
    would be longer than any record may be comes back as it is.
    """
    made = whole_with_parents(value, found)
    return made if len(made) <= VALUE_LIMIT else value


def whole_with_parents(value: str, found: dmarc.Discovery) -> str:
    """Add all of what a parent's record asks for, however long that is."""
    above = next((step for step in found.steps if step.domain == found.policy_domain), None)
    if found.source is not dmarc.PolicySource.INHERITED or found.policy is None or above is None:
        return value
    organisational = found.organisational_domain == found.domain
    return dmarc.with_inherited(
        value, above.text or "", found.policy, organisational=organisational
    )
