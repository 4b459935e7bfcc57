# SPDX-License-Identifier: Apache-2.0
"""Where servers listen, as answers name them. Real sockets: tests/lab/test_asking_sockets.py."""

from __future__ import annotations

import pytest

from postroom.dns.asking.transport import ServerAddress


@pytest.mark.parametrize(
    ("server", "written"),
    [
        (ServerAddress("192.0.2.1"), "192.0.2.1"),
        (ServerAddress("192.0.2.1", 5353), "192.0.2.1:5353"),
    ],
)
def test_only_another_port_than_the_usual_one_is_named(server: ServerAddress, written: str) -> None:
    assert str(server) == written
