# SPDX-License-Identifier: Apache-2.0
"""Twenty mistakes that users make, each in a world of its own, for both programs to look at.

`code` is the root cause in postroom's catalogue; `words` is a pattern that an error or warning of
the peer must match to count as naming the cause, in whatever words.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.dns_client import asking, look
from bench.dns_peer import Peer, complaints
from bench.dns_server import ServedWorld
from closed_loop.loop import APEX, OTHER_KEY, Stage, healthy
from dnsworld.quirks import QUIRKS
from dnsworld.world import World
from postroom.api.sendingdomain import RecordState


@dataclass(frozen=True)
class Mistake:
    """A mistake that hits one record."""

    name: str
    record: str
    code: str
    words: str
    make: Callable[[Stage], None]


def _quirk(record: str, quirk: str) -> Callable[[Stage], None]:
    return lambda stage: stage.retype(record, quirks=QUIRKS[quirk])


def _retype(record: str, **typed: Any) -> Callable[[Stage], None]:
    return lambda stage: stage.retype(record, **typed)


def _beside(record: str, value: str) -> Callable[[Stage], None]:
    return lambda stage: stage.zone.add(stage.record(record).name, "TXT", value)


def _zone_doubled(stage: Stage) -> None:
    name = stage.record("dkim-s1").name
    stage.retype("dkim-s1", name=name, quirks=QUIRKS["appends-zone"])


def _too_many_lookups(stage: Stage) -> None:
    others = [f"_spf{number}.{stage.provider.domain}" for number in range(10)]
    for name in others:
        stage.world.publish(name, "TXT", "v=spf1 ip4:192.0.2.0/28 -all")
    terms = " ".join(f"include:{name}" for name in (*others, stage.provider.spf))
    stage.retype("spf", value=f"v=spf1 {terms} ~all")


def _null_mx(stage: Stage) -> None:
    for exchange in stage.plan.exchanges:
        stage.unpublish(f"mx-{exchange.host}")
    stage.zone.add(APEX, "MX", "0 .")


def _exchange_is_alias(stage: Stage) -> None:
    host = stage.provider.exchanges[0]
    zone = stage.world.zone_at(host)
    zone.remove(host, "A")
    zone.add(host, "CNAME", stage.provider.exchanges[1])


def _revoked(stage: Stage) -> None:
    stage.retype("dkim-s1", value="v=DKIM1; k=rsa; p=")


_MX1 = "mx-mx1.mailprovider.net"
MISTAKES = (
    Mistake("DKIM: zone doubled in the name", "dkim-s1", "NAME_ZONE_DOUBLED", "", _zone_doubled),
    Mistake("DKIM: key cut at 255", "dkim-s1", "VALUE_TRUNCATED", "",
            _quirk("dkim-s1", "truncates")),
    Mistake("DKIM: key lowercased", "dkim-s1", "VALUE_LOWERCASED", "",
            _quirk("dkim-s1", "lowercases")),
    Mistake("DKIM: another key", "dkim-s1", "DKIM_KEY_OTHER", "",
            _retype("dkim-s1", value=f"v=DKIM1; k=rsa; p={OTHER_KEY}")),
    Mistake("DKIM: revoked", "dkim-s1", "DKIM_REVOKED", "", _revoked),
    Mistake("DKIM: CNAME to a wrong target", "dkim-k1", "CNAME_TARGET_WRONG", "",
            _retype("dkim-k1", value="mx1.mailprovider.net")),
    Mistake("DKIM: zone behind the target", "dkim-k1", "CNAME_TARGET_DOUBLED", "",
            _quirk("dkim-k1", "appends-zone-to-targets")),
    Mistake("DKIM: TXT in place of CNAME", "dkim-k1", "TYPE_TXT_FOR_CNAME", "",
            _retype("dkim-k1", kind="TXT")),
    Mistake("SPF: two records", "spf", "SPF_MULTIPLE", "multiple|more than one|two",
            _beside("spf", "v=spf1 mx ~all")),
    Mistake("SPF: a term misspelt", "spf", "SPF_SYNTAX", "include",
            _retype("spf", value="v=spf1 include=_spf.mailprovider.net ~all")),
    Mistake("SPF: eleven lookups", "spf", "SPF_TOO_MANY", "lookup|10",
            _too_many_lookups),
    Mistake("SPF: the include is missing", "spf", "SPF_MISSING_INCLUDE", "provider",
            _retype("spf", value="v=spf1 ip4:192.0.2.99 ~all")),
    Mistake("SPF: all before the include", "spf", "SPF_INCLUDE_AFTER_ALL", "after|all",
            _retype("spf", value="v=spf1 ~all include:_spf.mailprovider.net")),
    Mistake("SPF: quotes in the value", "spf", "VALUE_QUOTED", "quot",
            _quirk("spf", "adds-quotes")),
    Mistake("DMARC: missing", "dmarc", "DMARC_MISSING", "not exist|no DMARC|not found",
            lambda stage: stage.unpublish("dmarc")),
    Mistake("DMARC: two records", "dmarc", "DMARC_MULTIPLE", "multiple|more than one",
            _beside("dmarc", "v=DMARC1; p=none")),
    Mistake("DMARC: commas for semicolons", "dmarc", "DMARC_SEPARATOR", "comma|;|separat|expected",
            _retype("dmarc", value=f"v=DMARC1, p=quarantine, rua=mailto:dmarc@{APEX}")),
    Mistake("DMARC: under www", "dmarc", "NAME_AT_WWW", "www",
            _retype("dmarc", name="_dmarc.www")),
    Mistake("MX: null MX", _MX1, "MX_NULL", "null|no mail|not accept", _null_mx),
    Mistake("MX: the host is an alias", _MX1, "MX_CNAME", "CNAME|alias", _exchange_is_alias),
    Mistake("Ownership: the token is missing", "ownership", "OWNERSHIP_MISSING", "",
            lambda stage: stage.unpublish("ownership")),
    Mistake("Return path: CNAME missing", "return-path", "CNAME_MISSING", "",
            lambda stage: stage.unpublish("return-path")),
)  # fmt: skip


def mistaken(number: int | None) -> World:
    """Build the world of a mistake; None: the healthy one."""
    stage = healthy()
    if number is not None:
        MISTAKES[number].make(stage)
    return stage.world


@dataclass(frozen=True)
class Verdicts:
    """What both said of a mistake. The peer's part is None where it was not asked."""

    mistake: Mistake
    state: str
    code: str
    has_fix: bool
    peer_noticed: bool | None = None
    peer_named: bool | None = None

    @property
    def noticed(self) -> bool:
        """Whether anything is said about the record."""
        return self.state != RecordState.VALID.value or bool(self.code)

    @property
    def named(self) -> bool:
        """Whether the first finding is the root cause."""
        return self.code == self.mistake.code


async def coverage(served: ServedWorld, peer: Peer | None) -> list[Verdicts]:
    """Let both look at every mistake. Everything that the peer complains of beyond what it does of
    the healthy domain counts as noticed."""
    served.show(partial(mistaken, None))
    usual = _complaints(served, peer)
    found = list[Verdicts]()
    for number, mistake in enumerate(MISTAKES):
        served.show(partial(mistaken, number))
        async with asking(served) as (asker, _):
            report = await look(healthy().plan, asker)
        state = next(record.state for record in report.records if record.id == mistake.record)
        first = next(
            (finding for finding in report.findings if finding.subject == mistake.record), None
        )
        code, has_fix = (first.code, first.fix is not None) if first else ("", False)
        new = _complaints(served, peer) - usual
        named = any(re.search(mistake.words, one, re.IGNORECASE) for one in new)
        found.append(
            Verdicts(
                mistake,
                state.value,
                code,
                has_fix,
                bool(new) if peer else None,
                bool(mistake.words) and named if peer else None,
            )
        )
    return found


def _complaints(served: ServedWorld, peer: Peer | None) -> set[str]:
    if peer is None:
        return set()
    peer.forget()
    return complaints(peer.check(served, APEX))
