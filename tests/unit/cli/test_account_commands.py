# SPDX-License-Identifier: Apache-2.0
"""``kubectl postroom sync``, ``test`` and ``backfill``, with a cluster that answers at once.

Covers: what is annotated, what is printed, which exit code an answer has, and accounts of which
nothing can be asked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
import typer

from postroom.api.names import (
    BACKFILL_ANNOTATION,
    REQUESTED_AT_ANNOTATIONS,
    SEND_TEST_ANNOTATION,
    SEND_TEST_TO_ANNOTATION,
    Key,
    Kind,
)
from postroom.cli import account_commands
from postroom.cli.cluster import Cluster
from postroom.cli.options import Output

TIME = "2026-11-21T10:01:00Z"


def ready(status: str = "True") -> dict[str, Any]:
    told: dict[str, Any] = {"reason": "Succeeded", "message": "Well."}
    told |= {"observedGeneration": 1, "lastTransitionTime": TIME}
    return {"type": "Ready", "status": status, **told}


class Office:
    """An API server with one account, whose operator answers every annotation at once."""

    namespace, server = "mail", "https://cluster.example"

    def __init__(self) -> None:
        self.spec: dict[str, Any] = {"address": "support@example.com"}
        self.ready = "True"
        self.outcome, self.phase = "Delivered", "Done"
        self.annotations: dict[str, str | None] = {}
        self.asked: list[Key] = []

    async def get(self, key: Key) -> Mapping[str, Any] | None:
        self.asked.append(key)
        if key.name != "support":
            return None
        told = self.annotations
        status: dict[str, Any] = {"conditions": [ready(self.ready)]}
        status["lastHandledReconcileAt"] = told.get(REQUESTED_AT_ANNOTATIONS[0]) or ""
        if nonce := told.get(SEND_TEST_ANNOTATION):
            recipient = told.get(SEND_TEST_TO_ANNOTATION) or "support@example.com"
            result = {"outcome": self.outcome, "time": TIME, "recipient": recipient}
            result |= {"reason": "Delivered", "message": "It ended."}
            status["lastTest"] = {"nonce": nonce, "result": result}
        if nonce := told.get(BACKFILL_ANNOTATION):
            status["lastBackfill"] = {
                "nonce": nonce,
                "phase": self.phase,
                "time": TIME,
                "reason": "ProbeSucceeded",
                "message": "Counted.",
            }
        metadata = {"name": "support", "namespace": key.namespace, "annotations": told}
        return {"kind": "EmailAccount", "metadata": metadata, "spec": self.spec, "status": status}

    async def list_whole(self, kind: Kind, namespace: str | None) -> list[Mapping[str, Any]]:
        raise AssertionError("an account is asked for by its name")

    async def annotate(self, key: Key, annotations: Mapping[str, str | None]) -> None:
        self.annotations |= annotations


@pytest.fixture
def office(monkeypatch: pytest.MonkeyPatch) -> Office:
    made = Office()

    @asynccontextmanager
    async def connect(kubeconfig: object, context: object) -> AsyncIterator[Cluster]:
        yield Cluster(made)

    monkeypatch.setattr(Cluster, "connect", staticmethod(connect))
    return made


def code_of(verb: Any, *args: Any, **options: Any) -> int:
    """The exit code that a command ends with."""
    try:
        verb(*args, **options)
    except typer.Exit as ended:
        return ended.exit_code
    return 0


@pytest.mark.parametrize(("status", "code"), [("True", 0), ("False", 1), ("Unknown", 1)])
def test_sync_asks_for_a_look_and_ends_by_its_verdict(
    status: str, code: int, office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.ready = status
    assert code_of(account_commands.sync, "support", timeout=60) == code
    assert set(office.annotations) == {REQUESTED_AT_ANNOTATIONS[0]}
    assert "mail/support" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        ("Delivered", 0),
        ("Accepted", 0),
        ("DeliveredToSpam", 1),
        ("NotDelivered", 1),
        ("Deferred", 1),
        ("Failed", 1),
    ],
)
def test_a_test_message_ends_well_only_where_it_arrived(
    outcome: str, code: int, office: Office, capsys: pytest.CaptureFixture[str]
) -> None:
    office.outcome = outcome
    assert (
        code_of(account_commands.test, "emailaccount/support", to="a@example.com", timeout=60)
        == code
    )
    assert office.annotations[SEND_TEST_TO_ANNOTATION] == "a@example.com"
    assert "a@example.com" in capsys.readouterr().out


def test_without_a_recipient_an_earlier_one_is_taken_away(office: Office) -> None:
    office.annotations[SEND_TEST_TO_ANNOTATION] = "earlier@example.com"
    assert code_of(account_commands.test, "support", output=Output.JSON, timeout=60) == 0
    assert office.annotations[SEND_TEST_TO_ANNOTATION] is None


@pytest.mark.parametrize(("phase", "code"), [("Done", 0), ("Refused", 1)])
def test_a_look_back_ends_well_only_where_it_was_done(
    phase: str, code: int, office: Office
) -> None:
    office.phase = phase
    assert code_of(account_commands.backfill, "support", namespace="other", timeout=60) == code
    assert set(office.annotations) == {BACKFILL_ANNOTATION}
    assert {key.namespace for key in office.asked} == {"other"}


@pytest.mark.parametrize("verb", [account_commands.sync, account_commands.test])
@pytest.mark.parametrize(
    ("word", "spec", "sentence"),
    [
        ("mailserver/support", {}, "mailserver/support has no mailbox: name an EmailAccount."),
        ("emailaccount/", {}, "name an EmailAccount."),
        ("absent", {}, "EmailAccount absent does not exist in namespace mail."),
        ("support", {"suspend": True}, "EmailAccount support is suspended"),
        ("support", {"connection": "Disconnected"}, "EmailAccount support is disconnected"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence_and_annotates_nothing(
    verb: Any,
    word: str,
    spec: dict[str, Any],
    sentence: str,
    office: Office,
    capsys: pytest.CaptureFixture[str],
) -> None:
    office.spec |= spec
    assert code_of(verb, word) == 2
    assert capsys.readouterr().err.startswith(f"kubectl postroom: {sentence}")
    assert office.annotations == {}
