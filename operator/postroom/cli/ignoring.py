# SPDX-License-Identifier: Apache-2.0
"""What of a repository is passed over: hidden entries, and what ``.gitignore`` or flags name."""

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from postroom.cli.file_types import is_folder

#: Any number of folders, in the place of the pattern of a name.
_FOLDERS = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of a ``.gitignore``, below the folder that it stands in; the last that fits counts."""

    top: Path
    names: Sequence[re.Pattern[str] | None]
    ignored: bool
    only_folders: bool

    def fits(self, entry: Path) -> bool:
        """Whether the line speaks of this entry."""
        if self.only_folders and not is_folder(entry):
            return False
        parts = entry.relative_to(self.top).parts
        # Name by name, so that no pattern takes longer than it is long, times as deep as it goes.
        reached = {0}
        for number, name in enumerate(self.names, 1):
            if name is not _FOLDERS:
                fitting = (at for at in reached if at < len(parts) and name.match(parts[at]))
                reached = {at + 1 for at in fitting}
            elif reached:
                # At the end it stands for what is in a folder, and not for the folder.
                reached = set(range(min(reached) + (number == len(self.names)), len(parts) + 1))
        return len(parts) in reached


def rules(top: Path, lines: Sequence[str]) -> list[Rule]:
    """Read lines as git does (gitignore(5)), without its character classes."""
    found = []
    for line in lines:
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        ignored, text = not text.startswith("!"), text.removeprefix("!")
        only_folders, text = text.endswith("/"), text.rstrip("/")
        anchored, text = "/" in text, text.removeprefix("/")
        said = text.split("/")
        # Alone it is as good as one star.
        names = [_FOLDERS if name == "**" != text else _pattern(name) for name in said]
        if not anchored:
            names.insert(0, _FOLDERS)
        found.append(Rule(top, tuple(names), ignored, only_folders))
    return found


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(name.replace("[", "[[]")))


def of_folder(folder: Path) -> list[Rule]:
    """The rules of the ``.gitignore`` of a folder; none where it cannot be read."""
    try:
        text = (folder / ".gitignore").read_text("utf-8", "replace")
    except OSError:
        return []
    return rules(folder, text.splitlines())


def is_left_out(entry: Path, known: Sequence[Rule]) -> bool:
    """Whether an entry that was found in a folder, and not named, is passed over."""
    if entry.name.startswith("."):
        return True
    return next((rule.ignored for rule in reversed(known) if rule.fits(entry)), False)
