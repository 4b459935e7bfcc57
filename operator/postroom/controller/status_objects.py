# SPDX-License-Identifier: Apache-2.0
"""What the API server says of a refusal, in a Status object (meta/v1), which the answer need not
be. Pure."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

#: What etcd and its client say of an object that is too large: the API server has no status for it
#: but 500, by which it would be tried again and again.
_TOO_LARGE = ("etcdserver: request is too large", "trying to send message larger than max")


def status_in(answered: int, text: str) -> int:
    """The status that an answer should have had, which it nearly always has."""
    if answered == HTTPStatus.INTERNAL_SERVER_ERROR and any(said in text for said in _TOO_LARGE):
        return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    return answered


def causes_in(told: Mapping[str, Any]) -> frozenset[str]:
    """The causes that a Status object names."""
    details = told.get("details")
    causes = details.get("causes") if isinstance(details, Mapping) else None
    listed = causes if isinstance(causes, list) else ()
    return frozenset(str(each.get("reason")) for each in listed if isinstance(each, Mapping))
