# SPDX-License-Identifier: Apache-2.0
"""A check as a whole, as the formats have it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postroom.cli.formats.remarks import Remark

#: How standard input is called where a path must stand.
STANDARD_INPUT = "stdin"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was looked at, what there is to remark, and how it ended.

    `objects` are those that were evaluated, as the API server would have them.
    """

    objects: Sequence[Mapping[str, Any]]
    remarks: Sequence[Remark]
    exit_code: int

    def of(self, raw: Mapping[str, Any]) -> list[Remark]:
        """The remarks on one of the objects."""
        name = (raw["kind"], raw["metadata"]["namespace"], raw["metadata"]["name"])
        return [each for each in self.remarks if each.key is not None and tuple(each.key) == name]


#: What exit codes mean, in a clause.
MEANINGS = {
    0: "all is Ready",
    1: "something is broken",
    2: "the input is bad",
    3: "nothing is broken, but something could not be looked at",
}


def path_of(file: str) -> str:
    """A file as code hosts name it: from the top of the working folder on, with slashes."""
    if file.startswith("<"):
        return STANDARD_INPUT if file == "<stdin>" else file.strip("<>").replace(" ", "-")
    path = Path(os.path.normpath(file))
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())
    # Of a name that is not UTF-8 the bytes that no format can hold.
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")
