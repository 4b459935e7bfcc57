# SPDX-License-Identifier: Apache-2.0
"""What is deleted while it is looked at, and created again under its name, is judged by itself:
nothing that was found of the earlier one is said of the later, and no message goes twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from cluster.api_client import administrator, create_namespace, delete, delete_namespace, read
from cluster.faults.scene import ACCOUNT, DOMAIN, SERVER, SMTP, Keeper, Place
from cluster.objects import eventually, is_judged, is_ready, path_of
from cluster.post_office import PostOffice
from postroom.lab.controlplane import ControlPlane

#: Everything that is looked at.
LOOKED_AT = ((DOMAIN, "standing"), (SERVER, "smtp"), (ACCOUNT, "desk"))
_SEND_TEST = "postroom.dev/send-test"


def one_by_one(place: Place) -> None:
    for kind, name in LOOKED_AT:
        delete(place.plane, f"{path_of(place.name, kind)}/{name}")


def with_the_namespace(place: Place) -> None:
    delete_namespace(place.plane, place.name)
    path = f"/api/v1/namespaces/{place.name}"
    client = administrator(place.plane)
    eventually(lambda: client.answer("GET", path, None, {})[0] == 404, "the namespace is gone")
    create_namespace(place.plane, place.name)


def create_others(place: Place) -> None:
    """Objects of the same names, none of which can be Ready."""
    place.create(DOMAIN, "standing", domain=f"other.{place.name}.example.com")
    place.create(SERVER, "smtp", **{**SMTP, "host": "other.example.org"}, default=True)
    place.create(ACCOUNT, "desk", address=f"other-{place.address}")
    place.change(ACCOUNT, "desk", {"metadata": {"annotations": {_SEND_TEST: "one"}}})


@pytest.fixture
def letting_go(office: PostOffice) -> Iterator[PostOffice]:
    """A lab that tells nobody of messages afterwards."""
    yield office
    office.taken_over = lambda recipient: None


def assert_judged_by_itself(place: Place, keeper: Keeper) -> None:
    """Each is judged as it is, and at no moment as its predecessor was."""

    def is_over() -> bool:
        found = [
            read(place.plane, f"{path_of(place.name, kind)}/{name}") for kind, name in LOOKED_AT
        ]
        for each in found:
            status = each.get("status", {})
            assert not is_ready(each), each
            assert status.get("verification") != "Verified", each
            assert "address" not in status.get("effectiveSender", {}), each
        return all(map(is_judged, found))

    eventually(is_over, keeper.operator.tail, 120)
    log = keeper.operator.log.read_bytes()[place.logged :].decode(errors="replace")
    assert "Traceback" not in log, log


@pytest.mark.parametrize("go", [one_by_one, with_the_namespace])
def test_what_is_created_again_during_a_look_is_judged_by_itself(
    go: Callable[[Place], None], place: Place, office: PostOffice, keeper: Keeper
) -> None:
    office.hold(12)
    for kind, name in LOOKED_AT:
        place.ask(kind, name)
    place.change(ACCOUNT, "desk", {"metadata": {"annotations": {_SEND_TEST: "one"}}})
    go(place)
    create_others(place)
    assert_judged_by_itself(place, keeper)
    assert office.taken_for(place.address) <= 1


def test_an_account_that_is_created_again_as_its_message_is_taken_over_sends_no_second(
    place: Place, letting_go: PostOffice, installed: ControlPlane, keeper: Keeper
) -> None:
    desk = f"{path_of(place.name, ACCOUNT)}/desk"
    annotated = {"metadata": {"annotations": {_SEND_TEST: "one"}}}

    def again(recipient: str) -> None:
        letting_go.taken_over = lambda recipient: None
        with suppress(AssertionError):
            delete(installed, desk)
            login = {"credentialsRef": {"name": "login"}}
            place.create(ACCOUNT, "desk", address=place.address, **login)
            place.change(ACCOUNT, "desk", annotated)

    before = place.get(ACCOUNT, "desk")["metadata"]["uid"]
    letting_go.taken_over = again
    place.change(ACCOUNT, "desk", annotated)

    def is_over() -> bool:
        found = place.get(ACCOUNT, "desk")
        return bool(found["metadata"]["uid"] != before and is_ready(found))

    eventually(is_over, keeper.operator.tail)
    status = place.get(ACCOUNT, "desk")["status"]
    assert letting_go.taken_for(place.address) == 1
    assert "lastTest" not in status, status
