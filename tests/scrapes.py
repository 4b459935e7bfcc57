# SPDX-License-Identifier: Apache-2.0
"""What Prometheus would get."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postroom.api.names import Key
from postroom.controller.object_metrics import ObjectMetrics
from postroom.metrics import Registry


def told_of(objects: Mapping[Key, Mapping[str, Any]], **bound: int) -> ObjectMetrics:
    """What tells of these objects, none of which was told before."""
    told = ObjectMetrics(objects.get, **bound)
    for key in objects:
        told.changed(key)
    return told


async def scraped(source: Registry) -> str:
    """The text of a scrape."""
    return b"".join([piece async for piece in source.render()]).decode()
