# SPDX-License-Identifier: Apache-2.0
"""Objects as earlier definitions stored them: read whole, and their verdicts stand.

tests/cluster/test_upgrade.py holds them against a real API server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from postroom.api import crd
from postroom.api.conditions import ConditionType, find
from postroom.api.names import Key, Kind
from postroom.api.resource import parse
from postroom.reconcile.engine import reconcile
from postroom.reconcile.status.outcome import Memory
from stored import VERSIONS, definitions, holds, objects
from unit.reconcile.mail_worlds import AT_ONCE, MailWorld

STORED = [
    pytest.param(raw, id=f"{version}: {raw['kind']} {raw['metadata']['name']}")
    for version in VERSIONS
    for raw in objects(version)
]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_kind_is_there_with_every_field_of_its_status(version: str) -> None:
    for definition in definitions(version):
        (served,) = definition["spec"]["versions"]
        fields = served["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
        mine = [
            raw for raw in objects(version) if raw["kind"] == definition["spec"]["names"]["kind"]
        ]
        assert {
            condition["status"] for raw in mine for condition in raw["status"]["conditions"]
        } == {
            "True",
            "False",
        }
        for raw in mine:
            assert raw["status"].keys() == fields.keys()


@pytest.mark.parametrize("raw", STORED)
def test_what_was_stored_is_read_and_nothing_of_it_is_lost(raw: dict[str, Any]) -> None:
    read = parse(Kind(raw["kind"]), raw)
    status = read.status.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert holds(status, raw["status"])
    spec = read.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    assert raw["spec"].keys() <= spec.keys()


@pytest.mark.parametrize("raw", STORED)
def test_a_verdict_stands_until_something_is_looked_at(raw: dict[str, Any]) -> None:
    """A suspended object is not looked at: what is said of it is what was found before."""
    kind, world = Kind(raw["kind"]), MailWorld()
    key = Key(kind, "mail", raw["metadata"]["name"])
    world.add(key, **raw["spec"], suspend=True)
    world.objects[key]["status"] = raw["status"]
    outcome = asyncio.run(
        reconcile(kind, world.objects[key], cast("Any", world), Memory(), AT_ONCE)
    )
    assert outcome.status is not None
    before = {
        each["type"]: (each["status"], each["reason"]) for each in raw["status"]["conditions"]
    }
    for wanted, verdict in before.items():
        found = find(outcome.status.conditions, ConditionType(wanted))
        assert found is not None, wanted
        assert (found.status.value, found.reason) == verdict, wanted


def fields(schema: Mapping[str, Any], place: str = "spec") -> Iterator[tuple[str, str, bool]]:
    """Each field of a spec, the place that it is in, and whether it has a default."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{place}.{name}", place, "default" in inner
        yield from fields(inner, f"{place}.{name}")
    for kind in ("items", "additionalProperties"):
        if isinstance(schema.get(kind), Mapping):
            yield from fields(schema[kind], place)


def spec_of(definition: Mapping[str, Any]) -> tuple[str, set[tuple[str, str, bool]]]:
    (served,) = definition["spec"]["versions"]
    schema = served["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return definition["spec"]["names"]["kind"], set(fields(schema))


def intruding(known: set[tuple[str, str, bool]], now: set[tuple[str, str, bool]]) -> set[str]:
    """Fields that are new, and that the definitions put into objects which do not ask for them."""
    before = {name for name, _, _ in known} | {"spec"}
    return {name for name, place, given in now if given and name not in before and place in before}


def test_a_new_field_puts_nothing_into_an_object_that_does_not_ask_for_it() -> None:
    """An operator that does not know the field would take the whole object for invalid: the one
    that is at work while definitions are replaced, and the one that somebody goes back to."""
    known = dict(map(spec_of, definitions(VERSIONS[-1])))
    now = dict(map(spec_of, crd.definitions()))
    assert now.keys() == known.keys()
    assert {kind: intruding(known[kind], now[kind]) for kind in now} == {
        kind: set() for kind in now
    }


def test_what_intrudes_is_found() -> None:
    """As in the definitions of 2026-11-21, which docs/upgrading.md excepts."""
    known = dict(map(spec_of, definitions(VERSIONS[0])))
    kind, now = next(each for each in map(spec_of, crd.definitions()) if each[0] == "MailServer")
    assert intruding(known[kind], now) == {"spec.allowedNamespaces"}
