# SPDX-License-Identifier: Apache-2.0
"""New refresh tokens from a token server, kept in Secrets that the operator owns.

Covers: what is written and how often, that a new process uses what was kept, a user's new token and
a mere edit of the user's Secret, kept tokens that are refused, foreign Secrets, API servers that
refuse, conflict, stall or cannot be read, providers that do not rotate or revoke the old token,
rotation that is off or not available, and that no token shows anywhere.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from lab.kept_secrets import KEPT_NAME, NOW, Secrets, kept
from lab.oauth_lab import MAILBOX, Clock, at, google_user, microsoft_user, source
from lab.token_server import MICROSOFT_PATH, Client, Refresh, TokenServer
from postroom.api.oauth import OAuthProvider
from postroom.controller import rotation
from postroom.controller.rotation import NoRotation
from postroom.mail.oauth.answers import AccessToken, TokenFailure
from postroom.mail.oauth.grant import Grant
from postroom.mail.oauth.refresh_token_store import Keeping, KeepingProblem
from postroom.mail.oauth.tokens import TokenSource
from postroom.mail.replies.model import FailureClass

OUTLOOK = "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send"
SEED = "mr"


@pytest.fixture
async def server() -> AsyncIterator[TokenServer]:
    made = TokenServer()
    made.rotates = True
    made.clients = {"mid": Client(), "gid": Client(secret="gs")}
    made.refreshes = {
        SEED: Refresh("mid", MAILBOX, OUTLOOK),
        "again": Refresh("mid", MAILBOX, OUTLOOK),
        "gr": Refresh("gid", MAILBOX, "https://mail.google.com/"),
    }
    async with made:
        yield made


@pytest.fixture
def secrets() -> Secrets:
    return Secrets()


def process(server: TokenServer, secrets: Secrets) -> TokenSource:
    """What a process that has just started knows."""
    tokens = source(server.port, Clock())
    tokens.keep_in(secrets.store())
    return tokens


def microsoft(server: TokenServer, refresh: str = SEED, version: str = "uid/1") -> Grant:
    return kept(at(server, microsoft_user(refresh)), version)


def generic(server: TokenServer) -> Grant:
    """A provider of which nothing is known: it may revoke the old token."""
    return replace(microsoft(server), provider=OAuthProvider.GENERIC)


async def use(tokens: TokenSource, grant: Grant) -> AccessToken:
    """Have a token asked for anew, as an hour later."""
    tokens.drop(grant)
    got = await tokens.token(grant)
    assert isinstance(got, AccessToken), got
    return got


def shown(server: TokenServer) -> list[str]:
    """The refresh tokens that the server was shown."""
    return [form["refresh_token"] for form in server.forms]


async def test_the_first_new_token_is_kept(server: TokenServer, secrets: Secrets) -> None:
    tokens, grant = process(server, secrets), microsoft(server)
    got = await use(tokens, grant)
    assert got.rotated is not None
    assert secrets.value() == got.rotated.reveal()
    assert secrets.value("seedToken") == SEED
    assert tokens.keeping(grant) == Keeping(kept_at=NOW)


async def test_the_secret_belongs_to_the_object(server: TokenServer, secrets: Secrets) -> None:
    await use(process(server, secrets), microsoft(server))
    made = secrets.there[KEPT_NAME]
    assert made["type"] == "postroom.dev/refresh-token"
    assert made["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "postroom"}
    assert made["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "postroom.dev/v1alpha1",
            "kind": "EmailAccount",
            "name": "support",
            "uid": "uid-support",
            "controller": True,
        }
    ]
    assert secrets.note("seeded-from") == "uid/1"
    assert secrets.note("kept-at") == "2026-11-21T08:00:00Z"


async def test_a_server_and_an_account_of_one_name_have_a_secret_each(
    server: TokenServer, secrets: Secrets
) -> None:
    tokens = process(server, secrets)
    for kind in ("EmailAccount", "MailServer"):
        await use(tokens, kept(at(server, microsoft_user()), kind=kind))
    assert sorted(secrets.there) == [KEPT_NAME, "support-server-oauth"]


async def test_a_new_process_uses_what_was_kept(server: TokenServer, secrets: Secrets) -> None:
    got = await use(process(server, secrets), microsoft(server))
    assert got.rotated is not None
    await use(process(server, secrets), microsoft(server))
    assert shown(server) == [SEED, got.rotated.reveal()]


async def test_microsoft_is_written_once_a_day(server: TokenServer, secrets: Secrets) -> None:
    tokens, grant = process(server, secrets), microsoft(server)
    for _ in range(24):
        await use(tokens, grant)
        secrets.passes(hours=1)
    assert secrets.writes == [("create", KEPT_NAME)]
    got = await use(tokens, grant)
    assert got.rotated is not None
    assert secrets.writes == [("create", KEPT_NAME), ("patch", KEPT_NAME)]
    assert secrets.value() == got.rotated.reveal()


async def test_others_are_written_at_once(server: TokenServer, secrets: Secrets) -> None:
    tokens, grant = process(server, secrets), generic(server)
    for _ in range(3):
        got = await use(tokens, grant)
        assert got.rotated is not None
        assert secrets.value() == got.rotated.reveal()
    assert len(secrets.writes) == 3


async def test_where_nothing_is_rotated_nothing_is_written(
    server: TokenServer, secrets: Secrets
) -> None:
    tokens, grant = process(server, secrets), kept(at(server, google_user()))
    for _ in range(2):
        await use(tokens, grant)
    assert (secrets.writes, tokens.keeping(grant)) == ([], Keeping())


async def test_a_new_token_of_the_user_wins(server: TokenServer, secrets: Secrets) -> None:
    await use(process(server, secrets), microsoft(server))
    got = await use(process(server, secrets), microsoft(server, "again", "uid/2"))
    assert got.rotated is not None
    assert shown(server)[-1] == "again"
    assert (secrets.value(), secrets.value("seedToken")) == (got.rotated.reveal(), "again")
    assert secrets.note("seeded-from") == "uid/2"


async def test_what_is_outdated_goes_although_nothing_is_rotated(
    server: TokenServer, secrets: Secrets
) -> None:
    await use(process(server, secrets), microsoft(server))
    server.rotates = False
    await use(process(server, secrets), microsoft(server, "again", "uid/2"))
    assert secrets.value() == "again"


async def test_an_edit_of_the_users_secret_is_no_new_token(
    server: TokenServer, secrets: Secrets
) -> None:
    got = await use(process(server, secrets), microsoft(server))
    assert got.rotated is not None
    await use(process(server, secrets), microsoft(server, version="uid/2"))
    assert shown(server) == [SEED, got.rotated.reveal()]


async def test_where_the_kept_one_is_refused_the_users_serves(
    server: TokenServer, secrets: Secrets
) -> None:
    await use(process(server, secrets), microsoft(server))
    lost = secrets.value()
    del server.refreshes[lost]
    got = await use(process(server, secrets), microsoft(server))
    assert shown(server) == [SEED, lost, SEED]
    assert got.rotated is not None
    assert secrets.value() == got.rotated.reveal()


async def test_without_write_back_the_old_one_ends(server: TokenServer, secrets: Secrets) -> None:
    await use(process(server, secrets), microsoft(server))
    del server.refreshes[SEED]
    await use(process(server, secrets), microsoft(server))
    without = replace(microsoft(server), kept_for=None)
    assert isinstance(await process(server, secrets).token(without), TokenFailure)


def foreign(**changes: Any) -> dict[str, Any]:
    """A Secret of the name that rotation wants."""
    owner = {
        "apiVersion": "postroom.dev/v1alpha1",
        "kind": "EmailAccount",
        "uid": "uid-support",
        "controller": True,
    }
    return {
        "type": changes.pop("type", "postroom.dev/refresh-token"),
        "metadata": {"name": KEPT_NAME, "ownerReferences": [{**owner, **changes}]},
        "data": {"refreshToken": "Zm9yZWlnbg=="},
    }


FOREIGN = [
    {**foreign(), "metadata": {"name": KEPT_NAME}},
    {**foreign(), "metadata": {"name": KEPT_NAME, "ownerReferences": "absurd"}},
    {**foreign(), "metadata": {"name": KEPT_NAME, "ownerReferences": ["absurd"]}},
    foreign(type="Opaque"),
    foreign(uid="another"),
    foreign(kind="MailServer"),
    foreign(controller=False),
    foreign(apiVersion="apps/v1"),
]


@pytest.mark.parametrize("other", FOREIGN)
async def test_a_foreign_secret_is_never_touched_or_used(
    server: TokenServer, secrets: Secrets, other: dict[str, Any]
) -> None:
    secrets.put(other)
    before = dict(secrets.there)
    tokens, grant = process(server, secrets), microsoft(server)
    for _ in range(2):
        await use(tokens, grant)
    assert (secrets.there, secrets.writes) == (before, [])
    assert "foreign" not in shown(server)
    assert tokens.keeping(grant).problem is KeepingProblem.NAME_TAKEN
    del secrets.there[KEPT_NAME]
    await use(tokens, grant)
    assert tokens.keeping(grant) == Keeping(kept_at=NOW)


@pytest.mark.parametrize(
    ("data", "annotations"),
    [
        ({}, {}),
        ({"refreshToken": ""}, {"postroom.dev/kept-at": "yesterday"}),
        ({"refreshToken": "%"}, {"postroom.dev/seeded-from": "x"}),
        (None, None),
    ],
)
async def test_what_somebody_edited_is_mended(
    server: TokenServer, secrets: Secrets, data: object, annotations: object
) -> None:
    await use(process(server, secrets), microsoft(server))
    edited = secrets.there[KEPT_NAME]
    metadata = {**edited["metadata"], "annotations": annotations}
    secrets.put({**edited, "data": data, "metadata": metadata})
    got = await use(process(server, secrets), microsoft(server))
    assert got.rotated is not None
    assert secrets.value() == got.rotated.reveal()


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        (403, KeepingProblem.FORBIDDEN),
        (422, KeepingProblem.REFUSED),
        (500, KeepingProblem.UNAVAILABLE),
        (0, KeepingProblem.UNAVAILABLE),
    ],
)
async def test_a_write_that_fails_costs_no_token(
    server: TokenServer, secrets: Secrets, status: int, problem: KeepingProblem
) -> None:
    tokens, grant = process(server, secrets), microsoft(server)
    secrets.faults = [status]
    await use(tokens, grant)
    assert tokens.keeping(grant).problem is problem
    await use(tokens, grant)
    assert tokens.keeping(grant) == Keeping(kept_at=NOW)


@pytest.mark.parametrize("status", [404, 409])
async def test_whoever_was_faster_is_read_again(
    server: TokenServer, secrets: Secrets, status: int
) -> None:
    tokens, grant = process(server, secrets), microsoft(server)
    secrets.faults = [status]
    await use(tokens, grant)
    assert len(secrets.writes) == 2
    secrets.passes(days=1)
    secrets.faults = [status] * 9
    await use(tokens, grant)
    assert len(secrets.writes) == 5, "three attempts, then with the next token"
    assert tokens.keeping(grant) == Keeping(KeepingProblem.UNAVAILABLE, NOW)


async def test_a_stalled_write_holds_up_no_token(
    server: TokenServer, secrets: Secrets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "_PATIENCE", 0.05)
    secrets.stalled = True
    tokens, grant = process(server, secrets), microsoft(server)
    await use(tokens, grant)
    assert tokens.keeping(grant).problem is KeepingProblem.UNAVAILABLE


async def test_where_the_kept_one_cannot_be_read_a_refusal_is_no_verdict(
    server: TokenServer, secrets: Secrets
) -> None:
    secrets.unreadable = True
    got = await process(server, secrets).token(microsoft(server, "dead"))
    assert isinstance(got, TokenFailure)
    assert (got.conclusive, got.failure_class) == (False, FailureClass.TRANSIENT)
    assert f"Secret {KEPT_NAME}" in got.message
    assert isinstance(await process(server, secrets).token(microsoft(server)), AccessToken)


async def test_what_is_remembered_is_bounded(server: TokenServer, secrets: Secrets) -> None:
    store = rotation.OwnedSecrets(secrets, secrets.store()._writer, limit=2)
    for number in range(5):
        await store.newest(microsoft(server, version=f"uid/{number}"))
    assert len(store._known) == 2


async def test_where_it_is_off_nothing_is_read_or_written(server: TokenServer) -> None:
    tokens, grant = source(server.port), microsoft(server)
    assert tokens.keeping(grant).problem is KeepingProblem.NOT_AVAILABLE
    tokens.keep_in(NoRotation())
    await use(tokens, grant)
    assert tokens.keeping(grant).problem is KeepingProblem.NOT_ALLOWED


@pytest.mark.parametrize("fault", [None, 403, 422, 500, 409])
async def test_no_refresh_token_shows(
    server: TokenServer, secrets: Secrets, fault: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.refreshes["canary-seed"] = Refresh("mid", MAILBOX, OUTLOOK)
    secrets.faults = [fault] * 3 if fault else []
    tokens, store, grant = source(server.port), secrets.store(), microsoft(server, "canary-seed")
    tokens.keep_in(store)
    await use(tokens, grant)
    await use(tokens, grant)
    (body, *_) = secrets.sent
    told = f"{tokens.keeping(grant)} {grant!r} {vars(tokens)} {store._known}"
    seen = caplog.text + told
    for value in (*body["data"].values(), *server.refreshes):
        assert len(value) < 8 or value not in seen
    assert server.paths[0] == MICROSOFT_PATH
