# SPDX-License-Identifier: Apache-2.0
"""What news leads to: who is queued, when, and who is left alone."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from postroom.api.names import Key, Kind
from postroom.api.status import DEFAULT_STATUS
from postroom.controller.cache import Cache
from postroom.controller.intake import Intake
from postroom.controller.queue import KeyedQueue
from postroom.dns import ownership
from postroom.reconcile.tenancy.addresses import Contention
from postroom.reconcile.tenancy.claims import Claim, ClaimBook
from unit.controller.samples import ACCOUNT, DOMAIN, SERVER, ready, stored

NOW = datetime(2026, 6, 1, 12, 1, tzinfo=UTC)
KEY = b"k" * 32


@pytest.fixture
async def intake() -> Intake:
    """An intake that is not released yet."""
    return Intake(Cache(), KeyedQueue(), now=lambda: NOW)


def waiting(intake: Intake) -> set[Key]:
    """Return the keys that wait, and take them off."""
    found = set(intake.queue._waiting)
    for key in found:
        intake.queue.forget(key)
    return found


def known(intake: Intake, *keys: Key) -> None:
    """Have objects known that are fresh and Ready, and release."""
    for key in keys:
        intake.seen(key.kind, stored(key, version=10, status=ready()))
    intake.release()
    waiting(intake)


async def test_before_the_release_nothing_is_queued(intake: Intake) -> None:
    intake.seen(SERVER.kind, stored(SERVER))
    assert waiting(intake) == set()
    intake.release()
    assert waiting(intake) == {SERVER}


async def test_what_others_stand_on_is_queued_first(intake: Intake) -> None:
    for key in (ACCOUNT, SERVER, DOMAIN):
        intake.seen(key.kind, stored(key))
    intake.release()
    assert [await intake.queue.take() for _ in range(2)] == [DOMAIN, SERVER]


async def test_a_verdict_that_comes_during_the_release_reaches_who_is_not_released_yet(
    intake: Intake,
) -> None:
    intake.seen(SERVER.kind, stored(SERVER, status=ready()))
    intake.seen(ACCOUNT.kind, stored(ACCOUNT, status=ready()))
    releasing = intake.releasing()
    next(releasing)
    assert not intake.queue.has(ACCOUNT)
    intake.seen(SERVER.kind, stored(SERVER, version=2, status=ready("False")))
    assert ACCOUNT in intake.queue._waiting
    list(releasing)
    assert ACCOUNT in waiting(intake)


async def test_what_is_at_work_when_its_turn_comes_is_not_released_again(intake: Intake) -> None:
    for key in (DOMAIN, SERVER):
        intake.seen(key.kind, stored(key))
    releasing = intake.releasing()
    next(releasing)
    intake.seen(SERVER.kind, stored(SERVER, version=2, generation=2))
    assert await intake.queue.take() == SERVER  # before the domain: somebody changed it
    list(releasing)
    intake.queue.done(SERVER)
    assert waiting(intake) == {DOMAIN}


async def test_what_is_gone_when_its_turn_comes_is_not_released(intake: Intake) -> None:
    for key in (DOMAIN, SERVER):
        intake.seen(key.kind, stored(key))
    releasing = intake.releasing()
    next(releasing)
    intake.gone(SERVER)
    list(releasing)
    assert waiting(intake) == {DOMAIN}
    assert intake.dependants.references(SERVER) == frozenset()


@pytest.mark.parametrize("released", [True, False])
@pytest.mark.parametrize("other", [SERVER, DOMAIN])
async def test_an_account_awaits_the_first_verdict_on_what_it_stands_on(
    intake: Intake, other: Key, released: bool
) -> None:
    others = [key for key in (SERVER, DOMAIN) if key != other]
    for key in others:
        intake.seen(key.kind, stored(key, status=ready()))
    intake.seen(other.kind, stored(other, status=dict(DEFAULT_STATUS)))
    if released:
        intake.release()
    began = time.monotonic()
    intake.seen(ACCOUNT.kind, stored(ACCOUNT, status=dict(DEFAULT_STATUS)))
    if not released:
        intake.release()
    waiting_now = waiting(intake)
    assert other in waiting_now
    assert ACCOUNT not in waiting_now
    # Whatever becomes of the other one, it is looked at in the end.
    assert began < intake.queue._due[ACCOUNT] <= time.monotonic() + 2
    intake.seen(other.kind, stored(other, version=2, status=ready()))
    assert ACCOUNT in waiting(intake)


@pytest.mark.parametrize("spec", [{"address": "a@example.net", "serverRef": {"name": "none"}}, {}])
async def test_an_account_waits_for_nobody_who_is_not_there_or_not_its_own(
    intake: Intake, spec: dict[str, Any]
) -> None:
    for key in (SERVER, DOMAIN):
        intake.seen(key.kind, stored(key))
    intake.seen(ACCOUNT.kind, stored(ACCOUNT, spec=spec))
    intake.release()
    assert waiting(intake) == {SERVER, DOMAIN, ACCOUNT}


async def test_what_is_fresh_waits_for_its_time(intake: Intake) -> None:
    intake.seen(SERVER.kind, stored(SERVER, status=ready()))
    intake.release()
    assert (intake.queue.waiting, intake.queue.scheduled) == (0, 1)


async def test_a_terminating_object_is_left_alone(intake: Intake) -> None:
    raw = stored(SERVER)
    raw["metadata"]["deletionTimestamp"] = "2026-06-01T12:00:00Z"
    intake.seen(SERVER.kind, raw)
    intake.release()
    assert intake.queue.waiting == intake.queue.scheduled == 0


async def test_a_new_generation_is_due_at_once(intake: Intake) -> None:
    known(intake, SERVER)
    intake.seen(SERVER.kind, stored(SERVER, version=11, generation=2, status=ready()))
    assert waiting(intake) == {SERVER}


async def test_a_request_is_due_at_once_and_reads_secrets_afresh(intake: Intake) -> None:
    known(intake, SERVER)
    stale: list[tuple[str, str | None]] = []
    intake.on_stale_sources = lambda namespace, name: stale.append((namespace, name))
    token = {"postroom.dev/requested-at": "now"}
    intake.seen(SERVER.kind, stored(SERVER, version=11, annotations=token, status=ready()))
    assert waiting(intake) == {SERVER}
    assert stale == [("mail", None)]


async def test_a_foreign_status_is_due_at_once(intake: Intake) -> None:
    known(intake, SERVER)
    intake.seen(SERVER.kind, stored(SERVER, version=11))
    assert SERVER in waiting(intake)


async def test_our_own_write_queues_nothing(intake: Intake) -> None:
    known(intake, SERVER)
    intake.cache.begin_write(SERVER)
    fresh = ready(checked="2026-06-01T12:15:00Z")
    intake.written(SERVER, stored(SERVER, version=11, status=fresh))
    assert waiting(intake) == set()


async def test_a_flip_of_a_server_brings_its_accounts_back(intake: Intake) -> None:
    known(intake, SERVER, ACCOUNT)
    intake.cache.begin_write(SERVER)
    intake.written(SERVER, stored(SERVER, version=11, status=ready("False")))
    assert waiting(intake) == {ACCOUNT}


async def test_a_new_spec_of_a_server_waits_for_its_verdict(intake: Intake) -> None:
    known(intake, SERVER, ACCOUNT)
    intake.seen(SERVER.kind, stored(SERVER, version=11, generation=2, status=ready()))
    assert waiting(intake) == {SERVER}
    intake.cache.begin_write(SERVER)
    answer = stored(SERVER, version=12, generation=2, status=ready(generation=2))
    intake.written(SERVER, answer)
    assert waiting(intake) == {ACCOUNT}


async def test_a_server_that_appears_brings_waiting_accounts_back(intake: Intake) -> None:
    known(intake, ACCOUNT)
    intake.seen(SERVER.kind, stored(SERVER, version=11))
    assert waiting(intake) == {SERVER, ACCOUNT}


async def test_a_server_that_vanishes_brings_its_accounts_back(intake: Intake) -> None:
    known(intake, SERVER, ACCOUNT)
    intake.gone(SERVER, "uid-1")
    assert waiting(intake) == {ACCOUNT}


async def test_a_server_that_is_default_no_more_brings_accounts_back(intake: Intake) -> None:
    known(intake, SERVER, ACCOUNT)
    spec = {"host": "smtp.example.com"}
    raw = stored(SERVER, version=11, generation=2, spec=spec, status=ready())
    intake.seen(SERVER.kind, raw)
    assert waiting(intake) == {SERVER, ACCOUNT}


@pytest.mark.parametrize("key", [SERVER, ACCOUNT])
async def test_a_mark_that_is_newer_brings_the_others_back(intake: Intake, key: Key) -> None:
    rival, spec = key._replace(name="rival"), {**stored(key)["spec"], "default": False}
    for each in (key, rival):
        intake.seen(each.kind, stored(each, version=10, spec=spec, status=ready()))
    intake.release()
    intake.dependants.update(rival, frozenset({f"{key.kind}/default=true"}))
    waiting(intake)
    spec = {**spec, "default": True}
    intake.seen(key.kind, stored(key, version=11, spec=spec, generation=2, status=ready()))
    assert waiting(intake) == {key, rival}
    marked = {**ready(), "defaultSince": "2026-06-01T12:00:00Z"}
    for version, woken in ((12, {rival}), (13, set())):
        intake.cache.begin_write(key)
        answer = stored(key, version=version, spec=spec, generation=2, status=marked)
        intake.written(key, answer)
        assert waiting(intake) == woken


async def test_a_domain_brings_its_accounts_back(intake: Intake) -> None:
    known(intake, ACCOUNT)
    intake.seen(DOMAIN.kind, stored(DOMAIN, version=11))
    assert waiting(intake) == {DOMAIN, ACCOUNT}


async def test_other_namespaces_are_left_alone(intake: Intake) -> None:
    known(intake, ACCOUNT)
    elsewhere = SERVER._replace(namespace="other")
    intake.seen(SERVER.kind, stored(elsewhere, version=11))
    assert waiting(intake) == {elsewhere}


async def test_accounts_come_and_go_in_the_count_of_their_server(intake: Intake) -> None:
    known(intake, SERVER)
    intake.dependants.update(SERVER, frozenset({"EmailAccount/server="}))
    due = intake.queue._due
    due.clear()
    intake.seen(ACCOUNT.kind, stored(ACCOUNT, version=11))
    assert waiting(intake) == {ACCOUNT} and set(due) == {SERVER}
    due.clear()
    intake.gone(ACCOUNT)
    assert set(due) == {SERVER}


async def test_a_thousand_accounts_are_counted_at_once(intake: Intake) -> None:
    known(intake, SERVER)
    intake.dependants.update(SERVER, frozenset({"EmailAccount/server="}))
    due = intake.queue._due
    due.clear()
    for number in range(1000):
        key = ACCOUNT._replace(name=f"a{number}")
        spec = {"address": f"a{number}@example.com"}
        intake.seen(key.kind, stored(key, version=100 + number, uid=key.name, spec=spec))
        assert SERVER not in intake.queue._waiting
        moment = due[SERVER]
    assert due[SERVER] == moment


def admitting(version: int, *names: str) -> dict[str, Any]:
    """The server after an edit of whom it admits."""
    allowed = {"from": "Names", "names": list(names)}
    spec = {"host": "smtp.example.com", "allowedNamespaces": allowed}
    return stored(SERVER, version=version, generation=version, spec=spec, status=ready())


async def test_accounts_of_other_namespaces_come_back_with_their_server(intake: Intake) -> None:
    reference = {"name": SERVER.name, "namespace": SERVER.namespace}
    spec = {"address": "support@example.com", "serverRef": reference}
    theirs, others = (ACCOUNT._replace(namespace=name) for name in ("team-a", "team-b"))
    intake.seen(SERVER.kind, admitting(10, "team-a", "team-b"))
    for key in (theirs, others):
        intake.seen(key.kind, stored(key, version=10, spec=spec, status=ready()))
    intake.release()
    assert intake.cache.keys_under(theirs.kind, "server=mail/smtp") == [theirs, others]
    waiting(intake)
    intake.seen(SERVER.kind, admitting(11, "team-b"))
    assert waiting(intake) == {SERVER, theirs}, "who is shut out hears of it at once"
    judged = {**admitting(12, "team-b"), "status": ready("False", 11)}
    intake.seen(SERVER.kind, judged)
    assert waiting(intake) == {SERVER, theirs, others}
    # And the other way round: the server counts them.
    counting = "EmailAccount/server=mail/smtp"
    intake.dependants.update(SERVER, frozenset({counting}))
    intake.queue._due.clear()
    intake.gone(theirs)
    assert set(intake.queue._due) == {SERVER}
    assert intake.cache.keys_under(theirs.kind, "server=mail/smtp") == [others]
    intake.gone(SERVER)
    assert waiting(intake) == {others}


async def test_a_verdict_on_an_account_concerns_nobody_else(intake: Intake) -> None:
    known(intake, SERVER, ACCOUNT)
    intake.dependants.update(SERVER, frozenset({"EmailAccount/server="}))
    intake.cache.begin_write(ACCOUNT)
    intake.written(ACCOUNT, stored(ACCOUNT, version=11, status=ready("False")))
    assert waiting(intake) == set()


async def test_two_accounts_of_an_address_notice_each_other(intake: Intake) -> None:
    known(intake, ACCOUNT)
    same = "EmailAccount/address=support@example.com"
    intake.dependants.update(ACCOUNT, frozenset({same}))
    rival = ACCOUNT._replace(name="rival")
    intake.seen(rival.kind, stored(rival, version=11, uid="uid-2"))
    assert waiting(intake) == {rival, ACCOUNT}


async def test_whoever_sends_as_an_address_looks_again_when_others_contend_for_it(
    intake: Intake,
) -> None:
    other = ACCOUNT._replace(name="other")
    known(intake, ACCOUNT, other)
    intake.dependants.update(other, frozenset({"EmailAccount/address=support@example.com"}))
    rival = ACCOUNT._replace(namespace="elsewhere")
    intake.seen(rival.kind, stored(rival, version=11, uid="uid-2"))
    assert waiting(intake) == {rival, ACCOUNT, other}


def leaving(key: Key, version: int) -> dict[str, Any]:
    """An object that is being deleted, and that a finalizer keeps."""
    raw = stored(key, version=version, generation=2, status=ready())
    raw["metadata"]["deletionTimestamp"] = "2026-06-01T12:00:00Z"
    return raw


@pytest.mark.parametrize("restarted", [False, True])
async def test_what_a_finalizer_keeps_keeps_no_address_from_others(
    intake: Intake, restarted: bool
) -> None:
    rival = ACCOUNT._replace(namespace="zz-elsewhere")
    if not restarted:
        known(intake, ACCOUNT, rival)
        claims, book = intake.cache.claims, intake.cache.addresses
        assert book.contention(rival, claims) is Contention.LOST
    intake.seen(ACCOUNT.kind, leaving(ACCOUNT, 11))
    if restarted:
        known(intake, rival)
    else:
        assert rival in waiting(intake)
    claims, book = intake.cache.claims, intake.cache.addresses
    assert book.contention(rival, claims) is Contention.NONE


def verified(moment: str) -> dict[str, Any]:
    return {**ready(), "verification": "Verified", "verifiedAt": moment}


@pytest.mark.parametrize("proven", [False, True])
async def test_what_a_finalizer_keeps_keeps_no_domain_from_others(proven: bool) -> None:
    """A proof of an object that nobody looks at any more could have been withdrawn since."""
    intake = Intake(Cache(ClaimBook((KEY,))), KeyedQueue(), now=lambda: NOW)
    rival = DOMAIN._replace(namespace="elsewhere")
    mine = verified("2026-01-02T00:00:00Z")
    if proven:
        name, token = ownership.challenge(KEY, DOMAIN.namespace, "example.com")
        record = {"purpose": "Ownership", "state": "Valid", "name": name, "observed": [token]}
        mine["records"] = [record]
    claimed = {**ready("False"), "verification": "Failed"}
    claimed["conditions"][0]["reason"] = "DomainClaimed"
    intake.seen(DOMAIN.kind, stored(DOMAIN, version=10, status=mine))
    intake.seen(rival.kind, stored(rival, version=10, status=claimed))
    intake.release()
    waiting(intake)
    claims = intake.cache.claims
    assert (claims.refuses(rival), claims.refuses(DOMAIN)) == (True, False)
    intake.seen(DOMAIN.kind, {**leaving(DOMAIN, 11), "status": mine})
    assert rival in waiting(intake)
    assert (claims.refuses(rival), claims.refuses(DOMAIN)) == (False, False)
    # A run that began before must not bring the claim back.
    claims.hold(Claim("mail", "example", "example.com", verified_at="2026-01-02", proven=proven))
    intake.seen(rival.kind, stored(rival, version=12, status=verified("2026-06-01T12:00:00Z")))
    assert (claims.refuses(rival), claims.refuses(DOMAIN)) == (False, True)


@pytest.mark.parametrize("known_by", ["support", "address=support@example.com"])
async def test_an_account_that_is_disconnected_brings_back_who_relies_on_it(
    intake: Intake, known_by: str
) -> None:
    peer = ACCOUNT._replace(name="peer")
    known(intake, ACCOUNT, peer)
    intake.dependants.update(peer, frozenset({f"EmailAccount/{known_by}"}))
    spec = {"address": "support@example.com"}
    for generation, connection in enumerate(("Disconnected", "Connected"), 2):
        changed = stored(
            ACCOUNT,
            version=10 + generation,
            generation=generation,
            spec={**spec, "connection": connection},
            status=ready(),
        )
        intake.seen(ACCOUNT.kind, changed)
        assert waiting(intake) == {ACCOUNT, peer}
    named = {**spec, "displayName": "Support"}
    renamed = stored(ACCOUNT, version=20, generation=4, spec=named, status=ready())
    intake.seen(ACCOUNT.kind, renamed)
    assert waiting(intake) == {ACCOUNT}, "what is nothing to others wakes nobody"


async def test_a_changed_spec_stands_on_what_it_names_before_it_runs(intake: Intake) -> None:
    known(intake, ACCOUNT)
    spec = {"address": "support@example.com", "serverRef": {"name": "later"}}
    raw = stored(ACCOUNT, version=11, generation=2, spec=spec, status=ready())
    intake.seen(ACCOUNT.kind, raw)
    waiting(intake)
    later = SERVER._replace(name="later")
    intake.seen(later.kind, stored(later, version=12, uid="uid-2"))
    assert waiting(intake) == {later, ACCOUNT}


@pytest.mark.parametrize("goes", [None, "deleted", "terminating"])
async def test_before_the_release_the_last_picture_tells_what_an_object_stands_on(
    intake: Intake, goes: str | None
) -> None:
    for version, server in enumerate(("earlier", "later"), 1):
        spec = {"address": "support@example.com", "serverRef": {"name": server}}
        raw = stored(ACCOUNT, version=version, generation=version, spec=spec)
        if goes == "terminating" and version == 2:
            raw["metadata"]["deletionTimestamp"] = "2026-06-01T12:00:00Z"
        intake.seen(ACCOUNT.kind, raw)
    if goes == "deleted":
        intake.gone(ACCOUNT, "uid-1")
    intake.release()
    stands_on = {
        server: intake.dependants.of("mail", [f"MailServer/{server}"])
        for server in ("earlier", "later")
    }
    assert stands_on == {"earlier": [], "later": [] if goes else [ACCOUNT]}


async def test_what_is_deleted_is_forgotten_altogether(intake: Intake) -> None:
    known(intake, ACCOUNT)
    memory = intake.memory(ACCOUNT)
    intake.gone(ACCOUNT)
    assert intake.queue.scheduled == 0
    assert intake.dependants.of("mail", ["MailServer/default=true"]) == []
    assert intake.memory(ACCOUNT) is not memory


async def test_a_recreated_object_starts_afresh(intake: Intake) -> None:
    known(intake, ACCOUNT)
    memory = intake.memory(ACCOUNT)
    intake.seen(ACCOUNT.kind, stored(ACCOUNT, version=11, uid="uid-2"))
    assert waiting(intake) == {ACCOUNT}
    assert intake.memory(ACCOUNT) is not memory


async def test_a_changed_secret_brings_back_who_uses_it(intake: Intake) -> None:
    known(intake, ACCOUNT)
    intake.dependants.update(ACCOUNT, frozenset({"Secret/login"}))
    stale: list[tuple[str, str | None]] = []
    intake.on_stale_sources = lambda namespace, name: stale.append((namespace, name))
    intake.source_seen("Secret", "mail", "login", "5")
    assert waiting(intake) == {ACCOUNT}
    assert stale == [("mail", "login")]


async def test_what_somebody_changed_goes_before_what_stands_on_something_changed(
    intake: Intake,
) -> None:
    dependant = ACCOUNT._replace(name="dependant")
    known(intake, SERVER, ACCOUNT, dependant)
    intake.dependants.update(dependant, frozenset({"Secret/login"}))
    intake.source_seen("Secret", "mail", "login", "5")
    intake.cache.begin_write(SERVER)
    intake.written(SERVER, stored(SERVER, version=11, status=ready("False")))
    changed = ACCOUNT._replace(name="changed")
    intake.seen(changed.kind, stored(changed, version=12))
    taken = [await intake.queue.take() for _ in range(3)]
    assert taken[0] == changed
    assert set(taken[1:]) == {ACCOUNT, dependant}


@pytest.mark.parametrize(("version", "brought_back"), [("5", False), ("6", True), (None, True)])
async def test_a_secret_counts_as_changed_by_its_version(
    intake: Intake, version: str | None, brought_back: bool
) -> None:
    intake.source_seen("Secret", "mail", "login", "5")
    known(intake, ACCOUNT)
    intake.dependants.update(ACCOUNT, frozenset({"Secret/login"}))
    intake.source_seen("Secret", "mail", "login", version)
    assert (ACCOUNT in waiting(intake)) is brought_back


async def test_every_kind_has_a_place_in_the_start_order(intake: Intake) -> None:
    # Each in a namespace of its own, so that none waits for another.
    keys = [Key(kind, kind.plural, "x") for kind in Kind]
    for key in keys:
        intake.seen(key.kind, stored(key))
    intake.release()
    assert waiting(intake) == set(keys)
