# SPDX-License-Identifier: Apache-2.0
"""The cache: newest picture wins, own echoes are told from foreign changes, indexes follow."""

from __future__ import annotations

import json

import pytest

from postroom.api.names import Kind
from postroom.api.resource import parse_spec
from postroom.controller.cache import NO_CHANGE, Cache, Change, Difference
from postroom.controller.raw_objects import slimmed, status_of
from postroom.controller.text_pool import LONGEST
from unit.controller.samples import ACCOUNT, SERVER, ready, stored


@pytest.fixture
def cache() -> Cache:
    """A cache that holds a server, version 10."""
    cache = Cache()
    cache.put(Kind.MAIL_SERVER, stored(SERVER, version=10, status=ready()))
    return cache


def put(cache: Cache, version: int, **changes: object) -> Difference:
    """Put another picture of the server."""
    raw = stored(SERVER, version=version, **{"status": ready(), **changes})  # type: ignore[arg-type]
    return cache.put(Kind.MAIL_SERVER, raw).difference


def test_a_new_object_appears() -> None:
    change = Cache().put(Kind.MAIL_SERVER, stored(SERVER))
    assert Difference.APPEARED in change.difference
    assert change.after == {"default=true"}


def test_the_same_picture_is_no_change(cache: Cache) -> None:
    assert put(cache, 10) is Difference.NOTHING


def test_an_older_picture_is_ignored(cache: Cache) -> None:
    assert put(cache, 9, generation=2) is Difference.NOTHING
    assert cache.get(SERVER) == slimmed(stored(SERVER, version=10, status=ready()))


def test_versions_are_compared_as_numbers(cache: Cache) -> None:
    assert put(cache, 100, generation=2) is Difference.SPEC
    assert put(cache, 99, generation=3) is Difference.NOTHING


def test_an_older_picture_is_taken_by_force(cache: Cache) -> None:
    raw = stored(SERVER, version=5, generation=2, status=ready())
    assert cache.put(Kind.MAIL_SERVER, raw, force=True).difference is Difference.SPEC


def test_versions_that_are_no_numbers_count_by_arrival(cache: Cache) -> None:
    raw = stored(SERVER, status=ready(), generation=2)
    raw["metadata"]["resourceVersion"] = "opaque"
    assert cache.put(Kind.MAIL_SERVER, raw).difference is Difference.SPEC


def test_another_fault_of_a_server_is_news_for_its_accounts(cache: Cache) -> None:
    broken = ready("False")
    put(cache, 11, status=broken)
    (condition,) = broken["conditions"]
    another = {**broken, "conditions": [{**condition, "message": "It has expired."}]}
    assert Difference.READY in put(cache, 12, status=another)
    works = {**broken, "conditions": [{**condition, "status": "True"}]}
    put(cache, 13, status=works)
    in_other_words = {**works, "conditions": [{**works["conditions"][0], "message": "Fine."}]}
    assert Difference.READY not in put(cache, 14, status=in_other_words)


def test_a_new_generation_is_a_change_of_spec(cache: Cache) -> None:
    assert put(cache, 11, generation=2) is Difference.SPEC


@pytest.mark.parametrize("key", ["postroom.dev/requested-at", "reconcile.fluxcd.io/requestedAt"])
def test_a_new_token_is_a_request(cache: Cache, key: str) -> None:
    assert put(cache, 11, annotations={key: "now"}) is Difference.REQUEST
    assert put(cache, 12, annotations={key: "now"}) is Difference.NOTHING


def test_other_annotations_and_labels_are_no_change_and_not_kept(cache: Cache) -> None:
    assert put(cache, 11, annotations={"team": "mail"}) is Difference.NOTHING
    raw = cache.get(SERVER)
    assert raw is not None and "annotations" not in raw["metadata"]


def test_a_status_that_somebody_else_changed_is_noticed(cache: Cache) -> None:
    difference = put(cache, 11, status=ready("False"))
    assert difference == Difference.STATUS | Difference.READY


def test_an_object_of_the_same_name_is_another_object(cache: Cache) -> None:
    difference = put(cache, 11, uid="uid-2")
    assert Difference.APPEARED in difference
    assert Difference.VANISHED in difference


# -- our own writes -------------------------------------------------------------------------------


