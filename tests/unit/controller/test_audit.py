# SPDX-License-Identifier: Apache-2.0
"""The audit: a line for each verdict, request, message and use of a Secret, and no more."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postroom.api.mailserver import TLSMode
from postroom.api.masked import Masked
from postroom.api.oauth import OAuthFlow, OAuthProvider
from postroom.controller.audit import Audit
from postroom.controller.raw_objects import slimmed
from postroom.log import AUDIT
from postroom.mail.oauth.grant import Grant, OAuthSecrets
from postroom.mail.report import Endpoint, Login
from unit.controller.samples import ACCOUNT, Object, stored

LOGIN = Login("support@example.com", Masked("canary-password"), secret="mail-login")
ENDPOINT = Endpoint("smtp.example.com", 587, TLSMode.START_TLS, "smtp.example.com", None, "mail")


class Told(logging.Handler):
    """Keeps the entries."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [dict(event) for record in self.records for event in vars(record)["audit"]]


@pytest.fixture
def told() -> Iterator[Told]:
    logger, handler = logging.getLogger(AUDIT), Told()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield handler
    logger.removeHandler(handler)
    logger.setLevel(level)


def condition(type_: str, status: str, reason: str) -> Object:
    return {"type": type_, "status": status, "reason": reason, "message": "canary-text"}


def test_what_the_worker_says_of_mail_is_no_verdict_of_the_operators(told: Told) -> None:
    ready = condition("Ready", "True", "Succeeded")
    both = [ready, condition("InboundDelivering", "True", "Delivering")]
    before = stored(ACCOUNT, status={"observedGeneration": 1, "conditions": both})
    Audit().status_written(ACCOUNT, before, {"observedGeneration": 1, "conditions": [ready]})
    assert told.entries == []


def test_each_verdict_that_changed_is_told_with_who_changed_the_spec(told: Told) -> None:
    before = stored(
        ACCOUNT,
        status={
            "observedGeneration": 1,
            "conditions": [
                condition("Ready", "True", "Succeeded"),
                condition("SMTPAvailable", "True", "Connected"),
            ],
        },
    )
    before["metadata"]["managedFields"] = [
        {"manager": "argocd-controller", "time": "2026-01-02T00:00:00Z", "fieldsV1": {"f:spec": {}}}
    ]
    status = {
        "observedGeneration": 2,
        "conditions": [
            condition("Ready", "False", "ConnectionRefused"),
            condition("SMTPAvailable", "True", "Connected"),
            condition("IMAPAvailable", "True", "Connected"),
        ],
    }
    Audit().status_written(ACCOUNT, slimmed(before), status)
    assert told.entries == [
        {
            "action": "VerdictChanged",
            "condition": "Ready",
            "from": "True",
            "to": "False",
            "reason": "ConnectionRefused",
            "generation": 2,
            "changedBy": "argocd-controller",
        },
        {
            "action": "VerdictChanged",
            "condition": "IMAPAvailable",
            "from": None,
            "to": "True",
            "reason": "Connected",
            "generation": 2,
            "changedBy": "argocd-controller",
        },
    ]
    assert {record.object["name"] for record in told.records} == {"support"}  # type: ignore[attr-defined]
    assert "canary" not in str([record.__dict__ for record in told.records])


def test_who_changed_an_earlier_spec_is_not_blamed_for_what_the_world_did(told: Told) -> None:
    before = stored(ACCOUNT, status={"observedGeneration": 1, "conditions": []})
    before["metadata"]["specBy"] = "kubectl"
    conditions = [condition("Ready", "False", "Timeout")]
    Audit().status_written(ACCOUNT, before, {"observedGeneration": 1, "conditions": conditions})
    assert "changedBy" not in told.entries[0]


