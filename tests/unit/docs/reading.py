# SPDX-License-Identifier: Apache-2.0
"""Reads pages as their readers do: blocks with their language, command lines, links and anchors."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/**/*.md", "tests/bench/*.md")
    for path in ROOT.glob(pattern)
)
#: The changelog tells of what was, too.
OF_NOW = [page for page in PAGES if page.name != "CHANGELOG.md"]
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[a-z]*)\n(?P<text>.*?)^ *```$", re.M | re.S)
_SPAN = re.compile(r"(?<!`)`([^`\n]+(?:\n[^`\n]+)?)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
#: What ends one command of a line and begins the next.
_ENDS = {"|", "||", "&&", ";", "&", "(", ")"}


class Block(NamedTuple):
    """What stands between two fences, and where."""

    line: int
    language: str
    text: str


class Command(NamedTuple):
    """One program with its arguments, and the line of the page."""

    line: int
    words: tuple[str, ...]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page, without the indentation of a list around them."""
    for found in _FENCE.finditer(text):
        lines = found["text"].splitlines(keepends=True)
        inner = "".join(line.removeprefix(found["indent"]) for line in lines)
        yield Block(text.count("\n", 0, found.start()) + 2, found["language"], inner)


def prose(text: str) -> str:
    """Return a page with its blocks blanked, line by line."""
    return _FENCE.sub(lambda found: "\n" * found[0].count("\n"), text)


def spans(text: str) -> Iterator[tuple[int, str]]:
    """Yield what stands as code within sentences."""
    plain = prose(text)
    for found in _SPAN.finditer(plain):
        yield plain.count("\n", 0, found.start()) + 1, " ".join(found[1].split())


def commands(text: str) -> Iterator[Command]:
    """Yield every command after a prompt of a console, each part of a pipe by itself."""
    for block in blocks(text):
        lines = block.text.splitlines() if block.language == "console" else []
        for number, line in enumerate(lines):
            if line.startswith("$ "):
                rest = iter(lines[number + 1 :])
                while line.endswith("\\"):
                    line = line.removesuffix("\\") + next(rest).strip()
                for words in parts(line.removeprefix("$ ")):
                    yield Command(block.line + number, words)


def parts(line: str) -> Iterator[tuple[str, ...]]:
    """Yield the commands of one line of a shell: without redirections, comments and assignments."""
    line = re.sub(r"\$\(.*?\)", "SUBSTITUTED", line)
    words: list[str] = []
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;()<>")
    lexer.whitespace_split = True
    rest = iter([*lexer, ";"])
    for word in rest:
        if word in _ENDS:
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words.pop(0)
            if words:
                yield tuple(words)
            words = []
        elif set(word) <= set("<>&") and word:
            next(rest)
        else:
            words.append(word)


def links(text: str) -> Iterator[tuple[int, str]]:
    """Yield where the sentences of a page lead."""
    plain = prose(text)
    for found in _LINK.finditer(plain):
        yield plain.count("\n", 0, found.start()) + 1, found[1]


def slugs(text: str) -> list[str]:
    """Return what GitHub makes of the headings of a page, to be linked."""
    made = []
    for heading in re.findall(r"^#{1,6} (.*?)\s*$", prose(text), re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        made.append(re.sub(r"[^\w\- ]", "", words.replace("\\", "").lower()).replace(" ", "-"))
    return made


def anchors(text: str) -> set[str]:
    """Return all that links may lead to within a page."""
    return {*slugs(text), *re.findall(r'<a id="([^"]+)">', prose(text))}
