# SPDX-License-Identifier: Apache-2.0
"""Objects as no operator writes them, for what consumers are given to read: fields that are not
there, or of another type. And what is right to say of them."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from postroom.api.names import Kind

_ODD = (
    st.none() | st.booleans() | st.integers(-1, 2) | st.text(max_size=3) | st.just([]) | st.just({})
)
_GENERATION = st.sampled_from([1, 1, 1, 0, 2]) | _ODD
_CONDITION = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["Ready", "Ready", "Reconciling", "Stalled", "Other"]) | _ODD,
        "status": st.sampled_from(["True", "True", "False", "Unknown"]) | _ODD,
        "observedGeneration": _GENERATION,
        "message": st.just("A sentence.") | _ODD,
    },
)
_READY = st.fixed_dictionaries(
    {
        "type": st.just("Ready"),
        "status": st.just("True"),
        "observedGeneration": st.sampled_from([1, 1, 0]),
        "message": st.just("A sentence."),
    }
)
_CONDITIONS = st.lists(_READY | _CONDITION | _ODD, max_size=4)
#: A status is a map for whoever reads it: the definitions see to that; nothing in it need be right.
STATUSES = st.fixed_dictionaries(
    {}, optional={"observedGeneration": _GENERATION, "conditions": _CONDITIONS | _ODD}
)
_METADATA = st.fixed_dictionaries({}, optional={"generation": _GENERATION, "name": st.just("a")})
OBJECTS = st.fixed_dictionaries(
    {"kind": st.sampled_from([kind.value for kind in Kind]), "metadata": _METADATA},
    optional={"status": STATUSES, "spec": st.fixed_dictionaries({}, optional={"suspend": _ODD})},
)


def is_ready(obj: Mapping[str, Any]) -> bool:
    """Whether an object may be called good: it is Ready with the spec of now, and nothing in it
    says otherwise."""
    generation, status = obj["metadata"].get("generation"), obj.get("status", {})
    found = status.get("conditions")
    known = [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
    ready = [each for each in known if each.get("type") == "Ready"]
    other = [each for each in known if each.get("type") in ("Reconciling", "Stalled")]
    return (
        is_number(generation)
        and [each.get("status") for each in ready] == ["True"]
        and same(ready[0].get("observedGeneration"), generation)
        and all(each.get("status") != "True" for each in other)
    )


def is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def same(one: object, other: object) -> bool:
    """Whether two are the same number; no truth value is one."""
    return is_number(one) and is_number(other) and one == other
