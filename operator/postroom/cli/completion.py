# SPDX-License-Identifier: Apache-2.0
"""What a shell offers while somebody types: names of objects, namespaces and providers.

Whatever goes wrong on the way offers nothing: a shell has nowhere to say it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import typer

from postroom.api.names import Kind

#: Seconds that a cluster has to answer; whoever types does not wait longer.
_PATIENCE = 3.0


def _looked_up(ctx: typer.Context, look: Callable[[Any], Awaitable[Iterable[str]]]) -> list[str]:
    """What is asked of the cluster that the words so far name."""

    async def ask() -> list[str]:
        from postroom.controller.client import connected

        where = ctx.params.get("kubeconfig"), ctx.params.get("context")
        async with asyncio.timeout(_PATIENCE), connected(*where, "postroom-completion") as api:
            return sorted(set(await look(api)))

    try:
        return asyncio.run(ask())
    except Exception:
        return []


def names(ctx: typer.Context, kind: Kind) -> list[str]:
    """The objects of a kind, where the words so far look for them."""

    async def look(api: Any) -> Iterable[str]:
        everywhere = ctx.params.get("all_namespaces")
        place = None if everywhere else ctx.params.get("namespace") or api.namespace
        return [key.name for key in await api.list_metadata(kind, place)]

    return _looked_up(ctx, look)


def beginning(words: Iterable[str], incomplete: str) -> list[str]:
    """The words that go on from what is typed."""
    return [word for word in words if word.startswith(incomplete)]


def accounts(ctx: typer.Context, incomplete: str) -> list[str]:
    """EmailAccounts by name."""
    return beginning(names(ctx, Kind.EMAIL_ACCOUNT), incomplete)


def domains(ctx: typer.Context, incomplete: str) -> list[str]:
    """SendingDomains by name."""
    return beginning(names(ctx, Kind.SENDING_DOMAIN), incomplete)


def namespaces(ctx: typer.Context, incomplete: str) -> list[str]:
    """Namespaces of the cluster."""

    async def look(api: Any) -> Iterable[str]:
        answer = await api.request("GET", "/api/v1/namespaces")
        return [item["metadata"]["name"] for item in answer.get("items") or ()]

    return beginning(_looked_up(ctx, look), incomplete)


def providers(incomplete: str) -> list[str]:
    """Providers that there are presets of DNS records for."""
    from postroom.dns.presets.load import providers as known

    return beginning(known(), incomplete)