def test_the_answer_to_our_write_is_no_foreign_change(cache: Cache) -> None:
    cache.begin_write(SERVER)
    answer = stored(SERVER, version=11, status=ready("False"))
    assert cache.end_write(SERVER, answer).difference is Difference.READY


def test_the_echo_after_the_answer_is_ignored(cache: Cache) -> None:
    cache.begin_write(SERVER)
    cache.end_write(SERVER, stored(SERVER, version=11, status=ready("False")))
    assert put(cache, 11, status=ready("False")) is Difference.NOTHING


def test_the_echo_before_the_answer_is_no_foreign_change(cache: Cache) -> None:
    cache.begin_write(SERVER)
    assert put(cache, 11, status=ready("False")) is Difference.READY
    answer = stored(SERVER, version=11, status=ready("False"))
    assert cache.end_write(SERVER, answer) == NO_CHANGE


@pytest.mark.parametrize("echo_first", [True, False])
def test_a_status_that_we_wrote_is_kept_as_we_have_it(cache: Cache, echo_first: bool) -> None:
    """Its texts are those of our code, once for all objects; those of an answer are its own."""
    status = ready("False")
    # A short one would be kept once anyway, and so would a condition that is met again.
    status["conditions"][0]["message"] = f"{echo_first}" * LONGEST
    cache.begin_write(SERVER, status)
    answer = json.loads(json.dumps(stored(SERVER, version=11, status=status)))
    if echo_first:
        cache.put(Kind.MAIL_SERVER, answer)
    cache.end_write(SERVER, answer)
    kept = cache.get(SERVER)
    assert kept is not None
    assert kept == slimmed(answer)
    assert kept["status"]["conditions"][0]["message"] is status["conditions"][0]["message"]


def test_a_status_that_the_api_server_made_another_of_is_kept_as_it_is_there(cache: Cache) -> None:
    cache.begin_write(SERVER, ready("Unknown"))
    cache.end_write(SERVER, stored(SERVER, version=11, status=ready("False")))
    assert cache.get(SERVER) == slimmed(stored(SERVER, version=11, status=ready("False")))


def test_a_write_that_overtook_ours_is_noticed(cache: Cache) -> None:
    cache.begin_write(SERVER)
    put(cache, 12, status=ready("Unknown"))
    answer = stored(SERVER, version=11, status=ready("False"))
    assert cache.end_write(SERVER, answer) == Change(Difference.STATUS)


def test_a_foreign_change_during_a_failed_write_is_noticed(cache: Cache) -> None:
    cache.begin_write(SERVER)
    put(cache, 11, status=ready("Unknown"))
    assert cache.end_write(SERVER, None) == Change(Difference.STATUS)


def test_a_failed_write_alone_is_no_change(cache: Cache) -> None:
    cache.begin_write(SERVER)
    assert cache.end_write(SERVER, None) == NO_CHANGE


def test_a_change_of_spec_during_a_write_is_noticed_at_once(cache: Cache) -> None:
    cache.begin_write(SERVER)
    assert put(cache, 11, generation=2) is Difference.SPEC


def test_the_answer_for_a_deleted_object_does_not_bring_it_back(cache: Cache) -> None:
    cache.begin_write(SERVER)
    cache.drop(SERVER)
    cache.end_write(SERVER, stored(SERVER, version=11))
    assert SERVER not in cache


# -- deletion and indexes -------------------------------------------------------------------------


def test_a_deletion_concerns_only_that_very_object(cache: Cache) -> None:
    assert cache.drop(SERVER, "another-uid") == NO_CHANGE
    assert cache.drop(SERVER, "uid-1").difference is Difference.VANISHED
    assert cache.drop(SERVER) == NO_CHANGE


def test_indexes_follow_the_spec(cache: Cache) -> None:
    assert cache.names_under(Kind.MAIL_SERVER, "mail", "default=true") == ["smtp"]
    put(cache, 11, generation=2, spec={"host": "smtp.example.com"})
    assert cache.names_under(Kind.MAIL_SERVER, "mail", "default=true") == []


def test_a_change_tells_the_indexes_before_and_after(cache: Cache) -> None:
    raw = stored(SERVER, version=11, generation=2, spec={"host": "a.example"}, status=ready())
    change = cache.put(Kind.MAIL_SERVER, raw)
    assert change.before == {"default=true"}
    assert change.after == frozenset()


