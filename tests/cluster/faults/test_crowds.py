# SPDX-License-Identifier: Apache-2.0
"""Many objects: a namespace that goes while they are worked on, absurd ones, and an operator that
is killed again and again."""

from __future__ import annotations

import json
import os
import random
import time
import uuid
from typing import Any

from cluster.api_client import apply, create, create_namespace, delete_namespace, read
from cluster.conftest import new_namespace
from cluster.faults.scene import (
    SMTP,
    Keeper,
    Place,
    assert_all_is_well,
    known,
    takes,
    there_are,
)
from cluster.objects import eventually, path_of
from cluster.test_resilience import lax
from postroom.api.crd import definition
from postroom.api.names import API_VERSION, Kind
from postroom.lab.controlplane import ControlPlane

#: How often the operator is killed.
KILLS = int(os.environ.get("POSTROOM_FAULT_KILLS", "60"))
#: Seconds within which it is killed after an edit: all that there is to do is done by then.
CONVERGENCE = 0.7
CROWD = int(os.environ.get("POSTROOM_FAULT_CROWD", "2000"))
#: No spec of a domain that is one, by number.
ABSURD: tuple[Any, ...] = (
    {"domain": 7},
    {"domain": "x.example.com", "interval": "5 minutes"},
    {"domain": "y.example.com", "dkim": {"selector": None}},
    {"domain": "z.example.com", "surprise": ["a", {"b": 1}], "require": ["Everything"]},
    {},
    {"domain": "a" * 5000},
    {"domain": ".", "dkim": [[[[]]]], "spf": 0},
    {"domain": "\u202eexample.com\u0000", "suspend": "yes"},
)


def test_a_namespace_is_deleted_in_the_midst(
    place: Place, installed: ControlPlane, keeper: Keeper
) -> None:
    ended = keeper.ends
    doomed = f"doomed-{uuid.uuid4().hex[:8]}"
    create_namespace(installed, doomed)
    items = [
        {
            "apiVersion": API_VERSION,
            "kind": Kind.MAIL_SERVER,
            "metadata": {"name": f"s{number}"},
            "spec": SMTP,
        }
        for number in range(50)
    ]
    create(installed, items, doomed)
    servers = path_of(doomed, Kind.MAIL_SERVER)
    eventually(
        lambda: any("status" in each for each in read(installed, servers)["items"]),
        "the operator works on them",
    )
    place.busy()
    delete_namespace(installed, doomed)
    assert_all_is_well(place, keeper)
    assert keeper.ends == ended, keeper.operator.tail()


def test_a_crowd_with_absurd_ones_among_it(
    place: Place, installed: ControlPlane, keeper: Keeper
) -> None:
    """Whoever has no server says so, and costs no look at the network; each is judged once."""
    ended = keeper.ends
    with new_namespace(installed) as crowded:
        apply(installed, json.dumps(lax()))
        eventually(lambda: takes(installed, {}), "it takes anything")
        accounts = [
            {
                "apiVersion": API_VERSION,
                "kind": Kind.EMAIL_ACCOUNT,
                "metadata": {"name": f"a{number}"},
                "spec": {"address": f"a{number}@crowd.example.com"},
            }
            for number in range(CROWD - 64)
        ]
        absurd = [
            {
                "apiVersion": API_VERSION,
                "kind": Kind.SENDING_DOMAIN,
                "metadata": {"name": f"absurd-{number}"},
                "spec": ABSURD[number % len(ABSURD)],
                "status": {"records": number},
            }
            for number in range(64)
        ]
        create(installed, absurd + accounts, crowded)
        apply(installed, json.dumps(definition(Kind.SENDING_DOMAIN)))
        eventually(lambda: not takes(installed, {}), "it is as strict as before")
        place.busy()

        def judged() -> bool:
            # Whoever came last is among the last; a look at all of them takes a second of CPU.
            there = path_of(crowded, Kind.EMAIL_ACCOUNT)
            last = read(installed, f"{there}/a{len(accounts) - 1}")
            if "conditions" not in last.get("status", {}):
                return False
            items = read(installed, there)["items"]
            done = sum("conditions" in each.get("status", {}) for each in items)
            return done == CROWD - 64 and known(keeper.operator) == there_are(installed)

        eventually(judged, "each is judged", 600)
        assert_all_is_well(place, keeper)
        assert keeper.operator.answers("/healthz")
    assert keeper.ends == ended, keeper.operator.tail()


def test_the_operator_is_killed_again_and_again(place: Place, keeper: Keeper) -> None:
    seed = time.time_ns()
    print(f"seed {seed}")
    chance = random.Random(seed)  # noqa: S311 - no secrets
    place.busy()
    began = time.monotonic()
    for number in range(KILLS):
        place.change(Kind.MAIL_SERVER, "edited", {"spec": {"interval": f"{number + 3}m"}})
        time.sleep(chance.random() * CONVERGENCE)
        keeper.operator.kill()
        keeper.operator.start()
    assert_all_is_well(place, keeper, more_writes=KILLS)
    print(f"{KILLS} kills in {time.monotonic() - began:.0f} s")
