# SPDX-License-Identifier: Apache-2.0
"""The changelog has the form of Keep a Changelog 1.1.0, and each release a part on upgrading."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHANGELOG = Path(__file__).resolve().parents[3] / "CHANGELOG.md"
PARTS = ["Upgrading", "Security", "Added", "Changed", "Deprecated", "Removed", "Fixed"]
_RELEASE = re.compile(r"\[(\d+)\.(\d+)\.(\d+)\] - \d{4}-\d{2}-\d{2}( \[YANKED\])?")


def faults(text: str) -> Iterator[str]:
    """What is not in form, as a sentence each."""
    if not text.startswith("# Changelog\n"):
        yield "it begins with '# Changelog'"
    releases: list[tuple[int, ...]] = []
    for number, section in enumerate(re.split(r"^## ", text, flags=re.M)[1:]):
        title, _, body = section.partition("\n")
        release = _RELEASE.fullmatch(title)
        if release is not None:
            releases.append(tuple(int(part) for part in release.groups()[:3]))
        elif number or title != "[Unreleased]":
            yield f"{title!r} is '[1.2.3] - 2026-01-31', or the first is '[Unreleased]'"
        parts = re.findall(r"^### (.*)$", body, flags=re.M)
        if unknown := sorted(set(parts) - set(PARTS)):
            yield f"{title}: {', '.join(unknown)} is none of {', '.join(PARTS)}"
        elif parts != [part for part in PARTS if part in parts]:
            yield f"{title}: each part stands once, in the order {', '.join(PARTS)}"
        if release is not None and "Upgrading" not in parts:
            yield f"{title} says under Upgrading what is to be done, if that be nothing"
    if releases != sorted(set(releases), reverse=True):
        yield "the newest release stands first, and each once"


def test_the_changelog_is_in_form() -> None:
    assert list(faults(CHANGELOG.read_text(encoding="utf-8"))) == []


GOOD = """# Changelog

## [Unreleased]

### Added

- x

## [0.2.0] - 2027-01-31

### Upgrading

Nothing is to be done.

### Fixed

- y

## [0.1.0] - 2026-12-01

### Upgrading

It is the first.
"""


def test_what_is_in_form_has_no_fault() -> None:
    assert list(faults(GOOD)) == []


@pytest.mark.parametrize(
    ("there", "instead", "fault"),
    [
        ("# Changelog", "# Changes", "it begins with"),
        ("[0.2.0] - 2027-01-31", "0.2.0 (2027-01-31)", "'[1.2.3] - 2026-01-31'"),
        ("[Unreleased]", "Unreleased", "the first is '[Unreleased]'"),
        ("### Fixed", "### Mended", "Mended is none of"),
        ("### Fixed", "### Upgrading", "each part stands once"),
        ("### Fixed\n\n- y\n", "### Fixed\n\n- y\n\n### Security\n\n- z\n", "in the order"),
        ("### Upgrading\n\nIt is the first.\n", "", "[0.1.0] - 2026-12-01 says under Upgrading"),
        ("[0.1.0]", "[0.3.0]", "the newest release stands first"),
    ],
)
def test_what_is_not_in_form_is_told(there: str, instead: str, fault: str) -> None:
    assert there in GOOD
    (told,) = faults(GOOD.replace(there, instead))
    assert fault in told