def test_a_deleted_object_stands_under_no_index(cache: Cache) -> None:
    cache.drop(SERVER)
    assert cache.names_under(Kind.MAIL_SERVER, "mail", "default=true") == []


def test_names_under_an_index_are_sorted() -> None:
    cache = Cache()
    for name in "cab":
        cache.put(Kind.EMAIL_ACCOUNT, stored(ACCOUNT._replace(name=name), uid=name))
    index = "address=support@example.com"
    assert cache.names_under(Kind.EMAIL_ACCOUNT, "mail", index) == ["a", "b", "c"]


@pytest.mark.parametrize("spec", [None, [], "text", {"host": 5}, {"nonsense": True}])
def test_a_poisoned_object_is_kept_but_stands_under_no_index(spec: object) -> None:
    cache, raw = Cache(), stored(SERVER)
    raw["spec"] = spec
    assert cache.put(Kind.MAIL_SERVER, raw).after == frozenset()
    assert SERVER in cache


@pytest.mark.parametrize("status", [None, [], "text", {"conditions": "x"}, {"conditions": [1]}])
def test_a_poisoned_status_is_survived(cache: Cache, status: object) -> None:
    raw = stored(SERVER, version=11)
    raw["status"] = status
    assert Difference.STATUS in cache.put(Kind.MAIL_SERVER, raw).difference


def test_a_spec_that_stays_is_kept_once_and_one_that_moves_is_not() -> None:
    cache = Cache()
    cache.put(SERVER.kind, stored(SERVER, version=10))
    first = cache.get(SERVER)
    cache.put(SERVER.kind, json.loads(json.dumps(stored(SERVER, version=11, status=ready()))))
    second = cache.get(SERVER)
    assert first is not None and second is not None
    assert second["spec"] is first["spec"] and second["metadata"] != first["metadata"]
    moved = stored(SERVER, version=12)
    moved["spec"] = {**moved["spec"], "host": "elsewhere.example.com"}
    cache.put(SERVER.kind, moved)
    third = cache.get(SERVER)
    assert third is not None and third["spec"] == moved["spec"] != first["spec"]


def test_what_the_cache_holds_is_understood_once_and_still_written_as_json() -> None:
    cache = Cache()
    cache.put(ACCOUNT.kind, stored(ACCOUNT))
    raw = cache.get(ACCOUNT)
    assert raw is not None
    assert parse_spec(ACCOUNT.kind, raw["spec"]) is parse_spec(ACCOUNT.kind, raw["spec"])
    assert json.loads(json.dumps(raw["spec"])) == stored(ACCOUNT)["spec"]


@pytest.mark.parametrize("echo_first", [True, False])
def test_a_status_that_admission_changed_is_kept_as_it_stands_and_is_nobodys_writing(
    cache: Cache, echo_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    wrote = {**ready("True"), "url": "https://a.example"}
    stands = {**ready("False"), "url": "https://a.example"}
    cache.begin_write(SERVER, wrote)
    found = Difference.NOTHING
    if echo_first:
        found |= put(cache, 11, status=stands)
    answer = cache.end_write(SERVER, stored(SERVER, version=11, status=wrote))
    found |= answer.difference
    if not echo_first:
        found |= put(cache, 11, status=stands)
    # Whoever stands on it learns what stands; nobody is to write it again for that.
    assert Difference.READY in found
    assert Difference.STATUS not in found
    assert status_of(cache.get(SERVER) or {}) == stands
    assert cache.sent(SERVER) == wrote
    assert (
        caplog.text.count("changes the status of mailservers as it is written (conditions of") == 1
    )
    # It is told once, and forgotten with the next version.
    assert put(cache, 11, status=stands) is Difference.NOTHING
    assert put(cache, 12, status=wrote) & Difference.STATUS
    assert cache.sent(SERVER) is None


def test_an_echo_as_it_was_written_is_nothing_altered(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.begin_write(SERVER, ready("False"))
    cache.end_write(SERVER, stored(SERVER, version=11, status=ready("False")))
    assert put(cache, 11, status=ready("False")) is Difference.NOTHING
    assert cache.sent(SERVER) is None
    assert not caplog.text
