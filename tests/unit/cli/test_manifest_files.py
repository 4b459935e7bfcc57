# SPDX-License-Identifier: Apache-2.0
"""Which files there are to read, below folders and behind kustomizations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from postroom.cli.manifest_files import (
    SIZE_LIMIT,
    ListedFile,
    Unread,
    beyond_listing,
    content_of,
    listed,
    speaks_of_us,
)


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
        ("- a.yaml\n", 1, "is no kustomization that can be read"),
        ("kind: x\nresources: a.yaml\n", 2, "is no kustomization that can be read"),
        ("resources: []\nnamespace: a\nresources: [a.yaml]\n", 3, "says resources twice"),
        ("resources: [a.yaml]\npatches: [x]\n", 2, "says patches, which is not applied here"),
        ("resources:\nconfigMapGenerator: [x]\n", 2, "says configMapGenerator"),
        ("kind: x\nresources:\n- gone.yaml\n", 3, "names gone.yaml, but there is no such file"),
        ("x: &x {resources: [gone.yaml]}\n<<: *x\n", 1, "says x, which is not applied"),
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


@pytest.mark.parametrize(
    "patched", ["patches: [{path: p.yaml}]\n", "resources: a.yaml\n", "a: [\n"]
)
def test_of_a_repository_a_kustomization_that_has_nothing_of_ours_is_passed_over(
    patched: str, tmp_path: Path
) -> None:
    for name in ("others", "ours", "overlay", "base"):
        (tmp_path / name).mkdir()
    others = tmp_path / "others"
    (others / "kustomization.yaml").write_text(patched)
    (others / "p.yaml").write_text("kind: Deployment\n")
    assert listed([tmp_path])[1] == []
    # Who names it means it.
    assert len(listed([others])[1]) == 1
    (tmp_path / "ours" / "kustomization.yaml").write_text(patched)
    (tmp_path / "ours" / "p.yaml").write_text("kind: SendingDomain\n")
    (problem,) = listed([tmp_path])[1]
    assert problem[0] == str(tmp_path / "ours" / "kustomization.yaml")


OTHERS = "# of postroom's receiver\nkind: Deployment\nlabels: {for: postroom}\n"


@pytest.mark.parametrize(
    ("resource", "more", "told"),
    [
        (OTHERS, "", False),
        (OTHERS, "namePrefix: postroom-", False),
        ("---\n" + OTHERS + "---\nkind: SendingDomain\n", "", True),
        ("apiVersion: postroom.dev/v1\nkind: SendingDomian\n", "", True),
        ("kind: List\nitems: [{kind: SendingDomain}]\n", "", True),
        (OTHERS + "a: [", "", True),
        (OTHERS, "resources: [a.yaml, https://x.example/y]", True),
        (OTHERS, "patches: [{path: p.yaml}]", True),
        (OTHERS, "helmCharts: [{name: postroom}]", True),
    ],
)
def test_a_program_that_speaks_of_us_makes_no_kustomization_ours(
    resource: str, more: str, told: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "receiver"
    folder.mkdir()
    (folder / "main.py").write_text('"""A receiver for an EmailAccount of postroom."""\n')
    (folder / "a.yaml").write_text(resource)
    text = f"{'' if 'resources' in more else 'resources: [a.yaml]'}\n{more}\n"
    (folder / "kustomization.yaml").write_text(f"{text}configMapGenerator: [{{name: a}}]\n")
    assert [problem.file for problem in listed([tmp_path])[1]] == [
        str(folder / "kustomization.yaml")
    ] * told
    assert len(listed([folder])[1]) == 1


def test_the_examples_that_ship_need_no_second_look() -> None:
    examples = Path(__file__).parents[3] / "examples"
    assert (examples / "tickets" / "kustomization.yaml").is_file()
    assert listed([examples])[1] == []


def test_what_a_kustomization_names_elsewhere_may_be_ours(tmp_path: Path) -> None:
    (tmp_path / "overlay").mkdir()
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "a.yaml").write_text("apiVersion: postroom.dev/v1alpha1\n")
    (tmp_path / "overlay" / "kustomization.yaml").write_text(
        "resources: [../base]\npatches: [{path: p.yaml}]\n"
    )
    (problem,) = listed([tmp_path])[1]
    assert "which is not applied here" in problem[2]


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        ("resources: [../base]\npatches: [{path: p.yaml}]\n", True),
        ("resources: [../base]\ncomponents: [../c]\n", True),
        ("resources: ['https://x.example/postroom']\n", True),
        ("resources: [../patched]\n", True),
        ("resources: [../gone]\n", False),
        ("resources: [\n", False),
    ],
)
def test_only_what_is_well_and_not_named_is_merely_unread(
    text: str, unread: bool, tmp_path: Path
) -> None:
    put(tmp_path, "base/a.yaml", "my overlay/p.yaml")
    (tmp_path / "patched").mkdir()
    (tmp_path / "base" / "kustomization.yaml").write_text("resources: [a.yaml]\n")
    (tmp_path / "patched" / "kustomization.yaml").write_text("namePrefix: postroom-\n")
    overlay = tmp_path / "my overlay"
    (overlay / "p.yaml").write_text("kind: SendingDomain\n")
    (overlay / "kustomization.yaml").write_text(text)
    files, problems = listed([tmp_path], ["/patched"])
    assert [file.path.name for file in files] == ["a.yaml"]
    assert [isinstance(problem, Unread) for problem in problems] == [unread]
    _, problems = listed([overlay])
    assert [isinstance(problem, Unread) for problem in problems] == [False]


def test_the_command_that_reads_it_can_be_copied(tmp_path: Path) -> None:
    put(tmp_path, "my overlay/p.yaml")
    (tmp_path / "my overlay" / "kustomization.yaml").write_text("patches: [{path: p.yaml}]\n")
    ((_, _, sentence),) = listed([tmp_path / "my overlay"])[1]
    assert f"`kubectl kustomize '{tmp_path}/my overlay'` into `postroom check -`" in sentence


def test_a_file_may_speak_of_us_where_nothing_is_read_any_more(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    for before in (SIZE_LIMIT + 10, SIZE_LIMIT - 3):
        file.write_bytes(b"#" * before + b"\nkind: SendingDomain\n")
        assert speaks_of_us(file)
    file.write_bytes(b"#" * (2 * SIZE_LIMIT))
    assert not speaks_of_us(file)


def test_a_link_that_leads_nowhere_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("gone.yaml")
    (tmp_path / "notes").symlink_to("gone")
    gone = str(tmp_path / "a.yaml")
    assert listed([tmp_path]) == ([], [(gone, 0, "there is no such file or directory")])


def test_a_link_that_leads_to_itself_leads_nowhere(tmp_path: Path) -> None:
    itself = tmp_path / "a.yaml"
    itself.symlink_to("a.yaml")
    nowhere = ([], [(str(itself), 0, "there is no such file or directory")])
    assert listed([itself]) == nowhere
    assert listed([tmp_path]) == nowhere
