# SPDX-License-Identifier: Apache-2.0
"""Presets are found by their names and aliases."""

from __future__ import annotations

from postroom.mail.presets import (
    providers,
)


def test_there_are_many() -> None:
    assert len(providers()) >= 25
