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
from postroom.api.names import Key, Kind
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
        (account.namespace, account.name, use)
        for use, accounts in (await _accounts(resource, world)).items()
        for account in accounts
        if account != resource.key
    ]
    own = sorted(user for user in users if user[0] == namespace)
    named = [
        User(kind=Kind.EMAIL_ACCOUNT.value, name=name, use=use)
        for _, name, use in own[:USERS_LIMIT]
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


async def _accounts(resource: AnyResource, world: World) -> Mapping[Use, Sequence[Key]]:
    """The accounts that use an object, by what they use it for."""
    spec, kind = resource.spec, Kind.EMAIL_ACCOUNT
    name, namespace = resource.metadata.name, resource.metadata.namespace

    def under(index: str) -> Sequence[Key]:
        return [Key(kind, namespace, each) for each in world.names_under(kind, namespace, index)]

    match spec:
        case MailServerSpec():
            return {Use.SERVER: await defaults.keys_behind(cast("MailServer", resource), world)}
        case SendingDomainSpec():
            same = indexes.by_domain(spec.domain)
            rivals = await world.find(Kind.SENDING_DOMAIN, namespace, same)
            if any(indexes.age(rival) < indexes.age(resource) for rival in rivals):
                # The oldest one is for the domain.
                return {}
            found = await world.find(kind, namespace, indexes.by_sender(spec.domain))
            accounts = [cast("EmailAccount", each) for each in found]
            own = [account.key for account in accounts if account.spec.domain == spec.domain]
            others = [account.key for account in accounts if account.spec.domain != spec.domain]
            return {Use.DOMAIN: own, Use.FALLBACK_SENDER: others}
        case EmailAccountSpec():
            return {
                Use.RECEIVER: under(indexes.by_receiver(name)),
                Use.FORWARDING: under(indexes.by_forwarding(name)),
                Use.FALLBACK_SENDER: under(indexes.by_fallback(spec.address)),
            }
        case _:
            return {}
