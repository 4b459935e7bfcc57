# SPDX-License-Identifier: Apache-2.0
"""A domain whose records are handed to external-dns: what is wanted, what is said, what goes."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from postroom.api.conditions import ConditionType
from postroom.api.names import Key
from postroom.api.sendingdomain import SendingDomainStatus
from postroom.dns import ownership
from postroom.dns.answers import Outcome
from postroom.dns.publishing.dns_endpoint import HandedSet
from postroom.reconcile.engine import reconcile
from postroom.reconcile.status.outcome import Memory
from postroom.reconcile.status.wanted import ChildState, ChildStates
from unit.dns.verifying.test_standing import Synthesizing
from unit.reconcile.tenants import AT_ONCE, KEY, Tenants, verdict

DOMAIN, PUBLISHED = "send.mail.example", ConditionType.RECORDS_PUBLISHED
SPF = {"ip4": ["192.0.2.1"]}
ALL: dict[str, Any] = {"via": "ExternalDNS", "records": ["Ownership", "SPF", "DKIM"]}


class World(Tenants):
    """Tenants whose DNSEndpoint is `shelf`; external-dns publishes it when `sync` is called."""

    def __init__(self) -> None:
        super().__init__()
        self.shelf: tuple[HandedSet, ...] | None = None
        self.refusal: ChildState | None = None
        self.writes = 0
        self.outbound = replace(self.outbound, endpoints=self)
        self.held: dict[tuple[str, str], list[str]] = {}

    async def read(self, namespace: str, name: str, uid: str) -> tuple[HandedSet, ...] | ChildState:
        return self.refusal or self.shelf or ()

    def run(self, key: Key) -> SendingDomainStatus:
        """Evaluate as the worker does: again, as long as children have news."""
        memory = self.memories.setdefault(key, Memory())
        for _ in range(4):
            self.time += timedelta(minutes=5)
            made = asyncio.run(reconcile(key.kind, self.objects[key], self, memory, AT_ONCE))
            assert made.status is not None
            stored = made.status.model_dump(mode="json", by_alias=True, exclude_none=True)
            self.objects[key]["status"] = stored
            states: ChildStates = {}
            for wanted in made.children or ():
                content = wanted.content
                if self.refusal is None:
                    self.writes += self.shelf != content
                    self.shelf = content if isinstance(content, tuple) else None
                done = ChildState.GONE if content is None else ChildState.APPLIED
                states = {wanted.child: self.refusal or done}
            if made.children is None or states == memory.children:
                return self.status(key)
            memory.children = states
        raise AssertionError("it never comes to rest")

    def sync(self) -> None:
        """Publish what is on the shelf, and remove what was."""
        for place in self.held:
            self.zone.records.pop(place, None)
        self.held = {}
        for mine in self.shelf or ():
            texts = [text.strip('"') for text in mine.targets]
            self.held[mine.name, mine.type] = self.zone.records[mine.name, mine.type] = texts


def declare(world: World, publish: dict[str, Any] | None = ALL, **spec: Any) -> Key:
    wanted = {"publish": publish} if publish else {}
    dkim = [{"selector": "k1", "cname": "k1.provider.example"}]
    return world.add("a", **{"domain": DOMAIN, "spf": SPF, "dkim": dkim, **wanted, **spec})


def codes(status: SendingDomainStatus) -> list[str]:
    return [found.code for found in status.findings if found.code.startswith("PUBLISH")]


def test_proof_first_then_all_then_nothing() -> None:
    world = World()
    world.zone.records["k1.provider.example", "TXT"] = ["v=DKIM1; p=" + "A" * 44]
    key = declare(world, require=["Ownership", "SPF"])
    waiting = world.run(key)
    proof, token = ownership.challenge(KEY, "a", DOMAIN)
    assert world.shelf == (HandedSet(proof, "TXT", (f'"{token}"',)),)
    assert verdict(waiting, PUBLISHED) == ("Unknown", "AwaitingOwnership")
    world.sync()
    more = world.run(key)
    assert world.shelf is not None
    assert len(world.shelf) == 3
    assert verdict(more, PUBLISHED) == ("Unknown", "AwaitingPublisher")
    assert codes(more) == ["PUBLISH_AWAITED"]
    world.sync()
    done = world.run(key)
    spf = verdict(done, ConditionType.SPF_VERIFIED)
    assert spf == ("True", "RecordValid")
    assert done.publication is not None
    assert done.publication.records == ["ownership", "dkim-k1", "spf"]
    writes = world.writes
    world.restart()
    times: dict[str, object] = dict.fromkeys(("last_check_time", "last_ready_time"))
    again = world.run(key).model_dump() | times
    assert again == done.model_dump() | times
    assert world.writes == writes
    declare(world, None, require=["Ownership", "SPF"])
    gone = world.run(key)
    assert (world.shelf, gone.publication, verdict(gone, PUBLISHED)) == (None, None, None)


def test_a_withdrawal_outlasts_a_restart_and_an_invalid_spec() -> None:
    world = World()
    key = declare(world)
    world.run(key)
    assert world.shelf
    world.restart()
    declare(world, None, dkim=[{"selector": "k1", "publicKey": "A" * 44}])
    assert world.run(key).publication is not None
    declare(world, None)
    assert world.run(key).publication is None
    assert world.shelf is None


def test_a_foreign_record_is_named_with_what_to_do() -> None:
    world = World()
    world.prove("a", DOMAIN)
    world.publish(DOMAIN, "google-site-verification=abc")
    status = world.run(declare(world))
    assert verdict(status, PUBLISHED) == ("False", "Conflict")
    (told,) = [found for found in status.findings if found.code == "PUBLISH_BESIDE_OTHERS"]
    assert told.subject == "spf"
    assert "google-site-verification=abc" in told.message
    assert told.fix is not None
    assert "by hand" in told.fix.instruction
    assert world.shelf is not None
    assert [mine.name for mine in world.shelf] == [f"k1._domainkey.{DOMAIN}"]


@pytest.mark.parametrize(
    ("state", "said", "code"),
    [
        (ChildState.NOT_ALLOWED, ("False", "PublishingDenied"), ["PUBLISH_NOT_ENABLED"]),
        (ChildState.FORBIDDEN, ("False", "PublishingDenied"), ["PUBLISH_FORBIDDEN"]),
        (ChildState.UNGUARDED, ("False", "PublishingDenied"), ["PUBLISH_UNGUARDED"]),
        (ChildState.REFUSED, ("False", "PublishingDenied"), ["PUBLISH_ZONE_DENIED"]),
        (ChildState.NOT_SERVED, ("False", "PublisherUnavailable"), ["PUBLISHER_UNAVAILABLE"]),
        (ChildState.CONFLICT, ("False", "Conflict"), ["PUBLISH_NAME_TAKEN"]),
        (ChildState.UNAVAILABLE, ("Unknown", "AwaitingPublisher"), []),
        (ChildState.ENDING, ("Unknown", "AwaitingPublisher"), []),
    ],
)
def test_what_hinders_is_said_with_a_fix_and_gates_nothing(
    state: ChildState, said: tuple[str, str], code: list[str]
) -> None:
    world = World()
    world.refusal = state
    world.prove("a", DOMAIN)
    world.publish(DOMAIN, "v=spf1 ip4:192.0.2.1 -all")
    status = world.run(declare(world, require=["Ownership", "SPF"]))
    assert verdict(status, PUBLISHED) == said
    told = [found for found in status.findings if found.code in code]
    assert [found.code for found in told] == code
    assert all(found.fix is not None and found.fix.instruction for found in told)
    assert verdict(status, ConditionType.READY) == ("True", "Succeeded")
    assert world.shelf is None


def test_what_a_wildcard_answers_is_not_taken_away() -> None:
    world = World()
    world.zone = Synthesizing(world.zone.records, "mail.example")
    world.outbound = replace(world.outbound, dns=world.zone)
    world.zone.records["*.mail.example", "A"] = ["192.0.2.80"]
    # Of the zone there is something at its apex.
    world.zone.records["mail.example", "A"] = ["192.0.2.80"]
    key = declare(world)
    status = world.run(key)
    assert (codes(status)[:1], world.shelf) == (["PUBLISH_ENDS_WILDCARD"], None)
    assert verdict(status, PUBLISHED) == ("False", "Conflict")
    (told, *_) = [found for found in status.findings if found.code == "PUBLISH_ENDS_WILDCARD"]
    assert f"A 192.0.2.80 at {DOMAIN} is answered by a wildcard" in told.message
    # The remedy that it names helps, and what stood stands.
    world.zone.records[DOMAIN, "A"] = ["192.0.2.80"]
    assert codes(world.run(key)) == ["PUBLISH_AWAITED"]
    assert world.shelf


DMARC: dict[str, Any] = {"via": "ExternalDNS", "records": ["DMARC"]}
OWN, PARENT = f"_dmarc.{DOMAIN}", "_dmarc.mail.example"
STRICT = "v=DMARC1; p=reject; rua=mailto:d@mail.example; adkim=s"


def shelved(world: World) -> dict[str, tuple[str, ...]]:
    return {mine.name: mine.targets for mine in world.shelf or ()}


def published_below_parent(policy: str = "none") -> tuple[World, Key]:
    """A domain whose DMARC record was handed over below a parent's."""
    world = World()
    world.prove("a", DOMAIN)
    world.publish(PARENT, STRICT)
    key = declare(world, DMARC, dmarc={"policy": policy})
    status = world.run(key)
    assert shelved(world) == {OWN: (f'"{STRICT}"',)}
    assert status.publication is not None
    return world, key


