# SPDX-License-Identifier: Apache-2.0
"""Builds docs/ as a site, `make docs-site`: strict, without network, a folder for each version.

The pages stay where GitHub renders them. What they link outside docs/ (CONTRIBUTING.md, a file of
data) is taken along under repository/, so that the site is whole without the address of a
repository. Zensical sees a copy of pages and pictures; what it warns of ends the build.
"""

import argparse
import json
import os
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
#: What the site has of docs/; its programs are left out.
SHOWN = (".md", ".svg", ".png", ".css", ".json")
ELSEWHERE = "repository"
_LINK = re.compile(r"(\]\()([^)#:\s]+)((?:#[^)\s]*)?\))")


class SiteError(Exception):
    """The site cannot be built as it is."""


def main() -> None:
    """Build, and end with a sentence where that cannot be."""
    asked = argparse.ArgumentParser(description=__doc__, prog="make docs-site")
    asked.add_argument("--out", type=Path, default=ROOT / "site", help="where the versions lie")
    asked.add_argument("--version", default="dev", help="the name of this version")
    asked.add_argument("--alias", default="latest", help="another name of it; empty: none")
    asked.add_argument("--url", default=None, help="where the site will stand: for its sitemap")
    chosen = asked.parse_args()
    try:
        with tempfile.TemporaryDirectory() as copy:
            keep(built(Path(copy), chosen.url), chosen.out, chosen.version, chosen.alias)
    except SiteError as error:
        sys.exit(str(error))
    print(f"{chosen.out / chosen.version / 'index.html'}")


def built(copy: Path, url: str | None) -> Path:
    """Copy what the site shows, build it, and return where it lies."""
    if problems := list(navigation_problems()):
        raise SiteError("\n".join(problems))
    stage(copy / "docs")
    configure(copy / "zensical.toml", url)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict"]
    if subprocess.run(command, cwd=copy, env={**os.environ, "NO_COLOR": "1"}).returncode:
        raise SiteError("The site is not built: mend what stands above.")
    return copy / "site"


def navigation() -> list[str]:
    """Return the pages of the navigation, in its order."""

    def pages(entry: Any) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for inner in entry.values() if isinstance(entry, dict) else entry:
                yield from pages(inner)

    config = tomllib.loads((ROOT / "zensical.toml").read_text("utf-8"))
    return list(pages(config["project"]["nav"]))


def navigation_problems() -> Iterator[str]:
    """Tell what the navigation has that is not there, twice, or not at all."""
    listed = navigation()
    there = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    there |= {f"{ELSEWHERE}/{path}" for path in taken_along() if path.endswith(".md")}
    for page in sorted(set(listed) - there):
        yield f"zensical.toml: the navigation names {page}, which is no page."
    for page in sorted(there - set(listed)):
        yield f"zensical.toml: no reader finds {page}: add it to the navigation."
    for page in sorted({page for page in listed if listed.count(page) > 1}):
        yield f"zensical.toml: {page} stands in the navigation {listed.count(page)} times."


def linked() -> set[str]:
    """Return the files that pages of docs/ link, and that those link in turn."""
    found: set[str] = set()
    unread = [path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")]
    while unread:
        page = unread.pop()
        for target in _targets(page):
            if not (ROOT / target).is_file():
                raise SiteError(f"{page} links {target}, which is no file of the repository.")
            if target not in found:
                found.add(target)
                outside = not target.startswith("docs/")
                unread += [target] if outside and target.endswith(".md") else []
    return found


def taken_along() -> set[str]:
    """Return the linked files that lie outside docs/."""
    return {name for name in linked() if not name.startswith("docs/")}


def stage(pages: Path) -> None:
    """Copy what the site shows, with links that hold where the copies lie."""
    own = (path for path in (ROOT / "docs").rglob("*") if path.suffix in SHOWN)
    for name in sorted({*(path.relative_to(ROOT).as_posix() for path in own), *linked()}):
        _copy(name, pages)


def configure(path: Path, url: str | None) -> None:
    """Write the configuration of the copy: the same, with the address that this build is for."""
    text = (ROOT / "zensical.toml").read_text("utf-8")
    if url is not None:
        text = text.replace("[project]\n", f"[project]\nsite_url = {json.dumps(url)}\n", 1)
    path.write_text(text, "utf-8")


def keep(made: Path, out: Path, version: str, alias: str) -> None:
    """Put a version beside the others, and list them as mike does, the newest first."""
    known = out / "versions.json"
    listed = json.loads(known.read_text("utf-8")) if known.exists() else []
    others = [entry for entry in listed if entry["version"] != version]
    mine: list[str] = next((entry["aliases"] for entry in listed if entry not in others), [])
    for entry in others:
        entry["aliases"] = [name for name in entry["aliases"] if name != alias]
    aliases = sorted({*mine, *([alias] if alias else [])})
    entries = [{"version": version, "title": version, "aliases": aliases}, *others]
    for name in (version, *aliases):
        shutil.rmtree(out / name, ignore_errors=True)
        shutil.copytree(made, out / name)
    entries.sort(key=_newest_first)
    known.write_text(json.dumps(entries, indent=2) + "\n", "utf-8")
    first = next((entry["aliases"][0] for entry in entries if entry["aliases"]), version)
    (out / "index.html").write_text(_FORWARD.format(alias=first), "utf-8")
    # Of all versions, hosts look for it at the root alone.
    shutil.copyfile(out / first / "404.html", out / "404.html")


def _newest_first(entry: dict[str, Any]) -> tuple[bool, list[int]]:
    """Sort what is no number, such as dev, before all numbers, and these from the newest."""
    parts = entry["version"].split(".")
    numbers = [-int(part) for part in parts if part.isdecimal()]
    return len(numbers) == len(parts), numbers


_FORWARD = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>postroom</title>
<meta http-equiv="refresh" content="0; url={alias}/">
<a href="{alias}/">The documentation of postroom</a>
</html>
"""


def _targets(page: str) -> Iterator[str]:
    """Yield the files that a page links, from the root of the repository."""
    for line in _prose(ROOT / page):
        for _, target, _ in _LINK.findall(line):
            yield posixpath.normpath(posixpath.join(posixpath.dirname(page), target))


def _prose(path: Path) -> Iterator[str]:
    """Yield the lines of a page that are no example."""
    fenced = False
    for line in path.read_text("utf-8").splitlines():
        fenced ^= line.lstrip().startswith("```")
        if not fenced:
            yield line


def _copy(name: str, pages: Path) -> None:
    """Copy one file to its place in the site, the links of a page with it."""
    place = _place(name)
    goal = pages / place
    goal.parent.mkdir(parents=True, exist_ok=True)
    if goal.suffix != ".md":
        shutil.copyfile(ROOT / name, goal)
        return

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), link[2]))
        return f"{link[1]}{posixpath.relpath(_place(target), posixpath.dirname(place))}{link[3]}"

    lines, fenced = [], False
    for line in (ROOT / name).read_text("utf-8").splitlines(keepends=True):
        fenced ^= line.lstrip().startswith("```")
        lines.append(line if fenced else _LINK.sub(moved, line))
    goal.write_text("".join(lines), "utf-8")


def _place(name: str) -> str:
    """Return where a file of the repository stands in the site."""
    inside = PurePosixPath(name)
    if inside.parts[0] == "docs":
        return inside.relative_to("docs").as_posix()
    # A file without an ending (NOTICE) would be served as something to download.
    return f"{ELSEWHERE}/{name}" if inside.suffix else f"{ELSEWHERE}/{name}.txt"


if __name__ == "__main__":
    main()
