# SPDX-License-Identifier: Apache-2.0
"""A message is ours where the operator announced it, and not because it says so."""

from typing import Any

import pytest

from postroom.controller.cache import Cache
from postroom.controller.inbound.announced import Announced
from postroom.mail.round_trip.compose import probe_value
from postroom.mail.round_trip.header import Header, read_header
from unit.controller.inbound.statuses import account
from unit.controller.samples import ACCOUNT

TOKEN, OTHER = "0123456789abcdef" * 2, "f" * 32


def header(token: str = TOKEN, uid: str = "uid-1", key: str = "k", copies: int = 1) -> Header:
    field = f"X-Postroom-Probe: {probe_value(key.encode() * 32, uid, token)}\r\n"
    return read_header(f"Subject: a\r\n{field * copies}\r\n".encode())


def sending(name: str = "roundTrip", token: str = TOKEN) -> dict[str, Any]:
    return account({name: {"inFlight": {"token": token, "step": "Sent"}}})


@pytest.mark.parametrize("name", ["roundTrip", "forwarding", "lastTest"])
def test_what_is_under_way_is_ours_whatever_its_proof(name: str) -> None:
    cache = Cache()
    cache.put(ACCOUNT.kind, sending(name))
    assert Announced(cache).is_ours("mail", header())
    assert Announced(cache).is_ours("mail", header(key="another"))


def test_a_test_message_that_may_still_arrive_is_ours() -> None:
    cache = Cache()
    cache.put(ACCOUNT.kind, account({"lastTest": {"overdue": {"token": TOKEN, "step": "Sent"}}}))
    assert Announced(cache).is_ours("mail", header())


@pytest.mark.parametrize(
    "text",
    [
        read_header(b"Subject: a\r\n\r\n"),
        read_header(b"X-Postroom-Probe: yes\r\n\r\n"),
        header(OTHER),
        header(uid="uid-2"),
        header(copies=2),
        read_header(
            f"Message-ID: <postroom.{TOKEN}@example.com>\r\nSubject: {TOKEN}\r\n\r\n".encode()
        ),
        read_header(b""),
    ],
)
def test_what_merely_says_so_is_somebodys_mail(text: Header) -> None:
    cache = Cache()
    cache.put(ACCOUNT.kind, sending())
    assert not Announced(cache).is_ours("mail", text)


def test_what_was_under_way_a_moment_ago_is_ours_still_and_not_for_ever() -> None:
    cache = Cache()
    announced = Announced(cache)
    announced.note(sending())
    assert announced.is_ours("mail", header()) and not announced.is_ours("mail", header(OTHER))
    for number in range(5000):
        announced.note(sending(token=f"{number:032x}"))
    assert not announced.is_ours("mail", header())


@pytest.mark.parametrize("status", [{"roundTrip": 7}, {"lastTest": {"inFlight": ["a"]}}, {}])
def test_a_status_of_another_form_announces_nothing(status: dict[str, Any]) -> None:
    cache = Cache()
    cache.put(ACCOUNT.kind, account(status))
    assert not Announced(cache).is_ours("mail", header())


def test_an_account_that_came_later_or_was_made_anew_announces_and_one_that_went_does_not() -> None:
    cache = Cache()
    announced = Announced(cache)
    assert not announced.is_ours("mail", header())
    cache.put(ACCOUNT.kind, sending())
    anew = sending(token=OTHER)
    anew["metadata"].update(uid="uid-2", resourceVersion="9")
    cache.put(ACCOUNT.kind, anew)
    assert not announced.is_ours("mail", header())
    assert announced.is_ours("mail", header(OTHER, uid="uid-2"))
    cache.drop(ACCOUNT)
    assert not Announced(cache).is_ours("mail", header(OTHER, uid="uid-2"))


def test_forged_messages_cost_no_look_at_all_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache()
    announced = Announced(cache)
    cache.put(ACCOUNT.kind, sending())
    monkeypatch.setattr(cache, "objects", lambda: pytest.fail("All objects were looked at."))
    assert not announced.is_ours("mail", header(uid="uid-7"))
    assert announced.is_ours("mail", header())


def test_what_one_namespace_announces_is_somebodys_mail_in_another() -> None:
    cache = Cache()
    cache.put(ACCOUNT.kind, sending())
    announced = Announced(cache)
    for _ in range(2):
        assert not announced.is_ours("other", header())
        assert announced.is_ours("mail", header())