@pytest.mark.parametrize("policy", ["none", "quarantine", "reject"])
def test_what_a_parents_policy_asks_for_is_handed_over_with_the_domains_own(policy: str) -> None:
    world, key = published_below_parent(policy)
    world.sync()
    writes = world.writes
    for _ in range(2):
        done = world.run(key)
        assert verdict(done, PUBLISHED) == ("True", "EndpointApplied")
        world.restart()
    assert (shelved(world), world.writes) == ({OWN: (f'"{STRICT}"',)}, writes)


def test_while_a_parent_cannot_be_asked_what_is_handed_over_stays() -> None:
    world, key = published_below_parent()
    for synced in (False, True):
        if synced:
            world.sync()
        world.zone.failing[PARENT] = Outcome.TIMEOUT
        writes = world.writes
        blind = world.run(key)
        assert verdict(blind, PUBLISHED) == ("Unknown", "LookupFailed")
        assert (shelved(world), world.writes) == ({OWN: (f'"{STRICT}"',)}, writes)
        del world.zone.failing[PARENT]
        world.run(key)
        assert (shelved(world), world.writes) == ({OWN: (f'"{STRICT}"',)}, writes)


def test_below_a_parent_that_cannot_be_asked_nothing_begins() -> None:
    world = World()
    world.prove("a", DOMAIN)
    world.zone.failing[PARENT] = Outcome.SERVER_FAILURE
    key = declare(world, DMARC, dmarc={"policy": "none"})
    status = world.run(key)
    assert (world.shelf, verdict(status, PUBLISHED)) == (None, ("Unknown", "LookupFailed"))
    # What others publish as it must be needs nothing of ours.
    world.publish(OWN, "v=DMARC1; p=reject")
    status = world.run(key)
    assert (world.shelf, verdict(status, PUBLISHED)) == (None, ("True", "EndpointApplied"))


def test_what_status_lists_below_a_parents_policy_is_what_is_handed_over() -> None:
    world, key = published_below_parent()
    (record,) = [each for each in world.status(key).records if each.id == "dmarc"]
    assert (record.value, record.state) == (STRICT, "Valid")


def test_where_nobody_publishes_nothing_is_said() -> None:
    world = World()
    world.outbound = replace(world.outbound, endpoints=None)
    status = world.run(declare(world))
    assert (verdict(status, PUBLISHED), codes(status), status.publication) == (None, [], None)
