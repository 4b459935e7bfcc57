# SPDX-License-Identifier: Apache-2.0
"""One test over many rows, where as parameters each row would be a test of its own.

That costs some milliseconds for each, in every process that collects it: with hundreds of rows
that take microseconds more than all that is tested.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import update_wrapper
from typing import TypeVar

Row = TypeVar("Row")


def over(
    rows: Iterable[Row], name: Callable[[Row], object] = repr
) -> Callable[[Callable[[Row], None]], Callable[[], None]]:
    """Make a test that tries every row, and tells of each that fails, by its name, what failed."""

    tried = list(rows)
    assert tried, "There is no row."

    def tested(check: Callable[[Row], None]) -> Callable[[], None]:
        def test() -> None:
            failed = list[str]()
            for row in tried:
                try:
                    check(row)
                except Exception as problem:
                    failed.append(f"{name(row)}: {type(problem).__name__}: {problem}")
            assert not failed, f"{len(failed)} of {len(tried)}:\n" + "\n".join(failed)

        update_wrapper(test, check)
        # pytest would ask for fixtures with the names of its parameters.
        del test.__wrapped__  # type: ignore[attr-defined]
        return test

    return tested