@pytest.mark.parametrize(
    ("annotation", "status", "request_"),
    [
        ("postroom.dev/requested-at", {"lastHandledReconcileAt": "now"}, "check"),
        ("reconcile.fluxcd.io/requestedAt", {"lastHandledReconcileAt": "now"}, "check"),
        ("postroom.dev/send-test", {"lastTest": {"nonce": "now"}}, "test"),
        ("postroom.dev/backfill", {"lastBackfill": {"nonce": "now"}}, "backfill"),
    ],
)
def test_a_request_names_who_asked(
    told: Told, annotation: str, status: Object, request_: str
) -> None:
    raw = stored(ACCOUNT, annotations={annotation: "now"})
    raw["metadata"]["managedFields"] = [
        {
            "manager": manager,
            "time": time,
            "fieldsV1": {"f:metadata": {"f:annotations": {f"f:{name}": {}}}},
        }
        for manager, time, name in (
            ("kubectl-annotate", "2026-01-02T00:00:00Z", annotation),
            ("somebody-before", "2026-01-01T00:00:00Z", annotation),
            ("somebody-else", "2026-01-03T00:00:00Z", "example.com/other"),
        )
    ]
    kept, audit = slimmed(raw), Audit()
    audit.status_written(ACCOUNT, kept, status)
    (entry,) = told.entries
    assert (entry["action"], entry["request"]) == ("RequestHandled", request_)
    assert (entry["token"], entry["requestedBy"]) == ("now", "kubectl-annotate")
    audit.status_written(ACCOUNT, {**kept, "status": status}, status)
    assert len(told.entries) == 1


@pytest.mark.parametrize(
    ("annotation", "status"),
    [
        ("postroom.dev/requested-at", {"lastHandledReconcileAt": "one"}),
        ("postroom.dev/send-test", {"lastTest": {"nonce": "one"}}),
        ("postroom.dev/backfill", {"lastBackfill": {"nonce": "one"}}),
    ],
)
def test_whoever_asks_meanwhile_is_not_named_for_an_earlier_request(
    told: Told, annotation: str, status: Object
) -> None:
    raw = stored(ACCOUNT, annotations={annotation: "two"})
    raw["metadata"]["requestedBy"] = {annotation: "somebody-later"}
    Audit().status_written(ACCOUNT, raw, status)
    (entry,) = told.entries
    assert (entry["token"], entry.get("requestedBy")) == ("one", None)


def test_of_two_annotations_that_ask_for_a_check_only_the_new_one_names_who_asked(
    told: Told,
) -> None:
    ours, theirs = "postroom.dev/requested-at", "reconcile.fluxcd.io/requestedAt"
    raw = stored(
        ACCOUNT,
        annotations={ours: "last-week", theirs: "now"},
        status={"lastHandledReconcileAt": "last-week"},
    )
    raw["metadata"]["requestedBy"] = {ours: "somebody-earlier", theirs: "flux"}
    Audit().status_written(ACCOUNT, raw, {"lastHandledReconcileAt": "last-week,now"})
    (entry,) = told.entries
    assert (entry["token"], entry["requestedBy"]) == ("last-week,now", "flux")


def test_a_condition_that_is_there_no_more_is_told(told: Told) -> None:
    before = stored(
        ACCOUNT,
        status={"observedGeneration": 1, "conditions": [condition("Suspended", "True", "Spec")]},
    )
    Audit().status_written(ACCOUNT, before, {"observedGeneration": 2, "conditions": []})
    (entry,) = told.entries
    assert (entry["condition"], entry["from"], entry["to"]) == ("Suspended", "True", None)


@pytest.mark.parametrize("part", ["inFlight", "result"])
@pytest.mark.parametrize("purpose", ["lastTest", "roundTrip", "forwarding"])
def test_a_message_is_told_once_with_its_purpose(told: Told, purpose: str, part: str) -> None:
    earlier = {"time": "2026-06-01T11:00:00Z", "recipient": "b@example.com"}
    sent = {"time": "2026-06-01T12:00:00Z", "recipient": "a@example.com"}
    before = stored(ACCOUNT, status={"recentMessages": [earlier]})
    status = {"recentMessages": [sent, earlier], purpose: {part: {"time": sent["time"]}}}
    audit = Audit()
    audit.status_written(ACCOUNT, before, status)
    audit.status_written(ACCOUNT, {**before, "status": status}, status)
    assert told.entries == [{"action": "MessageSent", **sent, "purpose": purpose}]


