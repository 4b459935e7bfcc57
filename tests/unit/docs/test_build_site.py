# SPDX-License-Identifier: Apache-2.0
"""The site of docs/ is built as `make docs-site` builds it, and its navigation leads to every page.

Covers: pages that the navigation forgets, doubles or invents; links that leave docs/; versions
beside each other; that no page asks another host for anything.
"""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt

import build_site
from build_site import SiteError


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, made once for all tests."""
    return build_site.built(tmp_path_factory.mktemp("copy"), "https://docs.example.com/")


def test_the_navigation_names_every_page_once() -> None:
    assert list(build_site.navigation_problems()) == []


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with two pages, of which one links what lies outside."""
    (tmp_path / "docs" / "a").mkdir(parents=True)
    (tmp_path / "docs" / "README.md").write_text(
        "# Home\n\n[a](a/page.md#part), [outside](../NOTICE), [more](../MORE.md)\n\n"
        "![p](p.png)\n\n"
        "```\n[a](a/page.md)\n```\n"
    )
    (tmp_path / "docs" / "a" / "page.md").write_text("# Page\n\n## Part\n\n[up](../README.md)\n")
    (tmp_path / "NOTICE").write_text("x")
    (tmp_path / "docs" / "p.png").write_bytes(b"p")
    (tmp_path / "docs" / "program.py").write_text("")
    (tmp_path / "MORE.md").write_text("# More\n\n[home](docs/README.md) [data](data/x.yaml)\n")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.yaml").write_text("a: b\n")
    monkeypatch.setattr(build_site, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("navigation", "problems"),
    [
        (["README.md", "a/page.md", "repository/MORE.md"], []),
        (["README.md", "repository/MORE.md"], ["no reader finds a/page.md"]),
        (["README.md", "a/page.md"], ["no reader finds repository/MORE.md"]),
        (
            ["README.md", "a/page.md", "repository/MORE.md", "b.md"],
            ["names b.md, which is no page"],
        ),
        (
            ["README.md", "a/page.md", "repository/MORE.md", "a/page.md"],
            ["a/page.md stands in the"],
        ),
    ],
)
def test_what_the_navigation_lacks_is_told(
    elsewhere: Path, navigation: list[str], problems: list[str]
) -> None:
    first, *rest = navigation
    (elsewhere / "zensical.toml").write_text(
        f'[project]\nnav = [{{ Home = "{first}" }}, {{ Rest = {json.dumps(rest)} }}]\n'
    )
    told = list(build_site.navigation_problems())
    assert len(told) == len(problems)
    assert all(part in line for part, line in zip(problems, told, strict=True))


def test_what_pages_link_outside_comes_along_and_links_hold(
    elsewhere: Path, tmp_path: Path
) -> None:
    pages = tmp_path / "pages"
    build_site.stage(pages)
    assert (
        "[a](a/page.md#part), [outside](repository/NOTICE.txt), [more](repository/MORE.md)"
        in (pages / "README.md").read_text()
    )
    assert "```\n[a](a/page.md)\n```" in (pages / "README.md").read_text()
    assert (
        "[home](../README.md) [data](data/x.yaml)" in (pages / "repository" / "MORE.md").read_text()
    )
    assert (pages / "p.png").read_bytes() == b"p"
    assert not (pages / "program.py").exists()
    assert (pages / "repository" / "data" / "x.yaml").read_text() == "a: b\n"


@pytest.mark.parametrize("text", ["[x](missing.md)", "[x](../MISSING)", "[x](a/page.md#none)"])
def test_a_link_that_leads_nowhere_ends_the_build(
    elsewhere: Path, tmp_path: Path, text: str
) -> None:
    (elsewhere / "docs" / "README.md").write_text(f"# Home\n\n{text}\n")
    (elsewhere / "zensical.toml").write_text(
        '[project]\nsite_name = "x"\nnav = ["README.md", "a/page.md"]\n'
    )
    with pytest.raises(SiteError):
        build_site.built(tmp_path / "copy", None)


