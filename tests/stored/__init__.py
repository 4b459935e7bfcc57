# SPDX-License-Identifier: Apache-2.0
"""Objects as the definitions of earlier days stored them, each with these definitions.

No release has been made yet: what is kept are the first definitions, those before relations, and
those of the day on which this was written. A release adds its own (docs/upgrading.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
VERSIONS = sorted(path.name for path in HERE.iterdir() if (path / "objects.yaml").exists())


@cache
def _documents(version: str, file: str) -> tuple[dict[str, Any], ...]:
    text = (HERE / version / file).read_text(encoding="utf-8")
    return tuple(yaml.load_all(text, Loader=yaml.CSafeLoader))


def objects(version: str) -> tuple[dict[str, Any], ...]:
    return _documents(version, "objects.yaml")


def definitions(version: str) -> tuple[dict[str, Any], ...]:
    """The CustomResourceDefinitions, without descriptions."""
    return _documents(version, "definitions.yaml")


def holds(whole: object, part: object) -> bool:
    """Whether all of a part is in the whole, which may have more: defaults of new fields."""
    match whole, part:
        case Mapping(), Mapping():
            return all(name in whole and holds(whole[name], part[name]) for name in part)
        case list(), list():
            return len(whole) == len(part) and all(map(holds, whole, part))
    return whole == part
