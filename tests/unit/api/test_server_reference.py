# SPDX-License-Identifier: Apache-2.0
"""Which namespaces a MailServer may name, and which it then admits."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from postroom.api.server_reference import AllowedNamespaces, ServerReference

_NAMES = st.lists(st.sampled_from(["a", "b", "team-a"]), unique=True, min_size=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"from": "Names"},
        {"from": "Names", "names": []},
        {"from": "All", "names": ["a"]},
        {"names": ["a"]},
        {"from": "Names", "names": ["a", "a"]},
        {"from": "Names", "names": ["*"]},
        {"from": "Names", "names": ["Team"]},
        {"from": "Selector"},
        {"selector": {}},
    ],
)
def test_what_is_ambiguous_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AllowedNamespaces.model_validate(wrong)


@given(_NAMES, st.sampled_from(["a", "b", "c", "team-a", ""]))
def test_names_admit_those_that_they_name(names: list[str], asked: str) -> None:
    allowed = AllowedNamespaces.model_validate({"from": "Names", "names": names})
    assert allowed.admit(asked) is (asked in names)
    assert AllowedNamespaces.model_validate({"from": "All"}).admit(asked)
    assert not AllowedNamespaces().admit(asked)


@pytest.mark.parametrize(("namespace", "out"), [(None, False), ("mine", False), ("yours", True)])
def test_a_reference_leads_out_where_it_names_another_namespace(
    namespace: str | None, out: bool
) -> None:
    assert ServerReference(name="smtp", namespace=namespace).leads_out_of("mine") is out
