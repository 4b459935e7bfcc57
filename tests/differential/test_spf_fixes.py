# SPDX-License-Identifier: Apache-2.0
"""No fix of SPF takes a pass away in random worlds, as pyspf decides it; and one fix is enough.

Covers: whoever passes before a fix passes after it, unless the finding says who does not; after it
the record is valid, or the finding says that this is not enough.
"""

from __future__ import annotations

import pytest

from differential.spf_worlds import IPV4, IPV6, NAMES, SENDERS, Maker, World
from differential.test_spf_pyspf import Case
from postroom.api.findings import FixAction
from postroom.dns.answers import Outcome, RecordType
from unit.dns.judging_looks import Names, plan_of

DOMAIN = "a.example.net"
WORLDS = 60
#: What findings say of who passes no more.
SAID = (
    "leaves out",
    "lets everyone pass",
    "depends on the message may not",
    "so that not everyone may send",
    "another refuses some",
)


def passing(names: Names, monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Who passes, as pyspf decides it."""
    records = {(name, RecordType(kind)): (*found,) for (name, kind), found in names.records.items()}
    world = World({**records, **{(name, RecordType(kind)): None for name, kind in names.failing}})
    return {
        (ip, sender)
        for ip in (*IPV4, *IPV6)
        for sender in (one.format(DOMAIN) for one in SENDERS)
        if Case(world, ip, sender, DOMAIN).theirs(monkeypatch)[0] == "pass"
    }


def names_of(world: World, number: int) -> Names:
    """A world in which most of what can be required leads nowhere else."""
    there = {(name, kind.value): found for (name, kind), found in world.records.items()}
    for at, name in enumerate(NAMES[1:]):
        if (number + at) % 4:
            text = f"v=spf1 ip4:{IPV4[at % 4]}/25 ip6:{IPV6[at % 3]} ?all"
            there[name, "TXT"] = (text,)
    records = {key: [*found] for key, found in there.items() if found is not None}
    lost = [key for key, found in there.items() if found is None]
    return Names(records, failing=dict.fromkeys(lost, Outcome.TIMEOUT))


@pytest.mark.parametrize("seed", range(6))
def test_a_fix_takes_from_nobody_in_any_world(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    maker, fixes = Maker(1000 + seed), 0
    for number in range(WORLDS):
        names = names_of(maker.world(), number)
        required = [f"{one}.example.net" for one in ("b", "c", "d")[: 1 + number % 3]]
        plan = plan_of(domain=DOMAIN, spf={"includes": required})
        found = names.judged(plan, "spf")
        fix = found.cause.fix if found.cause is not None else None
        if fix is None or fix.action in (FixAction.EXTERNAL, FixAction.WAIT):
            continue
        fixes += 1
        texts, before = names.records.get((DOMAIN, "TXT")), passing(names, monkeypatch)
        names.apply(fix)
        lost = before - passing(names, monkeypatch)
        assert not lost or any(said in found.message for said in SAID), (texts, fix, names, lost)
        after = names.judged(plan, "spf")
        enough = after.state in ("Valid", "Unknown") or "This fix alone is not" in found.message
        assert enough, (texts, fix, names, after)
    assert fixes > WORLDS // 3
