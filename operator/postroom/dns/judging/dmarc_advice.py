# SPDX-License-Identifier: Apache-2.0
"""Advice on a DMARC record that receivers apply: what works, but not as well as it could."""

from collections.abc import Iterator

from postroom.api.findings import Finding
from postroom.api.sendingdomain import Purpose
from postroom.dns import dmarc
from postroom.dns.answers import RecordType
from postroom.dns.finding_codes import Code
from postroom.dns.findings import finding
from postroom.dns.judging.dmarc_walk import discover, domain_of, sending_identifiers
from postroom.dns.judging.judgement import Context, where
from postroom.dns.judging.seen import Seen
from postroom.dns.requirements import PlannedRecord
from postroom.dns.texts.quoting import quoted


def advice(
    planned: PlannedRecord, seen: Seen, context: Context, record: dmarc.PolicyRecord
) -> Iterator[Finding]:
    """What works, but not as well as it could: the first of each kind."""
    domain = domain_of(planned)
    author = discover(domain, seen)
    circumstances = dmarc.Circumstances(
        organisational=author.organisational_domain == domain, people=context.plan.people
    )
    told: dict[Code, str] = {}
    aliases = seen.at(planned.name, RecordType.TXT).aliases
    if aliases:
        told[Code.DMARC_DELEGATED] = (
            f"The {where(planned)} is reached through a CNAME to {quoted(aliases[0])}: who runs "
            "that name sets the policy."
        )
    for hint in dmarc.advise(record, circumstances):
        told.setdefault(hint.code, f"In the {where(planned)}: {hint.sentence}")
    # Whether what mail will be authenticated with belongs to the From domain.
    identifiers = sending_identifiers(context.plan)
    walks = {identifier.domain: discover(identifier.domain, seen) for identifier in identifiers}
    for identifier in identifiers:
        found = dmarc.align(author, identifier, walks)
        if found.aligned is False and found.why is not None:
            told[Code.DMARC_ALIGN_SPF] = (
                f"The return path {identifier.domain} does not align with {author.domain} "
                f"({_WHY[found.why]}), so that SPF cannot pass DMARC; DKIM has to."
            )
    if not any(record.purpose is Purpose.DKIM for record in context.plan.records):
        told[Code.DMARC_ALIGN_DKIM] = (
            f"No DKIM key of {author.domain} is planned, so that DMARC depends on SPF alone, which "
            "forwarding breaks: sign with the domain too."
        )
    partial = [tag.value for tag in record.removed if tag.name == "pct" and tag.value != "100"]
    if partial and Code.DMARC_REMOVED_TAGS in told:
        # Of the removed tags, pct= alone has an effect, at old receivers.
        told[Code.DMARC_PCT_IGNORED] = (
            f"RFC 9989 receivers ignore pct={quoted(partial[0])}, and apply the policy to all "
            "mail: use t=y while you test."
        )
        if len(record.removed) == 1:
            del told[Code.DMARC_REMOVED_TAGS]
    for code, message in told.items():
        yield finding(code, planned.id, message)


def by_suffix_list(domain: str, found: dmarc.Discovery) -> str | None:
    """Tell that receivers from before RFC 9989 apply another policy; None where they do not.

    Only where the domain has no record of its own can that be.
    """
    differing = dmarc.disagreement(domain, found)
    if differing is None or differing.policies_differ is False:
        return None
    return (
        f"Receivers that use the Public Suffix List take {differing.suffix_list} for the "
        f"organisational domain of {domain}, RFC 9989 takes {differing.walk}: they may apply "
        "different policies. A record of its own ends that."
    )


_WHY = {
    dmarc.Misalignment.STRICT_MODE: "aspf=s wants the very same domain",
    dmarc.Misalignment.OTHER_ORGANISATION: "it belongs to another organisation",
    dmarc.Misalignment.SEPARATED_BY_RECORD: "a record with psd=n separates them",
    dmarc.Misalignment.NO_COMMON_RECORD: "the domain that they share has no DMARC record",
    dmarc.Misalignment.PUBLIC_SUFFIX: "a public suffix stands between them",
}
