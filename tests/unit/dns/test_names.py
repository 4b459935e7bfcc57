# SPDX-License-Identifier: Apache-2.0
"""Names: relative to a zone, the way up, and what can be a name at all."""

from __future__ import annotations

import pytest

from postroom.dns.names import host_label


@pytest.mark.parametrize(
    ("name", "zone", "label"),
    [
        ("example.com", "example.com", "@"),
        ("k1._domainkey.send.example.com", "example.com", "k1._domainkey.send"),
        ("notexample.com", "example.com", "notexample.com"),
        ("x.example.com", None, "x.example.com"),
    ],
)
def test_host_labels(name: str, zone: str | None, label: str) -> None:
    assert host_label(name, zone) == label
