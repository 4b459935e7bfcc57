# SPDX-License-Identifier: Apache-2.0
"""Which echoes of our own writes are read: few, some of each place, and all where it matters."""

from __future__ import annotations

import pytest

from postroom.api.names import Kind
from postroom.controller.echoes import Echoes
from unit.controller.samples import SERVER


def test_the_first_of_each_kind_and_namespace_is_read_and_few_others() -> None:
    echoes = Echoes()
    assert all(echoes.is_read(kind, space) for kind in Kind for space in ("a", "b"))
    read = sum(echoes.is_read(Kind.MAIL_SERVER, "a") for _ in range(6400))
    assert read == 100


def test_all_of_a_kind_are_read_once_one_was_another(caplog: pytest.LogCaptureFixture) -> None:
    echoes = Echoes()
    for _ in range(3):
        echoes.altered(SERVER, frozenset({"url", "conditions"}))
    assert all(echoes.is_read(SERVER.kind, "a") for _ in range(10))
    assert not all(echoes.is_read(Kind.SENDING_DOMAIN, "a") for _ in range(10))
    assert caplog.text.count("changes the status of mailservers as it is written") == 1
    assert "(conditions, url of" in caplog.text
