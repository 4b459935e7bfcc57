# SPDX-License-Identifier: Apache-2.0
"""Whose statuses are refused: counted as a set would be, whatever comes in which order."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from postroom.api.names import Key, Kind
from postroom.controller.refused_statuses import RefusedStatuses
from postroom.metrics import Metrics, WriteResult

KEYS = [Key(Kind.MAIL_SERVER, namespace, name) for namespace in "ab" for name in "xyz"]
REFUSED = {WriteResult.FORBIDDEN, WriteResult.INVALID}
#: Who was refused stays so: nobody has heard otherwise.
UNDECIDED = {WriteResult.UNAVAILABLE, WriteResult.STALE}


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from([None, *WriteResult]))))
def test_the_series_are_those_whose_last_decided_write_was_refused(
    events: list[tuple[Key, WriteResult | None]],
) -> None:
    metrics, model = Metrics(), dict[Key, WriteResult]()
    refused = RefusedStatuses(metrics.status_refused)
    for key, result in events:
        if result is None:
            refused.forget(key)
            model.pop(key, None)
            continue
        refused.ended(key, result)
        if result in REFUSED:
            model[key] = result
        elif result not in UNDECIDED:
            model.pop(key, None)
    told = {
        (sample.labels["namespace"], sample.labels["result"]): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == "postroom_status_refused"
    }
    assert told == Counter((key.namespace, result.value) for key, result in model.items())
