# SPDX-License-Identifier: Apache-2.0
"""Raw objects of a file with their lines, as Kubernetes would read them, and complaints instead of
errors."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from postroom.cli.yaml_documents import Complaint, Manifest, documents, template_in


def read(folder: Path, text: str | bytes) -> tuple[list[Manifest], list[str]]:
    file = folder / "x.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    complaints: list[Complaint] = []
    found = list(documents(file, complaints))
    assert all(complaint.file == str(file) for complaint in complaints)
    return found, [f"{complaint.line}: {complaint.message}" for complaint in complaints]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("17:00", "17:00"),
        ("-1:30:00.5", "-1:30:00.5"),
        ("2026-11-21", "2026-11-21"),
        ("'7'", "7"),
        ("7", 7),
        ("1.5", 1.5),
        ("yes", True),
        ("~", None),
        ("[a, {b: 1}]", ["a", {"b": 1}]),
    ],
)
def test_values_are_those_that_kubernetes_reads(text: str, value: object, tmp_path: Path) -> None:
    (found,), complaints = read(tmp_path, f"x: {text}\n")
    assert (found.raw, complaints) == ({"x": value}, [])


def test_each_part_has_the_line_of_its_key_and_unknown_parts_that_of_what_is_around(
    tmp_path: Path,
) -> None:
    (first, second), _ = read(tmp_path, "a:\n  - b: 1\n---\nc:\n  d:\n    2\n")
    assert [first.line_of(path) for path in ((), ("a",), ("a", 0), ("a", 0, "b"))] == [1, 1, 2, 2]
    assert second.line_of(("c", "d")) == 5
    assert second.line_of(("c", "d", "gone", 3)) == 5
    assert second.line_of(("gone",)) == 4
    assert second.complaint(("c",), "is wrong") == Complaint(second.file, 4, "is wrong")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\na: 2\n", "2: a is given twice"),
        ("a:\n  b: 1\n  b: 2\n", "3: a.b is given twice"),
        ("1: 2\n? [x]\n: 1\n", "2: has a key that is no text"),
        ("- a\n", "1: is no Kubernetes object: it must be a mapping"),
        ("a:\n\tb: 1\n", "2: has a tab where YAML wants spaces"),
        ("a: {{ .Values.x }}\n", "1: looks like a template ({{ ...)"),
        ("a: b\n{{- if x }}\nc: d\n", "2: looks like a template ({{- if x }}"),
        ("a: [1\nb: 2\n", "2: is not YAML: "),
        ("a: " + "[" * 60 + "]" * 60 + "\n", "1: is nested too deeply"),
        ("kind: SecretList\nitems: {}\n", "2: items: must be a list of objects"),
        ("kind: List\nitems:\n- 1\n", "3: items[0]: is no Kubernetes object"),
        (b"a: 1\nb: \xff\n", "2: is not UTF-8 text"),
        ("a: 1\n".encode("utf-16"), "1: is UTF-16"),
        ("a: 1\n".encode("utf-16-le"), "1: is UTF-16"),
        (b"a: 1\nb: \x07\n", "2: holds U+0007, which YAML does not allow"),
        (b"x" * (4 * 1024 * 1024 + 1), "0: is larger than 4 MiB"),
    ],
)
def test_what_is_wrong_is_one_complaint_with_its_line(
    text: str | bytes, says: str, tmp_path: Path
) -> None:
    _, (complaint,) = read(tmp_path, text)
    assert complaint.startswith(says)


def test_behind_a_broken_document_the_others_are_read_with_their_lines(tmp_path: Path) -> None:
    found, complaints = read(tmp_path, "a: 1\n---\nb: [\n---\nc:\n  d: 1\n")
    assert [manifest.raw for manifest in found] == [{"a": 1}, {"c": {"d": 1}}]
    assert found[1].line_of(("c", "d")) == 6
    assert len(complaints) == 1


def test_after_twenty_broken_documents_the_rest_is_not_read(tmp_path: Path) -> None:
    found, complaints = read(tmp_path, "---\na: [\n" * 30 + "---\nb: 1\n")
    assert found == []
    assert len(complaints) == 21
    assert "too many documents that are not YAML" in complaints[-1]


def test_lists_within_lists_give_their_objects_with_their_lines(tmp_path: Path) -> None:
    inner = "- kind: List\n  items:\n  - kind: A\n    spec: 1\n- kind: B\n"
    found, complaints = read(tmp_path, f"kind: List\nitems:\n{inner}")
    assert complaints == []
    assert [manifest.raw["kind"] for manifest in found] == ["A", "B"]
    assert [manifest.line_of(("spec",)) for manifest in found] == [6, 7]


def test_a_kind_of_ours_that_ends_like_a_list_is_none(tmp_path: Path) -> None:
    (found,), _ = read(tmp_path, "kind: AllowList\nspec: {}\n")
    assert found.raw["kind"] == "AllowList"


def test_standard_input_and_what_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Input:
        buffer = io.BytesIO(b"a: 1\n")

    monkeypatch.setattr("sys.stdin", Input())
    complaints: list[Complaint] = []
    (found,) = documents(Path("-"), complaints)
    assert (found.file, found.raw, complaints) == ("<stdin>", {"a": 1}, [])
    gone = tmp_path / "gone.yaml"
    assert list(documents(gone, complaints)) == []
    assert [str(each) for each in complaints] == [
        f"{gone}: cannot be read: No such file or directory"
    ]


@pytest.mark.parametrize(
    ("text", "is_template"),
    [
        ("a: ${HOST}", True),
        ("<% if x %>", True),
        ("{% if x %}", True),
        ("<path:secret#key>", True),
        ("a: $HOST {x} <b> %", False),
    ],
)
def test_templates_are_known_by_their_marks(text: str, is_template: bool) -> None:
    assert (template_in(text) is not None) is is_template


def test_a_secret_is_not_in_the_repr(tmp_path: Path) -> None:
    (found,), _ = read(tmp_path, "stringData: {password: canary}\n")
    raw: Any = found.raw
    assert raw["stringData"] == {"password": "canary"}
    assert "canary" not in repr(found)
