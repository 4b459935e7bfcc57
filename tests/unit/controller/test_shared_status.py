# SPDX-License-Identifier: Apache-2.0
"""Neither writer of a status touches the other's part, in whichever order the parts stand."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from postroom.api.inbound_delivery import PROGRESS_FIELDS
from postroom.controller.shared_status import (
    moved,
    with_delivery,
    with_progress,
    without_delivery,
)

DELIVERS = {"inbound": {"deliver": {"service": {}}}}
TYPES = ("Ready", "IMAPAuthenticated", "Default")


def condition(kind: str, value: int = 0) -> dict[str, Any]:
    return {"type": kind, "status": "True", "message": str(value)}


OPERATORS = st.fixed_dictionaries(
    {
        "observedGeneration": st.integers(0, 3),
        "conditions": st.lists(st.sampled_from(TYPES), unique=True).map(
            lambda kinds: [condition(kind) for kind in kinds]
        ),
    },
    optional={"inbound": st.just({"ai": {"enabled": True}})},
)
DELIVERED = st.dictionaries(st.sampled_from(PROGRESS_FIELDS), st.integers(), max_size=3)


@st.composite
def stored(draw: st.DrawFn) -> dict[str, Any]:
    status: dict[str, Any] = draw(OPERATORS)
    conditions, theirs = list(status["conditions"]), draw(DELIVERED)
    if draw(st.booleans()):
        place = draw(st.integers(0, len(conditions)))
        conditions.insert(place, condition("InboundDelivering", draw(st.integers(0, 9))))
    merged = {**status, "conditions": conditions}
    return {**merged, "inbound": {**status.get("inbound", {}), **theirs}} if theirs else merged


def of_delivery(status: Any) -> tuple[Any, Any]:
    kept = [each for each in status.get("conditions", []) if each["type"] == "InboundDelivering"]
    inbound = status.get("inbound", {})
    return kept, {name: inbound[name] for name in PROGRESS_FIELDS if name in inbound}


@given(stored(), stored())
def test_each_keeps_its_own(stands: dict[str, Any], wanted: dict[str, Any]) -> None:
    merged = with_delivery(wanted, stands, DELIVERS)
    assert of_delivery(merged) == of_delivery(stands)
    assert without_delivery(merged) == without_delivery(wanted)


@given(stored(), stored())
def test_progress_leaves_all_that_is_the_operators(
    stands: dict[str, Any], later: dict[str, Any]
) -> None:
    conditions, inbound = of_delivery(later)
    merged = with_progress(stands, {"conditions": conditions, "inbound": inbound})
    assert of_delivery(merged) == of_delivery(later)
    assert without_delivery(merged) == without_delivery(stands)
    # Whose conditions stand where is nothing that the other would have to write.
    assert with_delivery(without_delivery(stands), merged, DELIVERS) == merged


@given(stored())
def test_progress_that_stands_is_nothing_to_write(stands: dict[str, Any]) -> None:
    conditions, inbound = of_delivery(stands)
    assert with_progress(stands, {"conditions": conditions, "inbound": inbound}) == stands


@given(stored())
def test_what_stands_is_nothing_to_write(stands: dict[str, Any]) -> None:
    assert with_delivery(without_delivery(stands), stands, DELIVERS) == stands


@given(stored(), stored())
def test_of_a_spec_that_hands_nothing_over_nothing_stays(
    stands: dict[str, Any], wanted: dict[str, Any]
) -> None:
    for spec in ({}, None, {"inbound": {}}, {"inbound": {"deliver": None}}):
        assert of_delivery(with_delivery(wanted, stands, spec)) == ([], {})


@given(stored(), DELIVERED)
def test_mail_that_is_handed_over_is_no_news_to_the_operator(
    stands: dict[str, Any], later: dict[str, Any]
) -> None:
    handed_over = {**stands, "inbound": {**stands.get("inbound", {}), **later}}
    assert not moved(stands, handed_over)
    assert moved(stands, {**handed_over, "observedGeneration": 9})
