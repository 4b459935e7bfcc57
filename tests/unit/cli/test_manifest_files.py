# SPDX-License-Identifier: Apache-2.0
"""Which files there are to read, below folders and behind kustomizations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from postroom.cli.manifest_files import SIZE_LIMIT, ListedFile, beyond_listing, content_of, listed


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def found(folder: Path, *ignore: str) -> list[str]:
    files, problems = listed([folder], ignore)
    assert problems == []
    assert all(file.walked for file in files)
    return [str(file.path.relative_to(folder)) for file in files]


def test_of_a_folder_manifests_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    put(tmp_path, "b.yaml", "a.yml", "sub/c.json", "README.md", "notes.yaml.bak", ".git/x.yaml")
    assert found(tmp_path) == ["a.yml", "b.yaml", "sub/c.json"]
    assert found(tmp_path, "sub/") == ["a.yml", "b.yaml"]
    (tmp_path / ".gitignore").write_text("b.*\n")
    assert found(tmp_path) == ["a.yml", "sub/c.json"]


def test_what_is_named_is_read_whatever_it_is_called_and_once(tmp_path: Path) -> None:
    put(tmp_path, "notes.txt")
    named = tmp_path / "notes.txt"
    files, problems = listed([named, Path("-"), tmp_path / ".." / tmp_path.name / "notes.txt"])
    assert (files, problems) == ([ListedFile(named), ListedFile(Path("-"))], [])


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    assert listed([gone]) == ([], [(str(gone), 0, "there is no such file or directory")])


def test_a_kustomization_stands_for_its_folder_and_the_outer_namespace_counts(
    tmp_path: Path,
) -> None:
    put(tmp_path, "base/a.yaml", "base/unlisted.yaml", "overlay/b.yaml")
    (tmp_path / "base" / "kustomization.yaml").write_text("resources: [a.yaml]\nnamespace: inner\n")
    overlay = tmp_path / "overlay"
    (overlay / "kustomization.yaml").write_text("namespace: outer\nresources: [../base, b.yaml]\n")
    files, problems = listed([overlay])
    assert problems == []
    assert [(file.path.name, file.namespace) for file in files] == [
        ("a.yaml", "outer"),
        ("b.yaml", "outer"),
    ]
    files, _ = listed([tmp_path / "base"])
    assert [(file.path.name, file.namespace) for file in files] == [("a.yaml", "inner")]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("resources: [a.yaml\n", 2, "is not YAML that can be read"),
        ("- a.yaml\n", 0, "is no kustomization that can be read"),
        ("resources: a.yaml\n", 0, "is no kustomization that can be read"),
        ("resources: []\nnamespace: a\nresources: [a.yaml]\n", 3, "says resources twice"),
        ("resources: [a.yaml]\npatches: [x]\n", 2, "says patches, which is not applied here"),
        ("kind: x\nresources: ['https://x.example']\n", 2, "the remote resource https://x.example"),
    ],
)
def test_a_kustomization_is_read_whole_or_not_at_all(
    text: str, line: int, says: str, tmp_path: Path
) -> None:
    put(tmp_path, "a.yaml")
    file = tmp_path / "kustomization.yaml"
    file.write_text(text)
    files, problems = listed([tmp_path])
    assert files == []
    ((place, at, sentence),) = problems
    assert (place, at) == (str(file), line)
    assert says in sentence


def test_a_file_is_read_to_a_byte_beyond_the_limit(tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    file.write_bytes(b"x" * (SIZE_LIMIT + 9))
    assert len(content_of(file)) == SIZE_LIMIT + 1


@pytest.mark.parametrize(
    ("content", "beyond"),
    [
        ({"resources": ["a.yaml"], "namespace": "mail", "images": [1]}, []),
        ({"patches": [1], "helmCharts": [1], "vars": []}, ["helmCharts", "patches"]),
        ({"namespace": 1}, ["a namespace that is no name"]),
        ({"resources": [1]}, ["a resource that is no path"]),
        (
            {"resources": ["github.com/a/b", "git@c:d", "https://e", "f?ref=g"]},
            [
                "the remote resource github.com/a/b",
                "the remote resource git@c:d",
                "the remote resource https://e",
                "the remote resource f?ref=g",
            ],
        ),
    ],
)
def test_what_a_kustomization_does_beyond_listing(
    content: dict[Any, Any], beyond: list[str]
) -> None:
    assert list(beyond_listing(content)) == beyond
