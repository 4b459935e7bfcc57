# SPDX-License-Identifier: Apache-2.0
"""The provider of a domain for which none is named: the one that receives its mail."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from postroom.cli import described
from postroom.cli.options import say
from postroom.controller.network import reach
from postroom.dns.answers import Asker, Question, RecordType
from postroom.dns.names import canonical
from postroom.dns.presets.identify import identify
from postroom.dns.presets.load import providers
from postroom.settings import Settings


class Guess(NamedTuple):
    """A provider, the mail exchange that speaks for it, and whether that is all it takes.

    `complete` is False where the provider issues values that only its customer knows.
    """

    provider: str
    exchange: str
    complete: bool

    def sentence(self, domain: str) -> str:
        """What is said of it, and what to do where it is wrong."""
        seen = f"mail for {domain} goes to {self.exchange}, so it is"
        if self.complete:
            return (
                f"{seen} checked as --provider {self.provider}: name another one if it sends "
                f"through somebody else, or --provider {described.NO_PROVIDER}."
            )
        return (
            f"{seen} probably {self.provider}'s: add --provider {self.provider} and with --set "
            "the values that it issued, to have its records checked, too."
        )


async def guess(domain: str, asker: Asker) -> Guess | None:
    """Return the provider of all known mail exchanges; None where there is none, or several."""
    answer = await asker.recursive(Question(canonical(domain), RecordType.MX))
    hosts = [value.partition(" ")[2] for value in answer.values]
    exchanges = {host: identify(host) for host in hosts if host}
    named = {provider for provider in exchanges.values() if provider and provider in providers()}
    if len(named) != 1:
        return None
    (provider,) = named
    exchange = min(host for host, owner in exchanges.items() if owner == provider)
    found = described.read([domain], "default", provider, ())
    described.complain_of_parameters(found)
    return Guess(provider, exchange, not found.complaints)


def provider_of(
    targets: Sequence[str],
    named: str | None,
    settings: Settings,
    *,
    verb: str = "check",
    asks: bool = True,
    says: bool = True,
) -> str | None:
    """The provider that is named, or of a domain guessed, where DNS may be asked; a guess is said
    on standard error."""
    if named is not None and named.lower() == described.NO_PROVIDER:
        return None
    if named is not None or not asks or not described.is_domain(targets):
        return named
    found = asyncio.run(_asked(targets[0], settings))
    if found is not None and says:
        say(f"postroom {verb}: {found.sentence(targets[0])}", errors=True)
    return found.provider if found is not None and found.complete else None


async def _asked(domain: str, settings: Settings) -> Guess | None:
    outbound = reach(settings, api_server="")
    try:
        return await guess(domain, outbound.dns)
    finally:
        await outbound.close()
