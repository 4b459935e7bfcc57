# SPDX-License-Identifier: Apache-2.0
"""Which status an answer of the API server should have had."""

from __future__ import annotations

import pytest

from postroom.controller.client import ApiError
from postroom.controller.status_objects import causes_in, status_in

ETCD = "etcdserver: request is too large"
GRPC = (
    "rpc error: code = ResourceExhausted desc = trying to send message larger than max "
    "(2324838 vs. 2097152)"
)


@pytest.mark.parametrize(
    ("answered", "text", "status"),
    [
        (500, ETCD, 413),
        (500, GRPC, 413),
        (413, "Request entity too large: limit is 3145728", 413),
        (500, "etcdserver: request timed out", 500),
        (500, "", 500),
        # A name in the sentence of another refusal.
        (422, ETCD, 422),
        (403, GRPC, 403),
    ],
)
def test_what_is_too_large_is_no_failure_that_passes(answered: int, text: str, status: int) -> None:
    assert status_in(answered, text) == status
    assert ApiError("PUT it", status_in(answered, text)).transient is (status == 500)


def test_causes_are_told_by_their_words_for_programs() -> None:
    assert causes_in({"details": {"causes": [{"reason": "A"}, {"reason": "B"}]}}) == {"A", "B"}
    assert causes_in({"details": None}) == frozenset()
