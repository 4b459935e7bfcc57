# SPDX-License-Identifier: Apache-2.0
"""Where settings come from, and who is named when one cannot be used."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from postroom.given_settings import SettingsError, gathered


class Model(BaseModel):
    count: int = 1


NAMES = {"count": "--count", "name": "--name"}


def test_a_flag_wins_over_its_variable_and_others_are_not_looked_at() -> None:
    environment = {"POSTROOM_COUNT": "1", "POSTROOM_NAME": "a", "POSTROOM_OTHER": "b"}
    given, origin = gathered(NAMES, {"count": "2", "name": None, "other": "c"}, environment)
    assert given == {"count": "2", "name": "a"}
    assert origin == {"count": "--count", "name": "POSTROOM_NAME"}


@pytest.mark.parametrize("nothing", [None, (), []])
def test_nothing_is_not_given(nothing: object) -> None:
    assert gathered(NAMES, {"count": nothing}, {"POSTROOM_NAME": ""}) == ({}, {})


def test_the_sentence_names_what_was_typed_and_never_its_value() -> None:
    with pytest.raises(ValidationError) as raised:
        Model.model_validate({"count": "hush"})
    sentence = str(SettingsError.of(raised.value, {"count": "--count"}))
    assert sentence.startswith("--count: must be a whole number") and "hush" not in sentence
