# SPDX-License-Identifier: Apache-2.0
"""Advice to send bulk mail from a subdomain, where specs declare it for an organisation's own
domain. How much is really sent nobody knows here, and nothing is concluded from it."""

from collections.abc import Iterator
from typing import cast

from postroom.api.findings import FINDING_LIMIT, Finding, Fix, FixAction
from postroom.api.names import Kind
from postroom.api.profile import Purpose
from postroom.api.resource import EmailAccount, SendingDomain
from postroom.dns import dmarc, findings
from postroom.dns.finding_codes import Code
from postroom.reconcile import indexes
from postroom.reconcile.world import World

#: So many accounts are named.
_NAMED = 5


async def advice(resource: SendingDomain, world: World) -> tuple[Finding, ...]:
    """The one finding on a domain that is its organisation's own and has bulk mail declared."""
    domain, namespace = resource.spec.domain, resource.metadata.namespace
    if dmarc.organisational_domain(domain) != domain or dmarc.is_shared(domain):
        return ()
    found = await world.find(Kind.EMAIL_ACCOUNT, namespace, indexes.by_bulk_of(domain))
    accounts = [cast("EmailAccount", each) for each in found]
    declared = ", ".join(_declarations(resource, accounts))
    if not declared:
        return ()
    subdomain = f"news.{domain}"
    message = (
        f"{domain} is an organisation's own domain, and bulk mail is declared for it: {declared}. "
        "Receivers that keep a reputation by domain count it for all mail of the domain."
    )
    instruction = (
        f"Send it from a subdomain, such as {subdomain}: create a SendingDomain for that, and an "
        "EmailAccount for an address of it."
    )
    fix = Fix(action=FixAction.EXTERNAL, instruction=instruction)
    told = findings.finding(Code.BULK_FROM_APEX, "domain", message[:FINDING_LIMIT], fix)
    return (told,)


def _declarations(resource: SendingDomain, accounts: list[EmailAccount]) -> Iterator[str]:
    """Where it is declared: in the spec itself, and in those of accounts, the first few by name."""
    if resource.spec.bulk_sender_profiles:
        yield "in spec.bulkSenderProfiles"
    for account in accounts[:_NAMED]:
        by_purpose = account.spec.purpose is Purpose.NEW_BUSINESS
        field = "spec.purpose NewBusiness" if by_purpose else "spec.sendLimits.daily"
        yield f"by EmailAccount {account.metadata.name} ({field})"
    if len(accounts) > _NAMED:
        yield f"and by {len(accounts) - _NAMED} more"