def test_every_link_and_picture_of_the_site_is_there(site: Path) -> None:
    asked = re.compile(r"<(?:a|img|link|script)\b[^>]*?\b(?:href|src)=[\"']?([^\"'\s>#]+)")
    missing = set()
    for page in site.rglob("*.html"):
        for target in set(asked.findall(page.read_text("utf-8"))):
            url = urlsplit(target)
            inside = url.netloc in ("", "docs.example.com") and url.scheme in ("", "https")
            start = site if target.startswith(("/", "https://")) else page.parent
            goal = start / url.path.lstrip("/")
            if inside and not (goal.is_file() or (goal / "index.html").is_file()):
                missing.add((page.relative_to(site).as_posix(), target))
    assert missing == set()


def test_every_page_is_in_the_site_and_is_found_by_its_search(site: Path) -> None:
    index = json.loads((site / "search.json").read_text())
    found = {item["location"].split("#")[0].strip("/") for item in index["items"]}
    for page in build_site.navigation():
        place = re.sub(r"(?:^|/)README$", "", page.removesuffix(".md"))
        assert (site / place / "index.html").exists(), page
        assert place in found, page


class Outline(HTMLParser):
    """Counts the elements of a page that its author wrote."""

    TAGS = frozenset(
        [
            "h1",
            "h2",
            "h3",
            "h4",
            "h5",
            "h6",
            "li",
            "tr",
            "pre",
            "img",
            "blockquote",
            "a",
            "code",
            "strong",
            "em",
        ]
    )

    def __init__(self, page: str, *, article: bool) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self._within = not article
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._within |= tag == "article"
        of_the_theme = {"headerlink", "__skip"} & {value for _, value in attrs}
        if self._within and tag in self.TAGS and not of_the_theme:
            self.counts[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self._within = False


def test_the_site_makes_of_each_page_what_github_makes_of_it(site: Path, tmp_path: Path) -> None:
    """GitHub needs no empty line before a list, and nests by other widths than Python-Markdown."""
    build_site.stage(tmp_path)
    github = MarkdownIt("commonmark").enable("table")
    for page in build_site.navigation():
        place = re.sub(r"(?:^|/)README$", "", page.removesuffix(".md"))
        made = (site / place / "index.html").read_text("utf-8")
        expected = Outline(github.render((tmp_path / page).read_text("utf-8")), article=False)
        assert Outline(made, article=True).counts == expected.counts, page


def test_versions_stand_beside_each_other_and_one_is_the_latest(tmp_path: Path) -> None:
    made, out = tmp_path / "made", tmp_path / "out"
    made.mkdir()

    def keep(version: str, alias: str) -> list[tuple[str, list[str]]]:
        for page in ("index.html", "404.html"):
            (made / page).write_text(f"of {version}")
        build_site.keep(made, out, version, alias)
        listed = json.loads((out / "versions.json").read_text())
        return [(entry["version"], entry["aliases"]) for entry in listed]

    assert keep("dev", "") == [("dev", [])]
    assert 'url=dev/"' in (out / "index.html").read_text()
    assert keep("0.9", "latest") == [("dev", []), ("0.9", ["latest"])]
    assert keep("0.10", "latest") == [("dev", []), ("0.10", ["latest"]), ("0.9", [])]
    assert keep("0.10", "") == [("dev", []), ("0.10", ["latest"]), ("0.9", [])]
    assert keep("dev", "") == [("dev", []), ("0.10", ["latest"]), ("0.9", [])]
    assert (out / "404.html").read_text() == "of 0.10"
    assert (out / "latest" / "index.html").read_text() == "of 0.10"
    assert (out / "0.9" / "index.html").read_text() == "of 0.9"
    assert 'url=latest/"' in (out / "index.html").read_text()


def test_no_page_asks_another_host_for_anything(site: Path) -> None:
    asked = re.compile(
        r"<(?:script|img|iframe|source|link|form)\b[^>]*(?:src|href|action)=\"?(?:https?:)?//[^>]*>"
    )
    for page in site.rglob("*.html"):
        others = [tag for tag in asked.findall(page.read_text()) if "canonical" not in tag]
        assert others == [], page
