# SPDX-License-Identifier: Apache-2.0
"""What of a repository is passed over: hidden entries, and what ``.gitignore`` or flags name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from postroom.cli.file_types import is_folder

_PARTS = {"/**/": "/(?:.*/)?", "**/": "(?:.*/)?", "/**": "/.*", "*": "[^/]*", "?": "[^/]"}
_SPECIAL = re.compile(r"/\*\*/|\*\*/|/\*\*|\*|\?")


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of a ``.gitignore``, below the folder that it stands in; the last that fits counts."""

    top: Path
    pattern: re.Pattern[str]
    ignored: bool
    only_folders: bool

    def fits(self, entry: Path) -> bool:
        """Whether the line speaks of this entry."""
        if self.only_folders and not is_folder(entry):
            return False
        return bool(self.pattern.fullmatch(entry.relative_to(self.top).as_posix()))


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
        pattern, begin = "" if anchored else "(?:.*/)?", 0
        for special in _SPECIAL.finditer(text):
            pattern += re.escape(text[begin : special.start()]) + _PARTS[special[0]]
            begin = special.end()
        pattern += re.escape(text[begin:])
        found.append(Rule(top, re.compile(pattern, re.DOTALL), ignored, only_folders))
    return found


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
