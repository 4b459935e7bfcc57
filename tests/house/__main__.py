# SPDX-License-Identifier: Apache-2.0
"""Print the house's figures and their bars; `--lower` lowers the bars to what is measured.

With words, print the places behind the figures whose names contain them:
`make house PLACES="unread fields"`.
"""

from __future__ import annotations

import sys

from house.bars import FILE, bars, lowered
from house.figures import Figure, figures
from house.rooms import floor_plan, packages


def main(arguments: list[str]) -> int:
    found = figures()
    if "--lower" in arguments:
        FILE.write_text(lowered(FILE.read_text("utf-8"), found), "utf-8")
    words = " ".join(word for word in arguments if not word.startswith("-"))
    if words:
        _print_places({name: found[name] for name in found if words in name})
        return 0
    _print_plans()
    return _print_bars(found)


def _print_plans() -> None:
    print(f"{'':20}{'rooms':>7}{'floors':>7}{'arrows':>7}{'upward':>7}{'circles':>8}")
    for plan in map(floor_plan, packages()):
        cells = len(plan.rooms), plan.height, len(plan.arrows), len(plan.upward), len(plan.circles)
        print(f"{plan.package:20}{cells[0]:7}{cells[1]:7}{cells[2]:7}{cells[3]:7}{cells[4]:8}")


def _print_bars(found: dict[str, Figure]) -> int:
    broken = 0
    print(f"\n{'':45}{'measured':>9}{'goal':>7}{'today':>8}")
    for name, bar in bars().items():
        value = found[name].value
        today = "" if bar.today is None else f"{bar.today:g}"
        remark = "" if value <= bar.goal else "  to do"
        if bar.today is not None and value < bar.limit:
            remark += "  `make house-lower`"
        if value > bar.limit:
            remark = "  WORSE"
            broken = 1
        print(f"{name:45}{value:9g}{bar.goal:7g}{today:>8}{remark}")
    print(f"{'lines':45}{found['lines'].value:9g}")
    return broken


def _print_places(found: dict[str, Figure]) -> None:
    for name, figure in found.items():
        print(f"{name}: {figure.value:g}")
        for place in figure.places:
            print(f"  {place}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
