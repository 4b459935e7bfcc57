# SPDX-License-Identifier: Apache-2.0
"""Who uses an object, in its own status: whoever is about to delete or to change it reads it there.

It is told whatever becomes of the object, of one at rest too. Objects of other namespaces are
counted and not named: who may read a status need not know what others have.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast

from postroom.api.emailaccount import EmailAccountSpec
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.fields import Model
from postroom.api.mailserver import MailServerSpec, MailServerStatus
from postroom.api.names import Kind
from postroom.api.resource import AnyResource, EmailAccount, MailServer, Metadata
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.api.status import USERS_LIMIT, Use, User
from postroom.reconcile import defaults, indexes
from postroom.reconcile.signing_in.references import reference_to
from postroom.reconcile.status.outcome import Outcome
from postroom.reconcile.world import World


async def told(resource: AnyResource, outcome: Outcome, world: World) -> Outcome:
    """Return an outcome whose status tells who uses the object, and that brings it back when
    somebody comes or goes."""
    status, namespace = outcome.status, resource.metadata.namespace
    references = outcome.references
    if references:
        # Where a run tells of none, what spec and status declare counts, these among it.
        references |= references_of(resource.spec, resource.metadata)
    if status is None:
        return replace(outcome, references=references)
    users = [
        (account.metadata.namespace, account.metadata.name, use)
        for use, accounts in (await _accounts(resource, world)).items()
        for account in accounts
        if account.key != resource.key
    ]
    named = [
        User(kind=Kind.EMAIL_ACCOUNT.value, name=name, use=use)
        for place, name, use in sorted(users)
        if place == namespace
    ]
    count = len(users)
    if isinstance(status, EmailAccountStatus) and status.consumer is not None:
        named.insert(0, User(kind="Application", name=status.consumer, use=Use.CONSUMER))
        count += 1
    fields: dict[str, object] = {"used_by": named[:USERS_LIMIT], "used_by_count": count}
    if isinstance(status, MailServerStatus):
        fields["accounts"] = count
    return replace(outcome, status=status.model_copy(update=fields), references=references)


def references_of(spec: Model, metadata: Metadata) -> frozenset[str]:
    """Return the indexes by which whoever uses an object comes to be known."""
    name, found = metadata.name, set[str]()
    match spec:
        case MailServerSpec():
            found = {indexes.by_server(name), indexes.by_server(name, metadata.namespace)}
            found |= {indexes.by_server(None)} if spec.default else set()
        case SendingDomainSpec():
            found = {indexes.by_sender(spec.domain)}
        case EmailAccountSpec():
            found = {indexes.by_receiver(name), indexes.by_fallback(spec.address)}
            found.add(indexes.by_forwarding(name))
    return frozenset(reference_to(Kind.EMAIL_ACCOUNT, index) for index in found)


async def _accounts(resource: AnyResource, world: World) -> Mapping[Use, Sequence[AnyResource]]:
    """The accounts that use an object, by what they use it for."""
    spec, metadata = resource.spec, resource.metadata

    async def find(index: str) -> Sequence[AnyResource]:
        return await world.find(Kind.EMAIL_ACCOUNT, metadata.namespace, index)

    match spec:
        case MailServerSpec():
            behind = await defaults.accounts_behind(cast("MailServer", resource), world)
            return {Use.SERVER: [cast("AnyResource", account) for account in behind]}
        case SendingDomainSpec():
            same = indexes.by_domain(spec.domain)
            rivals = await world.find(Kind.SENDING_DOMAIN, metadata.namespace, same)
            if any(indexes.age(rival) < indexes.age(resource) for rival in rivals):
                # The oldest one is for the domain.
                return {}
            found = [
                cast("EmailAccount", each) for each in await find(indexes.by_sender(spec.domain))
            ]
            own = [account for account in found if account.spec.domain == spec.domain]
            return {
                Use.DOMAIN: [cast("AnyResource", account) for account in own],
                Use.FALLBACK_SENDER: [
                    cast("AnyResource", account) for account in found if account not in own
                ],
            }
        case EmailAccountSpec():
            return {
                Use.RECEIVER: await find(indexes.by_receiver(metadata.name)),
                Use.FORWARDING: await find(indexes.by_forwarding(metadata.name)),
                Use.FALLBACK_SENDER: await find(indexes.by_fallback(spec.address)),
            }
        case _:
            return {}
