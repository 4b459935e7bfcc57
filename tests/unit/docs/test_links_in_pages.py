# SPDX-License-Identifier: Apache-2.0
"""Links lead somewhere, on GitHub and in the site: to a file, and to a heading of it.

Those to other hosts are looked at in form only: a test that asks them fails when they do.
"""

import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from unit.docs.reading import PAGES, ROOT, anchors, links, name_of, slugs

#: Where the program and its manifests send their readers.
PRINTED = re.compile(r"docs/[a-zA-Z/-]+\.md(?:#[\w-]+)?")
SOURCES = sorted(
    path
    for pattern in ("operator/**/*.py", "operator/**/*.yaml", "manifests/**/*.yaml", "crds/*.yaml")
    for path in ROOT.glob(pattern)
)
#: Pages of other projects that rows of data name as their source.
_OF_OTHERS = re.compile(r"https?://\S*|[\w./-]+: docs/\S*")


def wrong_links(page: Path, text: str) -> list[str]:
    """Return the links of a page that lead nowhere."""
    wrong = []
    for line, link in links(text):
        if "://" in link or link.startswith("mailto:"):
            url = urlsplit(link)
            if url.scheme not in ("https", "http", "mailto") or " " in link:
                wrong.append(f"{line}: {link} is no address")
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve()
        if name and not target.is_file():
            wrong.append(f"{line}: {link}: there is no such file")
        elif anchor and anchor not in anchors(target.read_text("utf-8") if name else text):
            wrong.append(f"{line}: {link}: there is no such heading")
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    assert wrong_links(page, page.read_text("utf-8")) == []


def test_no_link_leads_to_one_of_two_headings_of_one_name() -> None:
    """GitHub counts them from -1, the site from _1."""
    for page in PAGES:
        for line, link in links(page.read_text("utf-8")):
            name, _, anchor = link.partition("#")
            if anchor and "://" not in link:
                target = (page.parent / name) if name else page
                assert slugs(target.read_text("utf-8")).count(anchor) < 2, f"{page}:{line}"


def test_pages_that_the_program_and_manifests_name_are_there() -> None:
    for path in SOURCES:
        text = _OF_OTHERS.sub("", path.read_text("utf-8"))
        for name in PRINTED.findall(text):
            page, _, anchor = name.partition("#")
            assert (ROOT / page).is_file(), f"{path}: {name}"
            assert not anchor or anchor in anchors((ROOT / page).read_text("utf-8")), name


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[a](docs/status.md#conditions) [b](README.md) [c](https://example.com/x)", []),
        ("[a](docs/statuses.md)", ["1: docs/statuses.md: there is no such file"]),
        (
            "\n[a](docs/status.md#condition)",
            ["2: docs/status.md#condition: there is no such heading"],
        ),
        ("# A `b` c!\n[a](#a-b-c)", []),
        ('<a id="x"></a>\n[a](#x) [b](#y)', ["2: #y: there is no such heading"]),
        ("[a](htp://example.com)", ["1: htp://example.com is no address"]),
        ("[a](docs)", ["1: docs: there is no such file"]),
        ("```\n[a](no.md)\n```", []),
    ],
)
def test_a_link_that_leads_nowhere_is_found(text: str, wrong: list[str]) -> None:
    assert wrong_links(ROOT / "page.md", text) == wrong
