# SPDX-License-Identifier: Apache-2.0
"""What the stored status of another object tells those that stand on it."""

from postroom.api.conditions import ConditionStatus, ConditionType, find
from postroom.api.resource import AnyResource


def readiness(resource: AnyResource | None) -> ConditionStatus:
    """Return Ready of a resource; Unknown where it is not about the current generation."""
    if resource is None:
        return ConditionStatus.UNKNOWN
    ready = find(resource.status.conditions, ConditionType.READY)
    if ready is None or resource.status.observed_generation != resource.metadata.generation:
        return ConditionStatus.UNKNOWN
    return ready.status