def test_a_secret_is_told_at_its_first_use_at_each_target(told: Told) -> None:
    audit = Audit()
    for endpoint in (ENDPOINT, ENDPOINT, replace(ENDPOINT, host="other.example"), ENDPOINT):
        audit.signed_in(endpoint, LOGIN)
    audit.signed_in(replace(ENDPOINT, namespace="other"), LOGIN)
    places = [(entry["namespace"], entry["target"]) for entry in told.entries]
    assert places == [
        ("mail", "smtp.example.com:587"),
        ("mail", "other.example:587"),
        ("other", "smtp.example.com:587"),
    ]
    assert {(entry["action"], entry["secret"]) for entry in told.entries} == {
        ("SecretUsed", "mail-login")
    }
    assert "canary" not in str([record.__dict__ for record in told.records])


def test_a_grant_is_told_with_its_token_endpoint(told: Told) -> None:
    grant = Grant(
        OAuthProvider.GENERIC,
        OAuthFlow.REFRESH_TOKEN,
        "https://id.example/token",
        "client",
        "support@example.com",
        (),
        OAuthSecrets(refresh_token=Masked("canary-token")),
        "1",
        "mail",
        secret="client, refresh",
    )
    audit = Audit()
    audit.token_asked(grant)
    audit.token_asked(grant)
    assert told.entries == [
        {
            "action": "SecretUsed",
            "namespace": "mail",
            "secret": "client, refresh",
            "target": "https://id.example/token",
        }
    ]


def test_a_login_from_nowhere_is_none_of_a_secret(told: Told) -> None:
    Audit().signed_in(ENDPOINT, replace(LOGIN, secret=""))
    assert told.entries == []


def test_whose_secret_it_is_makes_no_other_login() -> None:
    assert replace(LOGIN, secret="") == LOGIN


_VERDICTS = st.lists(
    st.dictionaries(
        st.sampled_from(["Ready", "SMTPAvailable", "IMAPAvailable"]),
        st.tuples(st.sampled_from(["True", "False", "Unknown"]), st.sampled_from(["A", "B"])),
    ),
    max_size=6,
)


@given(_VERDICTS)
def test_the_lines_alone_tell_every_verdict_that_stands(history: list[Object]) -> None:
    """Whoever reads only the audit knows the conditions as they are."""
    logger, handler, audit = logging.getLogger(AUDIT), Told(), Audit()
    logger.addHandler(handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        known: dict[str, tuple[str, str]] = {}
        raw = stored(ACCOUNT)
        for verdicts in history:
            known = dict(verdicts)
            conditions = [condition(type_, *verdict) for type_, verdict in known.items()]
            status = {"observedGeneration": 1, "conditions": conditions}
            audit.status_written(ACCOUNT, raw, status)
            raw = {**raw, "status": json.loads(json.dumps(status))}
        heard = {entry["condition"]: (entry["to"], entry["reason"]) for entry in handler.entries}
        assert {type_: said for type_, said in heard.items() if said != (None, None)} == known
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


_NAMES = ["f:spec", "f:metadata", "f:annotations", "manager", "time", "fieldsV1", "x"]
_ABSURD = st.recursive(
    st.none() | st.text() | st.integers(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(_NAMES), inner),
)


@given(_ABSURD)
def test_absurd_managed_fields_break_nothing(absurd: object) -> None:
    raw = stored(ACCOUNT, annotations={"postroom.dev/requested-at": "1"})
    raw["metadata"]["managedFields"] = absurd
    slimmed(raw)
    raw["metadata"]["managedFields"] = [{"manager": "m", "fieldsV1": absurd}]
    slimmed(raw)
