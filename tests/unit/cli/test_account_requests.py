# SPDX-License-Identifier: Apache-2.0
"""What `kubectl postroom test` and `backfill` wait for, and when they have their answer: told from
the account as the API server holds it, with a cluster that is only a list of what it shows next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
import typer

from postroom.api.names import BACKFILL_ANNOTATION, SEND_TEST_ANNOTATION, SEND_TEST_TO_ANNOTATION
from postroom.cli import account_requests
from postroom.cli.cluster import Cluster, NotAnswered, PluginError
from postroom.cli.plugin_options import edge

NOW = datetime.fromisoformat("2026-11-21T10:02:00+00:00")
MINE, THEIRS = "mine", "theirs"
FLIGHT = {
    "step": "Sending",
    "token": "t",
    "time": "2026-11-21T10:01:00Z",
    "sender": "a@example.com",
    "recipient": "a@example.com",
}
RESULT = {
    "outcome": "Delivered",
    "time": "2026-11-21T10:01:00Z",
    "recipient": "a@example.com",
    "reason": "Delivered",
    "message": "It arrived.",
}


def account(asked: str = MINE, **status: Any) -> dict[str, Any]:
    annotations = {SEND_TEST_ANNOTATION: asked, BACKFILL_ANNOTATION: asked}
    metadata = {"name": "support", "namespace": "mail", "annotations": annotations}
    return {"kind": "EmailAccount", "metadata": metadata, "spec": {}, "status": status}


class Shown:
    """A cluster that shows one state after the other, and the last for ever."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self._states = list(states)

    async def until(
        self,
        one: Mapping[str, Any],
        answer: Callable[[dict[str, Any]], Any],
        seconds: float,
        late: Callable[[], str],
    ) -> dict[str, Any]:
        for state in self._states:
            found = answer(state)
            if found is not None:
                return cast("dict[str, Any]", found)
        raise NotAnswered(late())


async def followed(*states: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    cluster = cast("Cluster", Shown(*states))
    found = await account_requests.tested(cluster, account(), MINE, 60, said.append)
    return found, said


def test_the_recipient_of_an_earlier_test_goes() -> None:
    assert account_requests.for_test("n", None)[SEND_TEST_TO_ANNOTATION] is None
    assert account_requests.for_test("n", "b@example.com") == {
        SEND_TEST_ANNOTATION: "n",
        SEND_TEST_TO_ANNOTATION: "b@example.com",
    }


async def test_it_waits_for_the_result_of_its_own_nonce() -> None:
    done = account(lastTest={"nonce": MINE, "result": RESULT})
    earlier = account(lastTest={"nonce": THEIRS, "result": RESULT})
    sending = account(lastTest={"nonce": MINE, "inFlight": FLIGHT})
    sent = account(lastTest={"nonce": MINE, "inFlight": {**FLIGHT, "step": "Sent"}})
    found, said = await followed(account(), earlier, sending, sent, sent, done)
    assert found is done
    assert [one.split(";")[0] for one in said] == [
        "The message is announced in status, and being sent.",
        "The server took the message over",
    ]


def test_one_message_in_five_minutes_says_when() -> None:
    early = account(lastMessageTime="2026-11-21T10:00:30Z")
    assert account_requests.waits_for(early, MINE, NOW) == (
        "One message in five minutes: it is sent at 2026-11-21T10:05:30Z."
    )
    assert account_requests.waits_for(early, MINE, NOW + timedelta(minutes=5)) == ""


def test_an_earlier_test_is_waited_for() -> None:
    busy = account(lastTest={"nonce": THEIRS, "inFlight": FLIGHT})
    assert account_requests.waits_for(busy, MINE, NOW).startswith("An earlier test message")


async def test_another_request_ends_the_wait() -> None:
    with pytest.raises(PluginError, match="ask again"):
        await followed(account(asked=THEIRS))


async def test_another_request_does_not_end_a_test_that_has_begun() -> None:
    done = account(asked=THEIRS, lastTest={"nonce": MINE, "result": RESULT})
    assert (await followed(done))[0] is done


async def test_without_an_operator_it_says_so() -> None:
    with pytest.raises(NotAnswered, match=r"within 60 s: does the operator run"):
        await followed(account())


async def test_out_of_time_on_its_way_says_where_to_read_on() -> None:
    with pytest.raises(PluginError, match=r"looked for.*; status.lastTest will say"):
        await followed(account(lastTest={"nonce": MINE, "inFlight": {**FLIGHT, "step": "Sent"}}))


async def test_a_backfill_is_done_when_its_nonce_is_there() -> None:
    backfill = {
        "nonce": MINE,
        "phase": "Done",
        "time": "2026-11-21T10:01:00Z",
        "reason": "Succeeded",
        "message": "1 messages.",
    }
    done = account(lastBackfill=backfill)
    earlier = account(lastBackfill={**backfill, "nonce": THEIRS})
    cluster = cast("Cluster", Shown(account(), earlier, done))
    assert await account_requests.looked_back(cluster, account(), MINE, 60) is done
    with pytest.raises(PluginError, match="does the operator run"):
        await account_requests.looked_back(cast("Cluster", Shown(earlier)), account(), MINE, 60)
    with pytest.raises(PluginError, match="ask again"):
        await account_requests.looked_back(
            cast("Cluster", Shown(account(asked=THEIRS))), account(), MINE, 60
        )


def test_a_status_that_cannot_be_understood_counts_as_none() -> None:
    assert account_requests.status_of({"status": {"lastTest": 7}}).last_test is None
    assert not account_requests.tested_now(account(lastTest="odd"), MINE)


@pytest.mark.parametrize(
    ("error", "code"), [(PluginError("refused."), 2), (NotAnswered("not in time."), 3)]
)
def test_a_refusal_and_silence_are_told_apart(error: PluginError, code: int) -> None:
    async def fails() -> None:
        raise error

    with pytest.raises(typer.Exit) as caught:
        edge(fails())
    assert caught.value.exit_code == code
