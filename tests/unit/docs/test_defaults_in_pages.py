# SPDX-License-Identifier: Apache-2.0
"""What a sentence says in brackets behind a flag, such as `--spool` (128Mi), is its default.

The tables of the reference are made from the settings themselves.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import typer.main

from postroom.cli import main, plugin
from unit.docs.reading import OF_NOW, name_of

#: How much a unit is of the smallest of its kind; in words, and as flags have it.
_UNITS: Mapping[str, int] = {
    "": 1,
    "lines": 1,
    "messages": 1,
    "Mi": 1,
    "MiB": 1,
    "s": 1,
    "seconds": 1,
    "m": 60,
    "minutes": 60,
    "h": 3600,
    "hours": 3600,
    "days": 86400,
}
_AMOUNT = re.compile(r"(?P<number>\d[\d,]*) ?(?P<unit>[A-Za-z]*)")
_SAID = re.compile(
    r"`(?P<flag>--[a-z-]+)`(?: allows)?(?: \((?:default )?| is )(?P<amount>\d[\d,]* ?[A-Za-z]*)"
    r"|(?P<before>\d[\d,]* ?[A-Za-z]*) \(`(?P<behind>--[a-z-]+)`\)"
    r"|\(`(?P<other>--[a-z-]+)`, by default `(?P<text>[^`]+)`\)"
)


def amount_of(text: str) -> int | None:
    """How much a text says, in the smallest unit; None: it is no amount."""
    found = _AMOUNT.fullmatch(text.strip("() "))
    if found is None or found["unit"] not in _UNITS:
        return None
    return int(found["number"].replace(",", "")) * _UNITS[found["unit"]]


def defaults_of(command: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Every option of a program and its verbs, with its default as help shows it."""
    for parameter in command.params:
        shown = getattr(parameter, "show_default", None)
        default = shown if isinstance(shown, str) else str(parameter.default)
        yield from ((option, default) for option in parameter.opts)
    if hasattr(command, "list_commands"):
        context = command.context_class(command, info_name=path)
        for verb in command.list_commands(context):
            yield from defaults_of(command.get_command(context, verb), verb)


DEFAULTS: dict[str, set[str]] = {}
for app in (main.app, plugin.app):
    for option, default in defaults_of(typer.main.get_command(app)):
        DEFAULTS.setdefault(option, set()).add(default)


def wrong_defaults(text: str) -> list[str]:
    """Return the defaults that a page says and that are others."""
    wrong = []
    for found in _SAID.finditer(text):
        known = DEFAULTS.get(found["flag"] or found["behind"] or found["other"], set())
        if found["text"]:
            right = found["text"] in known
        else:
            said = amount_of(found["amount"] or found["before"])
            right = said is None or said in {amount_of(each) for each in known}
        if not right:
            wrong.append(f"{found[0]}: it is {', '.join(sorted(known)) or 'no flag'}")
    return wrong


@pytest.mark.parametrize("page", OF_NOW, ids=name_of)
def test_every_default_that_a_page_says_is_one(page: Path) -> None:
    assert wrong_defaults(page.read_text("utf-8")) == []


def test_defaults_are_found() -> None:
    found = [said for page in OF_NOW for said in _SAID.finditer(page.read_text("utf-8"))]
    assert len(found) > 6


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("`--spool` (128Mi), `--spool` (128 MiB) bounds them", 0),
        ("`--spool` (256Mi)", 1),
        ("as `--review-sync-gap` allows (24 hours)", 0),
        ("as `--review-sync-gap` allows (25 hours)", 1),
        ("`--ttl` (default 3600 seconds)", 0),
        ("`--ttl` (default 300 seconds)", 1),
        ("every 15 minutes (`--sweep-interval`); `--sweep-interval` is 15 minutes", 0),
        ("every 15 hours (`--sweep-interval`); `--sweep-interval` is 16 minutes", 2),
        ("(`--operator-namespace`, by default `postroom-system`)", 0),
        ("(`--operator-namespace`, by default `postroom`)", 1),
        ("`--gone` (12)", 1),
        ("`--require-secret-consent` (with the annotation)", 0),
    ],
)
def test_a_wrong_default_is_found(text: str, wrong: int) -> None:
    assert len(wrong_defaults(text)) == wrong
