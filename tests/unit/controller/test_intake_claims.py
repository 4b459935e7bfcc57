# SPDX-License-Identifier: Apache-2.0
"""Claims of several namespaces on one domain: whom news of one brings back, and whom not."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from postroom.api.names import Key, Kind
from postroom.controller.cache import Cache
from postroom.controller.intake import Intake
from postroom.controller.queue import KeyedQueue
from postroom.dns import ownership
from postroom.reconcile.tenancy.claims import ClaimBook
from unit.controller.samples import ready, stored

NOW = datetime(2026, 6, 1, 12, 1, tzinfo=UTC)
KEY = b"the operator's present key"
OURS, THEIRS = Key(Kind.SENDING_DOMAIN, "a", "d"), Key(Kind.SENDING_DOMAIN, "b", "d")
APART = Key(Kind.SENDING_DOMAIN, "c", "d")
DOMAINS = {OURS: "x.mail.example.com", THEIRS: "mail.example.com", APART: "y.example.com"}
EARLY, LATE = "2026-06-01T11:00:00Z", "2026-06-01T12:00:00Z"
LONG_AGO = "2026-05-01T00:00:00Z"


def status(key: Key, verified: str = "", *, proven: bool = False, refused: bool = False) -> Any:
    """A fresh status, as the API server holds it."""
    name, token = ownership.challenge(KEY, key.namespace, DOMAINS[key])
    record: dict[str, Any] = {
        "id": "ownership",
        "purpose": "Ownership",
        "name": name,
        "state": "Missing",
    }
    record |= {"hostLabel": "@", "type": "TXT", "value": token, "required": True}
    if proven:
        record |= {"state": "Valid", "observed": [token]}
    made = ready("False" if refused else "True")
    if refused:
        made["conditions"][0]["reason"] = "DomainClaimed"
    return {**made, "records": [record], **({"verifiedAt": verified} if verified else {})}


@pytest.fixture
async def intake() -> Intake:
    return Intake(Cache(ClaimBook((KEY,))), KeyedQueue(), now=lambda: NOW)


def seen(intake: Intake, key: Key, version: int, holds: Any) -> None:
    spec = {"domain": DOMAINS[key]}
    intake.seen(key.kind, stored(key, version=version, spec=spec, status=holds))


def waiting(intake: Intake) -> set[Key]:
    found = set(intake.queue._waiting)
    for key in found:
        intake.queue.forget(key)
    return found


def known(intake: Intake, **statuses: Any) -> None:
    for key in (OURS, THEIRS, APART):
        if key.namespace in statuses:
            seen(intake, key, 10, statuses[key.namespace])
    intake.release()
    waiting(intake)


async def test_a_proof_brings_back_whoever_holds_the_domain_without_one(intake: Intake) -> None:
    known(intake, a=status(OURS, EARLY), b=status(THEIRS, refused=True), c=status(APART, EARLY))
    seen(intake, THEIRS, 11, status(THEIRS, proven=True))
    assert OURS in waiting(intake)
    assert intake.cache.claims.refuses(OURS)
    assert not intake.cache.claims.refuses(THEIRS)
    assert not intake.cache.claims.refuses(APART)


async def test_a_copied_token_brings_nobody_back(intake: Intake) -> None:
    known(intake, a=status(OURS, EARLY), b=status(THEIRS, refused=True))
    copied = status(THEIRS, refused=True)
    copied["records"][0] = {**status(OURS, proven=True)["records"][0], "name": DOMAINS[THEIRS]}
    seen(intake, THEIRS, 11, copied)
    assert OURS not in waiting(intake)
    assert not intake.cache.claims.refuses(OURS)


async def test_the_winner_s_end_brings_back_who_was_refused_and_nobody_else(
    intake: Intake,
) -> None:
    known(intake, a=status(OURS, EARLY), b=status(THEIRS, refused=True), c=status(APART, EARLY))
    intake.gone(OURS)
    assert waiting(intake) == {THEIRS}


async def test_a_newcomer_disturbs_nobody(intake: Intake) -> None:
    known(intake, a=status(OURS, EARLY))
    seen(intake, THEIRS, 11, None)
    assert waiting(intake) == {THEIRS}
    intake.gone(THEIRS)
    assert waiting(intake) == set()


async def test_a_spec_that_cannot_be_understood_claims_nothing(intake: Intake) -> None:
    known(intake, a=status(OURS, EARLY), b=status(THEIRS, refused=True))
    bad = {"domain": DOMAINS[OURS], "ownership": {"name": "example.org"}}
    raw = stored(OURS, version=11, generation=2, spec=bad, status=status(OURS, EARLY))
    intake.seen(OURS.kind, raw)
    assert waiting(intake) == {OURS, THEIRS}


@pytest.mark.parametrize("first", [OURS, THEIRS])
async def test_a_restart_looks_at_what_is_not_settled_whatever_came_first(
    intake: Intake, first: Key
) -> None:
    """Both statuses say Ready: the later verified one is looked at at once, though it is fresh."""
    statuses = {OURS: status(OURS, EARLY), THEIRS: status(THEIRS, LATE)}
    for key in sorted(statuses, key=lambda key: key != first):
        seen(intake, key, 10, statuses[key])
    intake.release()
    assert waiting(intake) == {THEIRS}


async def test_the_end_of_our_own_write_counts_as_news(intake: Intake) -> None:
    known(intake, a=status(OURS, EARLY), b=status(THEIRS, refused=True))
    intake.cache.begin_write(THEIRS)
    written = stored(
        THEIRS, version=12, spec={"domain": DOMAINS[THEIRS]}, status=status(THEIRS, proven=True)
    )
    intake.written(THEIRS, written)
    assert OURS in waiting(intake)


async def test_a_proof_below_a_domain_leaves_it_to_who_has_it(intake: Intake) -> None:
    """A token of x.mail.example.com says nothing about mail.example.com."""
    known(intake, a=status(OURS, refused=True), b=status(THEIRS, EARLY))
    seen(intake, OURS, 11, status(OURS, LATE, proven=True))
    assert THEIRS not in waiting(intake)
    assert not intake.cache.claims.refuses(THEIRS)
    assert not intake.cache.claims.refuses(OURS)


@pytest.mark.parametrize(
    ("spec", "verification", "kept"),
    [
        ({}, {"verification": "Verified"}, True),
        ({"suspend": False, "gracePeriod": "0s"}, {"verification": "Verified"}, True),
        ({"suspend": True}, {"verification": "Verified"}, False),
        ({"gracePeriod": "0s"}, {"verification": "Degraded", "degradedAt": EARLY}, False),
        ({"gracePeriod": "5h"}, {"verification": "Degraded", "degradedAt": EARLY}, True),
        ({}, {"verification": "Degraded", "degradedAt": EARLY}, True),
        ({"gracePeriod": "720h"}, {"verification": "Degraded", "degradedAt": LONG_AGO}, False),
        ({}, {"verification": "Unknown"}, False),
    ],
)
async def test_whether_who_is_refused_comes_back_follows_from_what_is_stored(
    intake: Intake, spec: dict[str, Any], verification: dict[str, Any], kept: bool
) -> None:
    holder = {**status(OURS, EARLY), "lastCheckTime": LATE, **verification}
    raw = stored(OURS, version=10, spec={"domain": DOMAINS[OURS], **spec}, status=holder)
    intake.seen(OURS.kind, raw)
    seen(intake, THEIRS, 10, status(THEIRS, refused=True))
    assert intake.cache.claims.refuses(THEIRS) is kept
    intake.release()
    assert (THEIRS in waiting(intake)) is not kept
