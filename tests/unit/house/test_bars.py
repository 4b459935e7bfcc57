# SPDX-License-Identifier: Apache-2.0
"""The house keeps its bars: no figure is worse than what stands in `tests/house/bars.yaml`."""

from __future__ import annotations

import pytest

from house.bars import Bar, bars, lowered
from house.figures import Figure, figures

BARS = bars()


@pytest.mark.parametrize("name", BARS)
def test_no_figure_is_worse_than_its_bar(name: str) -> None:
    figure, bar = figures()[name], BARS[name]
    assert figure.value <= bar.limit, (
        f"{name}: {figure.value:g}, and the bar is {bar.limit:g}. A figure may only go down: "
        f'`make house PLACES="{name}"` shows the places; mend what is new among them. '
        "When a figure has gone down, `make house-lower` lowers its bar."
    )


@pytest.mark.parametrize("name", BARS)
def test_a_bar_is_kept_only_while_its_goal_is_not_reached(name: str) -> None:
    bar = BARS[name]
    assert bar.today is None or bar.today > bar.goal


TEXT = """# why
"dns: rooms": {goal: 5, today: 9}
"dns: floors": {goal: 3, today: 4}
"import lines, %": {goal: 7, today: 8.6}
"unread fields": {goal: 0}
"""


@pytest.mark.parametrize(
    ("measured", "line"),
    [
        ({"dns: rooms": 7}, '"dns: rooms": {goal: 5, today: 7}'),
        ({"dns: rooms": 5}, '"dns: rooms": {goal: 5}'),
        ({"dns: rooms": 2}, '"dns: rooms": {goal: 5}'),
        ({"dns: rooms": 12}, '"dns: rooms": {goal: 5, today: 9}'),
        ({"import lines, %": 7.4}, '"import lines, %": {goal: 7, today: 7.4}'),
        ({"unread fields": 3}, '"unread fields": {goal: 0}'),
    ],
)
def test_a_bar_is_lowered_and_never_raised(measured: dict[str, float], line: str) -> None:
    unchanged = {
        "dns: rooms": 9.0,
        "dns: floors": 4.0,
        "import lines, %": 8.6,
        "unread fields": 0.0,
    }
    found = {name: Figure(value) for name, value in (unchanged | measured).items()}
    changed = lowered(TEXT, found).splitlines()
    assert line in changed
    assert len(set(changed) - set(TEXT.splitlines())) == (line not in TEXT)


def test_the_limit_is_the_goal_once_it_is_reached() -> None:
    assert [Bar(5).limit, Bar(5, 9).limit, Bar(5, 3).limit] == [5, 9, 5]
