# SPDX-License-Identifier: Apache-2.0
"""A check of a repository: what is not ours is passed over quietly, and nothing of ours is."""

import re
from pathlib import Path

import pytest

from calls import calls_of
from postroom.cli import ignoring, manifests
from postroom.cli.check import CheckInput, exit_code, world_of
from postroom.cli.options import ExitCode
from postroom.settings import load

OURS = """apiVersion: postroom.dev/v1alpha1
kind: SendingDomain
metadata: {name: NAME}
spec: {domain: example.com}
"""


def put(top: Path, **files: str) -> None:
    for name, text in files.items():
        path = top / name.replace("__", "/").replace("_yaml", ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(top: Path, *ignore: str) -> list[str]:
    return sorted(key.name for key in manifests.load([top], "mail", ignore).resources)


@pytest.mark.parametrize(
    ("line", "path", "left_out"),
    [
        ("vendor", "vendor", True),
        ("vendor", "a/vendor", True),
        ("/vendor", "a/vendor", False),
        ("a/b.yaml", "a/b.yaml", True),
        ("a/b.yaml", "c/a/b.yaml", False),
        ("*.yaml", "a/b.yaml", True),
        ("a/*.yaml", "a/b/c.yaml", False),
        ("a/**/c.yaml", "a/b/c.yaml", True),
        ("a/**/c.yaml", "a/c.yaml", True),
        ("**/c.yaml", "c.yaml", True),
        ("b?.yaml", "b1.yaml", True),
        ("b/", "b", False),
        ("# vendor", "vendor", False),
        ("", "vendor", False),
    ],
)
def test_a_line_means_what_git_means(tmp_path: Path, line: str, path: str, left_out: bool) -> None:
    assert ignoring.is_left_out(tmp_path / path, ignoring.rules(tmp_path, [line])) is left_out


def test_the_last_line_counts(tmp_path: Path) -> None:
    known = ignoring.rules(tmp_path, ["*.yaml", "!mine.yaml"])
    assert ignoring.is_left_out(tmp_path / "a.yaml", known)
    assert not ignoring.is_left_out(tmp_path / "mine.yaml", known)


def test_hidden_and_ignored_entries_are_left_out(tmp_path: Path) -> None:
    put(
        tmp_path,
        **{name: OURS.replace("NAME", name.split("__")[0].strip(".").replace("_yaml", ""))
           for name in (".github__x_yaml", "build__x_yaml", "drafts__x_yaml", "mail__x_yaml")},
    )  # fmt: skip
    (tmp_path / ".gitignore").write_text("build/\n")
    assert names(tmp_path) == ["drafts", "mail"]
    assert names(tmp_path, "drafts") == ["mail"]
    # What is named is read.
    assert names(tmp_path / "build") == ["build"]


@pytest.mark.parametrize(
    "text", ["name: {{ .Values.x }}\n", "services: {web: {image: x}}\n", "- 1\n", "a: [\n"]
)
def test_a_file_of_others_is_passed_over_in_a_folder_and_not_when_named(
    tmp_path: Path, text: str
) -> None:
    put(tmp_path, other_yaml=text)
    assert manifests.load([tmp_path], "mail").complaints == []
    assert manifests.load([tmp_path / "other.yaml"], "mail").complaints


@pytest.mark.parametrize(
    "text",
    [OURS.replace("NAME", "{{ x }}"), OURS + "a: [", OURS.replace("postroom.dev", "postrom.dev")],
)
def test_what_is_broken_and_ours_is_never_passed_over(tmp_path: Path, text: str) -> None:
    put(tmp_path, ours_yaml=text)
    assert manifests.load([tmp_path], "mail").complaints


@pytest.mark.parametrize(
    ("target", "code"), [(".", ExitCode.READY), ("other.yaml", ExitCode.BAD_INPUT)]
)
def test_a_repository_without_ours_is_well(tmp_path: Path, target: str, code: int) -> None:
    """A file or a pipe that was named and holds nothing is a mistake all the same."""
    put(tmp_path, other_yaml="apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n")
    found = CheckInput([str(tmp_path / target)], "mail").read()
    assert exit_code(found, world_of(found, load({}, {}))) == code


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("*a" * 12 + "b", "a" * 200, False),
        ("*a" * 12 + "b", "a" * 200 + "b", True),
        ("*" * 40 + "b", "a" * 200, False),
        ("**/" * 20 + "x", "a/" * 100 + "y", False),
        ("**/" * 20 + "x", "a/" * 100 + "x", True),
        ("**/*a" * 20 + "b", "a" * 100 + "/a" * 100, False),
    ],
)
def test_no_pattern_takes_for_ever(pattern: str, name: str, fits: bool, tmp_path: Path) -> None:
    (rule,) = ignoring.rules(tmp_path, [pattern])
    assert rule.fits(tmp_path / name) is fits
    parts = len(Path(name).parts)
    # Each name is held against each part at most once, a step of which is a handful of calls.
    assert calls_of(lambda: rule.fits(tmp_path / name)) < 150 + 5 * len(rule.names) * (parts + 1)
    for said in filter(None, rule.names):
        # Within a name only the last star may try another length: the others stand in groups that
        # are never entered again.
        assert re.sub(r"\(\?>[^()]*\)", "", said.pattern).count(".*") <= 1
