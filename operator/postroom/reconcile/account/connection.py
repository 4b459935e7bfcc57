# SPDX-License-Identifier: Apache-2.0
"""Whether an account may fall back on an address: not on one that is out of use, nor on one that is
another application's."""

from __future__ import annotations

from typing import cast

from postroom.api.conditions import ConditionType, Verdict
from postroom.api.names import Kind
from postroom.api.reasons import Reason
from postroom.api.resource import EmailAccount
from postroom.reconcile import indexes
from postroom.reconcile.account import consumers
from postroom.reconcile.status.assessment import failed
from postroom.reconcile.world import World

_CONDITION = ConditionType.DEPENDENCIES_READY


async def fallback_refusal(resource: EmailAccount, fallback: str, world: World) -> Verdict | None:
    """Why an account may not send as its fallback sender, whatever is verified; None: it may."""
    namespace, index = resource.metadata.namespace, indexes.by_address(fallback)
    found = await world.find(Kind.EMAIL_ACCOUNT, namespace, index)
    holder = cast("EmailAccount", min(found, key=indexes.age)) if found else None
    if holder is not None and holder.spec.disconnected:
        return failed(
            _CONDITION,
            Reason.FALLBACK_SENDER_DISCONNECTED,
            f"spec.fallbackSender is not used: EmailAccount {holder.metadata.name}, which is for "
            f"{fallback}, is disconnected. Name another address, or set spec.connection of that "
            "account to Connected.",
        )
    taken = await consumers.taken(resource, [fallback], world)
    if (refused := taken.get(fallback.lower())) is None:
        return None
    return failed(_CONDITION, refused.reason, f"spec.fallbackSender is not used. {refused.message}")
