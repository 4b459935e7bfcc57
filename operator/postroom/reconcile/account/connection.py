# SPDX-License-Identifier: Apache-2.0
"""Whether somebody else's address may be relied on: not while its account is disconnected."""

from __future__ import annotations

from typing import cast

from postroom.api.names import Kind
from postroom.api.resource import EmailAccount
from postroom.reconcile import indexes
from postroom.reconcile.world import World


async def disconnected_at(address: str, namespace: str, world: World) -> str | None:
    """Name the account of a namespace that is for an address, if it is disconnected."""
    found = await world.find(Kind.EMAIL_ACCOUNT, namespace, indexes.by_address(address))
    if not found:
        return None
    holder = cast("EmailAccount", min(found, key=indexes.age))
    return holder.metadata.name if holder.spec.disconnected else None


def fallback_sentence(fallback: str, account: str) -> str:
    """The sentence on a fallback sender as which nobody is to send."""
    return (
        f"spec.fallbackSender is not used: EmailAccount {account}, which is for {fallback}, is "
        "disconnected. Name another address, or set spec.connection of that account to Connected."
    )
