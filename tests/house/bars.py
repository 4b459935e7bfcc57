# SPDX-License-Identifier: Apache-2.0
"""The bars that the house is held to: `bars.yaml`, read and lowered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from house.figures import Figure

FILE = Path(__file__).with_name("bars.yaml")
_LINE = r"^(\"{name}\": \{{goal: [\d.]+), today: [\d.]+\}}$"


@dataclass(frozen=True)
class Bar:
    goal: float
    #: What was measured last, where the goal is not reached.
    today: float | None = None

    @property
    def limit(self) -> float:
        return self.goal if self.today is None else max(self.goal, self.today)


def bars() -> dict[str, Bar]:
    return {
        name: Bar(**row)
        for name, row in yaml.load(FILE.read_text("utf-8"), Loader=yaml.CSafeLoader).items()
    }


def lowered(text: str, figures: Mapping[str, Figure]) -> str:
    """Return `bars.yaml` with each `today` that is better by now, and none where the goal holds."""
    for name, row in yaml.load(text, Loader=yaml.CSafeLoader).items():
        value = figures[name].value
        if value >= Bar(**row).limit:
            continue
        today = f", today: {value:g}}}" if value > row["goal"] else "}"
        text = re.sub(_LINE.format(name=re.escape(name)), rf"\g<1>{today}", text, flags=re.M)
    return text
