# SPDX-License-Identifier: Apache-2.0
"""Objects as the API server holds them: what is kept of one, bounded whatever stands in it, and
reading what anything may stand in."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from postroom.api.names import REQUEST_ANNOTATIONS
from postroom.api.resource import Metadata
from postroom.controller.raw_objects import conditions_of, metadata_of, slimmed, status_of
from unit.controller.samples import ACCOUNT, SERVER, Object, ready, stored

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=200),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=20,
)


def test_what_is_kept_of_metadata_is_bounded_whatever_an_object_has() -> None:
    """A namespace with a thousand objects as large as the API server takes has no more kept."""
    raw = stored(ACCOUNT)
    annotations = {f"postroom.dev/{number}": "x" * 250 for number in range(500)}
    annotations |= dict.fromkeys(REQUEST_ANNOTATIONS, "y" * 250000)
    fields = {f"f:{name}": {} for name in annotations}
    manager = {"manager": "m" * 128, "fieldsV1": {"f:metadata": {"f:annotations": fields}}}
    raw["metadata"] |= {
        "annotations": annotations,
        "labels": {f"l{number}": "z" * 63 for number in range(5_000)},
        "finalizers": [f"example.com/{number}" for number in range(5_000)],
        "ownerReferences": [{"name": "o" * 200}] * 500,
        "managedFields": [manager] * 50,
    }
    kept = slimmed(raw)["metadata"]
    assert len(json.dumps(kept)) < 4_000
    assert Metadata.of(kept) == Metadata.of(raw["metadata"]), "and nothing that is read is lost"


def test_managed_fields_are_not_kept() -> None:
    raw = stored(SERVER)
    raw["metadata"]["managedFields"] = [{"manager": "kubectl"}]
    assert "managedFields" not in slimmed(raw)["metadata"]


def test_equal_texts_of_different_objects_are_kept_once() -> None:
    one, other = (json.loads(json.dumps(stored(SERVER, status=ready()))) for _ in range(2))
    kept, again = slimmed(one)["status"], slimmed(other)["status"]
    assert kept == one["status"]
    assert kept["conditions"][0]["reason"] is again["conditions"][0]["reason"]


def test_an_absurdly_deep_object_is_survived() -> None:
    raw: Object = {"metadata": {}, "spec": None}
    for _ in range(5000):
        raw["spec"] = [raw["spec"]]
    slimmed(raw)


@given(json_values)
def test_what_is_kept_equals_what_came(value: object) -> None:
    assert slimmed({"metadata": {}, "spec": value})["spec"] == value


@given(st.dictionaries(st.sampled_from(["metadata", "spec", "status"]), json_values))
def test_whatever_stands_in_an_object_is_read(raw: Object) -> None:
    assert isinstance(metadata_of(raw), dict)
    assert isinstance(status_of(raw), dict)
    assert all(isinstance(each, dict) for each in conditions_of(raw))
