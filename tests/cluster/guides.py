# SPDX-License-Identifier: Apache-2.0
"""The guides of docs/guides as a reader follows them: files are written, records are published,
commands typed, and what the page shows is what comes.

In a page, a ``yaml`` block is a file, whose name its first line tells as a comment; a ``zone``
block is what is published at the DNS host; a ``console`` block has commands (after ``$``) and what
they show. ``...`` stands for whatever is left out: a part of a line, or, alone, any lines. Without
lines after it nothing is said of what a command shows, but that it works. One that only reads is
repeated until it shows what the page shows, as a reader would. The pages that "What you have"
links are followed first.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

GUIDES = Path(__file__).resolve().parents[2] / "docs" / "guides"
#: How often and for how long a command that only reads is repeated.
_PATIENCE, _PAUSE = 180.0, 0.5
#: Commands that change nothing, so that they can be repeated.
_READS = re.compile(
    r"(postroom (check|records|explain)|kubectl (get|wait|postroom (status|records)))\b"
)
_FENCE = re.compile(r"^```(\w*)$")
_FILE = re.compile(r"^# ([\w.-]+\.yaml)$")
_LINK = re.compile(r"\]\(([\w-]+\.md)\)")


class GuideError(AssertionError):
    """A page that is not true, or not understood: where, and what came instead."""


class Does(StrEnum):
    """What a step of a page does."""

    WRITE = "write"
    PUBLISH = "publish"
    RUN = "run"


@dataclass(frozen=True)
class Step:
    """One thing that a page has its reader do; `shows` are the lines that then come."""

    page: Path
    line: int
    does: Does
    text: str
    name: str = ""
    shows: tuple[str, ...] = ()

    def fails(self, what: str) -> GuideError:
        return GuideError(f"{self.page.name}:{self.line}: {what}")


def blocks_of(page: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the fenced blocks of a page: number of the first line, language, lines."""
    opened: tuple[int, str, list[str]] | None = None
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None and fence:
            opened = (number + 1, fence[1], [])
        elif opened is not None and line == "```":
            yield opened
            opened = None
        elif opened is not None:
            opened[2].append(line)
    if opened is not None:
        raise GuideError(f"{page.name}:{opened[0]}: the block does not end")


def steps_of(page: Path) -> list[Step]:
    """Read what a page has its reader do; raises `GuideError` for what is not understood."""
    steps: list[Step] = []
    for first, language, lines in blocks_of(page):
        text = "\n".join(lines) + "\n"
        match language:
            case "yaml":
                name = _FILE.match(lines[0]) if lines else None
                if name is None:
                    raise GuideError(f"{page.name}:{first}: the first line must be # NAME.yaml")
                steps.append(Step(page, first, Does.WRITE, text, name[1]))
            case "zone":
                steps.append(Step(page, first, Does.PUBLISH, text))
            case "console":
                steps += commands_of(page, first, lines)
            case _:
                raise GuideError(f"{page.name}:{first}: a block of {language or 'nothing'}")
    return steps


def commands_of(page: Path, first: int, lines: list[str]) -> Iterator[Step]:
    """Yield the commands of a block, each with what it shows."""
    found: list[tuple[int, list[str], list[str]]] = []
    goes_on = False
    for number, line in enumerate(lines, first):
        if goes_on:
            found[-1][1].append(line)
        elif line.startswith("$ "):
            found.append((number, [line[2:]], []))
        elif found:
            found[-1][2].append(line)
        else:
            raise GuideError(f"{page.name}:{number}: what is shown comes before any command")
        goes_on = line.endswith("\\") and not (found[-1][2])
    for number, command, shows in found:
        yield Step(page, number, Does.RUN, "\n".join(command), shows=tuple(shows))


def pattern_of(shows: tuple[str, ...]) -> re.Pattern[str]:
    """What is shown, as a pattern; runs of spaces count as one."""
    parts = []
    for line in shows:
        if line.strip() == "...":
            parts.append(r"(?:[^\n]*\n)*?")
        else:
            texts = [re.escape(part).replace("\\ ", " ") for part in _squeezed(line).split("...")]
            parts.append(r"[^\n]*?".join(texts) + r"\n")
    return re.compile("".join(parts))


def _squeezed(line: str) -> str:
    return " ".join(line.split())


def matches(shows: tuple[str, ...], output: str) -> bool:
    """Whether a command's output is what a page shows."""
    lines = [_squeezed(line) for line in output.splitlines()]
    text = "".join(f"{line}\n" for line in lines if line)
    return pattern_of(tuple(line for line in shows if line.strip())).fullmatch(text) is not None


@dataclass
class Reader:
    """Follows pages in a directory of its own; `publish` puts lines of a zone file into DNS."""

    directory: Path
    environment: Mapping[str, str]
    publish: Callable[[str], None]
    #: The pages that were begun, and whether they were true to their end.
    followed: dict[str, bool] = field(default_factory=dict)
    _last: int = 0

    def follow(self, page: Path) -> None:
        """Do what the page says, after what it builds on; raises `GuideError` at what differs."""
        if page.name in self.followed:
            if not self.followed[page.name]:
                raise GuideError(f"{page.name}:1: it is built upon, and is not true")
            return
        self.followed[page.name] = False
        for earlier in builds_on(page):
            self.follow(page.parent / earlier)
        steps = steps_of(page)
        for step, after in zip(steps, [*steps[1:], None], strict=True):
            match step.does:
                case Does.WRITE:
                    (self.directory / step.name).write_text(step.text)
                case Does.PUBLISH:
                    self.publish(step.text)
                case Does.RUN:
                    self._type(step, fails=after is not None and after.text == "echo $?")
        self.followed[page.name] = True

    def _type(self, step: Step, *, fails: bool) -> None:
        """Type a command; `fails`: how it ends is the next thing that the page shows."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            ended = subprocess.run(
                ["bash", "-c", f"(exit {self._last}); {step.text}"],
                cwd=self.directory,
                env={**os.environ, **self.environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=180,
            )
            as_shown = not step.shows or matches(step.shows, ended.stdout)
            if as_shown and (fails or ended.returncode == 0):
                self._last = ended.returncode
                return
            if not _READS.match(step.text) or time.monotonic() > deadline:
                shown = "\n".join(step.shows)
                raise step.fails(
                    f"`{step.text}` ended with {ended.returncode}. The page shows:\n{shown}\n"
                    f"What came:\n{ended.stdout}"
                )
            time.sleep(_PAUSE)


def builds_on(page: Path) -> list[str]:
    """The guides that "What you have" of a page links."""
    text = page.read_text().partition("\n## What you have\n")[2].partition("\n## ")[0]
    return [name for name in _LINK.findall(text) if (page.parent / name).exists()]


def search_path(*first: Path) -> str:
    """PATH with these directories, and our own commands, before all others."""
    places = [*first, Path(sys.executable).parent]
    return os.pathsep.join([*map(str, places), os.environ.get("PATH", "")])
