# SPDX-License-Identifier: Apache-2.0
"""The parent's point of view: which servers it names for a zone, and whether it vouches for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from postroom.dns.answers import Answer, Delegation, Outcome, Question, RecordType
from postroom.dns.asking.authority import AuthorityView, has_authority
from postroom.dns.asking.turns import Heard, Turns
from postroom.dns.asking.wire import View, authority, is_authoritative
from postroom.dns.asking.zones import Servers, considered
from postroom.dns.names import and_ancestors, canonical


class ParentView:
    """Asks the servers of the zone above a zone."""

    def __init__(self, authorities: AuthorityView, turns: Turns) -> None:
        self._authorities, self._turns = authorities, turns

    async def delegation(self, question: Question) -> Delegation | Answer:
        """Return what the parent says of a zone (asked for its NS), or what kept us from it.

        NX_DOMAIN or NO_DATA with `authoritative` is the parent saying that there is no such zone.
        """
        apex = question.name
        parent = await self._parent(apex)
        if isinstance(parent, Answer):
            return Answer(question, parent.outcome, server=parent.server, errors=parent.errors)
        if not parent.addresses:
            return Answer(question, Outcome.DENIED)
        if not self._authorities.reach.may_ask():
            return Answer(question, Outcome.TIMEOUT)
        referral, signed = await asyncio.gather(
            self._nameservers(parent, question), self._signed(parent, apex)
        )
        if isinstance(referral, Answer):
            return referral
        servers = await self._authorities.named(apex, referral)
        return Delegation(parent.zone.apex, referral, signed, servers)

    async def _parent(self, apex: str) -> Servers | Answer:
        above = list(and_ancestors(apex))[1:]
        if not above:
            return Answer(Question(apex, RecordType.NS), Outcome.REFUSED)
        return await self._authorities.locate(above[0])

    async def _nameservers(self, parent: Servers, question: Question) -> tuple[str, ...] | Answer:
        def usable(heard: Heard) -> bool:
            return bool(_named(heard, question.name)) or has_authority(heard)

        found = await self._turns.ask(parent.addresses, question, View.NAMESERVER, usable)
        if found.usable is None:
            return found.without_authority().answer(question)
        return considered(_named(found.usable, question.name)) or found.usable.answer

    async def _signed(self, parent: Servers, apex: str) -> bool | None:
        """Whether the parent has a DS; None where it did not say."""
        found = await self._turns.ask(
            parent.addresses, Question(apex, RecordType.DS), View.NAMESERVER, has_authority
        )
        if found.usable is None:
            return None
        return found.usable.answer.outcome is Outcome.FOUND


def _named(heard: Heard, apex: str) -> Sequence[str]:
    """The servers that a referral to the zone names, or the zone itself where it stands there."""
    if isinstance(heard.reply, Outcome):
        return ()
    if heard.answer.values and heard.answer.authoritative:
        return heard.answer.values
    if is_authoritative(heard.reply):
        return ()
    return [
        canonical(str(rdata))
        for owner, rrset in authority(heard.reply, RecordType.NS)
        if owner == apex
        for rdata in rrset
    ]
