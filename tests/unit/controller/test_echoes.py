# SPDX-License-Identifier: Apache-2.0
"""Which echoes of our own writes are read: few, some of each place, and all where it matters."""

from __future__ import annotations

import pytest

from postroom.api.names import Kind
from postroom.controller.echoes import Echoes
from unit.controller.samples import SERVER


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_of_each_kind_and_namespace_is_read() -> None:
    echoes = Echoes(Clock())
    while echoes.is_read(SERVER.kind, "c"):
        pass
    assert all(echoes.is_read(kind, space) for kind in Kind for space in ("a", "b"))
    assert not any(echoes.is_read(kind, space) for kind in Kind for space in ("a", "b"))


def test_while_thousands_come_few_are_read() -> None:
    clock = Clock()
    echoes = Echoes(clock)
    echoes.is_read(SERVER.kind, "a")
    read = 0
    for number in range(6400):
        clock.now = number / 320
        read += echoes.is_read(SERVER.kind, "a")
    assert 80 <= read <= 100


def test_at_rest_all_are_read_so_that_what_changes_one_in_a_thousand_is_seen() -> None:
    clock = Clock()
    echoes = Echoes(clock)
    for clock.now in range(0, 10_000, 10):
        assert all(echoes.is_read(SERVER.kind, "a") for _ in range(16))


def test_all_of_a_kind_are_read_once_one_was_another(caplog: pytest.LogCaptureFixture) -> None:
    echoes = Echoes(Clock())
    for space in ("a", "b"):
        while echoes.is_read(Kind.SENDING_DOMAIN, space):
            pass
    for _ in range(3):
        echoes.altered(SERVER, frozenset({"url", "conditions"}))
    assert all(echoes.is_read(SERVER.kind, "a") for _ in range(10))
    assert not any(echoes.is_read(Kind.SENDING_DOMAIN, "a") for _ in range(10))
    assert caplog.text.count("changes the status of mailservers as it is written") == 1
    assert "(conditions, url of" in caplog.text
