# SPDX-License-Identifier: Apache-2.0
"""Advice to send bulk mail from a subdomain, where specs declare it for an organisation's own
domain. How much is really sent nobody knows here, and nothing is concluded from it."""

from collections.abc import Iterator
from typing import cast

from postroom.api import names, profile, resource
from postroom.api.findings import Finding, Fix, FixAction
from postroom.dns import dmarc, finding_codes, findings
from postroom.reconcile import indexes
from postroom.reconcile.world import World

#: So many accounts are named.
_NAMED = 5


async def advice(domain: resource.SendingDomain, world: World) -> tuple[Finding, ...]:
    """The one finding on a domain that is its organisation's own and has bulk mail declared."""
    name, namespace = domain.spec.domain, domain.metadata.namespace
    if dmarc.organisational_domain(name) != name or dmarc.is_shared(name):
        return ()
    found = await world.find(names.Kind.EMAIL_ACCOUNT, namespace, indexes.by_bulk_of(name))
    accounts = [cast("resource.EmailAccount", each) for each in found]
    declared = ", ".join(_declarations(domain, accounts))
    if not declared:
        return ()
    subdomain = f"news.{name}"
    message = (
        f"{name} is an organisation's own domain, and bulk mail is declared for it: {declared}. "
        "Receivers that keep a reputation by domain count it for all mail of the domain."
    )
    instruction = (
        f"Send it from a subdomain, such as {subdomain}: create a SendingDomain for that, and an "
        "EmailAccount for an address of it."
    )
    fix = Fix(action=FixAction.EXTERNAL, instruction=instruction)
    told = findings.finding(finding_codes.Code.BULK_FROM_APEX, "domain", message, fix)
    return (told,)


def _declarations(
    domain: resource.SendingDomain, accounts: list[resource.EmailAccount]
) -> Iterator[str]:
    """Where it is declared: in the spec itself, and in those of accounts, the first few by name."""
    if domain.spec.bulk_sender_profiles:
        yield "in spec.bulkSenderProfiles"
    for account in accounts[:_NAMED]:
        by_purpose = account.spec.purpose is profile.Purpose.NEW_BUSINESS
        field = "spec.purpose NewBusiness" if by_purpose else "spec.sendLimits.daily"
        yield f"by EmailAccount {account.metadata.name} ({field})"
    if len(accounts) > _NAMED:
        yield f"and by {len(accounts) - _NAMED} more"
