# SPDX-License-Identifier: Apache-2.0
"""Lists of ``tag=value`` separated by semicolons, as MTA-STS, TLS-RPT and BIMI records are."""

import re
from dataclasses import dataclass

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_BLANK = " \t"
#: Most tags that are read.
_TAGS_LIMIT = 100


@dataclass(frozen=True, slots=True)
class TagList:
    """A parsed list: the tags in their order; `problem` says what breaks the syntax."""

    tags: dict[str, str]
    problem: str | None = None


def parse(text: str) -> TagList:
    """Split a list; never raises. The first of equal tags counts; names are kept as written."""
    tags: dict[str, str] = {}
    problem = None
    parts = text.split(";", _TAGS_LIMIT)
    if len(parts) > _TAGS_LIMIT:
        return TagList(tags, f"it has more than {_TAGS_LIMIT} tags")
    if not parts[-1].strip(_BLANK):
        parts.pop()
    for part in parts:
        name, equals, value = part.partition("=")
        name = name.strip(_BLANK)
        if not equals or not _NAME.fullmatch(name):
            problem = problem or "it is not a list of tag=value pairs separated by semicolons"
        elif name in tags:
            problem = problem or f"it has the tag {name}= twice"
        else:
            tags[name] = value.strip(_BLANK)
    return TagList(tags, problem)


def written(tags: dict[str, str]) -> str:
    """Write a list."""
    return "; ".join(f"{name}={value}" for name, value in tags.items())
