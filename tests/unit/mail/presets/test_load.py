# SPDX-License-Identifier: Apache-2.0
"""Presets are found by their names and aliases, and by nothing else."""

from __future__ import annotations

import pytest

from postroom.mail.presets.load import preset, providers


def test_there_are_many() -> None:
    assert len(providers()) >= 25


def test_names_are_sorted_and_each_there_once() -> None:
    assert list(providers()) == sorted(set(providers()))


@pytest.mark.parametrize("name", providers())
def test_a_preset_bears_the_name_of_its_file(name: str) -> None:
    assert preset(name).name == name
    assert preset(name).family is None or preset(name).family in providers()


def test_an_alias_leads_to_one_preset_and_hides_no_other() -> None:
    aliases = [(alias, name) for name in providers() for alias in preset(name).aliases]
    assert ("SES", "AmazonSES") in aliases
    assert len({alias for alias, _ in aliases}) == len(aliases)
    for alias, name in aliases:
        assert alias not in providers()
        assert preset(alias) is preset(name)


@pytest.mark.parametrize("name", ["Nowhere", "", "gmail", "../Gmail", "Gmail.yaml"])
def test_other_names_are_unknown(name: str) -> None:
    with pytest.raises(KeyError):
        preset(name)
