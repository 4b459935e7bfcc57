# SPDX-License-Identifier: Apache-2.0
"""The parent's point of view: which servers it names for a zone, and whether it vouches for it."""

import asyncio
from collections.abc import Sequence

from postroom.dns.answers import Answer, Delegation, Outcome, Question, RecordType
from postroom.dns.asking.authority import AuthorityView, speaks_for
from postroom.dns.asking.retrying import Heard, RetryingClient
from postroom.dns.asking.wire import View, authority, is_referral
from postroom.dns.asking.zones import considered
from postroom.dns.names import and_ancestors, canonical


class ParentView:
    """Asks the servers of the zone above a zone."""

    def __init__(self, authorities: AuthorityView, client: RetryingClient) -> None:
        self._authorities, self._client = authorities, client

    async def delegation(self, question: Question) -> Delegation | Answer:
        """Return what the parent says of a zone (asked for its NS), or what kept us from it.

        NX_DOMAIN or NO_DATA with `authoritative` is the parent saying that there is no such zone.
        """
        apex = question.name
        above = list(and_ancestors(apex))[1:]
        if not above:
            return Answer(question, Outcome.REFUSED)
        parent = await self._authorities.locate(above[0])
        if isinstance(parent, Answer):
            return Answer(question, parent.outcome, server=parent.server, errors=parent.errors)
        if not parent.addresses:
            return Answer(question, Outcome.DENIED)
        if not self._authorities.reach.may_ask():
            return Answer(question, Outcome.TIMEOUT)

        def of_parent(heard: Heard) -> bool:
            return speaks_for(heard, parent.zone.apex)

        def refers(heard: Heard) -> bool:
            return bool(_named(heard, apex)) or of_parent(heard)

        signers = Question(apex, RecordType.DS)
        referral, signing = await asyncio.gather(
            self._client.ask(parent.addresses, question, View.NAMESERVER, refers),
            self._client.ask(parent.addresses, signers, View.NAMESERVER, of_parent),
        )
        if referral.usable is None:
            return referral.without_authority().answer(question)
        named = considered(_named(referral.usable, apex))
        if not named:
            return referral.usable.answer
        signed = None  # the parent did not say whether it has a DS
        if signing.usable is not None:
            signed = signing.usable.answer.outcome is Outcome.FOUND
        servers = await self._authorities.named(apex, named)
        return Delegation(parent.zone.apex, named, signed, servers)


def _named(heard: Heard, apex: str) -> Sequence[str]:
    """The servers that a referral to the zone names, or the zone itself where it stands there."""
    if isinstance(heard.reply, Outcome):
        return ()
    if heard.answer.values and heard.answer.authoritative:
        return heard.answer.values
    if not is_referral(heard.reply):
        return ()
    return [
        canonical(str(rdata))
        for owner, rrset in authority(heard.reply, RecordType.NS)
        if owner == apex
        for rdata in rrset
    ]
