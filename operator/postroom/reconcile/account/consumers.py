# SPDX-License-Identifier: Apache-2.0
"""One application for each address: which addresses of an account belong to another's."""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from postroom.api.conditions import ConditionType, Verdict
from postroom.api.identities import IdentityState
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount
from postroom.mail.identities.judging import Judgement
from postroom.reconcile import indexes
from postroom.reconcile.signing_in.references import reference_to
from postroom.reconcile.status.assessment import failed
from postroom.reconcile.tenancy.addresses import Contention
from postroom.reconcile.world import World


def references_to(addresses: Iterable[str]) -> frozenset[str]:
    """What must bring an account back that is to send as these addresses, too."""
    return frozenset(
        reference_to(Kind.EMAIL_ACCOUNT, index)
        for address in addresses
        for index in (indexes.by_address(address), indexes.by_identity(address))
    )


async def taken(
    resource: EmailAccount, addresses: Iterable[str], world: World
) -> Mapping[str, Judgement]:
    """Refuse those of the addresses that another account of the namespace keeps for its own
    application; by folded address.

    The account that is for an address goes before those that have it as an identity, and among
    those the older one. An account that is disconnected keeps nothing, nor does one that is refused
    its own address, and so sends as nobody.
    """
    refused: dict[str, Judgement] = {}
    own, mine = resource.metadata, resource.spec.consumer
    for address in addresses:
        for account in await _in_order(address, own.namespace, world):
            if account.metadata.name == own.name:
                break
            holder = account.spec.consumer
            if holder is None or account.spec.disconnected:
                continue
            if mine is None or holder.name != mine.name:
                refused[address.lower()] = Judgement(
                    IdentityState.REJECTED,
                    None,
                    Reason.CONSUMER_CONFLICT,
                    f"The address belongs to the application {holder.name} (spec.consumer of "
                    f"EmailAccount {account.metadata.name}), and one application alone uses an "
                    "address: remove it here, or name the same consumer.",
                )
            break
    return refused


async def fallback_refusal(resource: EmailAccount, fallback: str, world: World) -> Verdict | None:
    """Why an account may not send as its fallback sender, whatever is verified; None: it may."""
    namespace, index = resource.metadata.namespace, indexes.by_address(fallback)
    found = await world.find(Kind.EMAIL_ACCOUNT, namespace, index)
    holder = cast("EmailAccount", min(found, key=indexes.age)) if found else None
    if holder is not None and holder.spec.disconnected:
        return failed(
            ConditionType.DEPENDENCIES_READY,
            Reason.FALLBACK_SENDER_DISCONNECTED,
            f"spec.fallbackSender is not used: EmailAccount {holder.metadata.name}, which is for "
            f"{fallback}, is disconnected. Name another address, or set spec.connection of that "
            "account to Connected.",
        )
    refused = (await taken(resource, [fallback], world)).get(fallback.lower())
    if refused is None:
        return None
    return failed(
        ConditionType.DEPENDENCIES_READY,
        refused.reason,
        f"spec.fallbackSender is not used. {refused.message}",
    )


async def _is_refused(account: EmailAccount, world: World) -> bool:
    """Whether another account, of this namespace or another, keeps the address of this one."""
    index = indexes.by_address(account.spec.address)
    rivals = await world.find(Kind.EMAIL_ACCOUNT, account.metadata.namespace, index)
    if any(indexes.age(rival) < indexes.age(account) for rival in rivals):
        return True
    return world.addresses.contention(account.key, world.claims) is Contention.LOST


async def _in_order(address: str, namespace: str, world: World) -> list[EmailAccount]:
    """The accounts that send as an address, whoever goes before first."""
    ordered: dict[str, EmailAccount] = {}
    for index in (indexes.by_address(address), indexes.by_identity(address)):
        found = await world.find(Kind.EMAIL_ACCOUNT, namespace, index)
        for account in sorted(cast("Sequence[EmailAccount]", found), key=indexes.age):
            if not await _is_refused(account, world):
                ordered.setdefault(account.metadata.name, account)
    return list(ordered.values())
