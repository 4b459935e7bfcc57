# SPDX-License-Identifier: Apache-2.0
"""Raw objects of a file with their lines, as Kubernetes would read them, and complaints instead of
errors."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

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
    "start", ["", "---\n", "a: 1\n---\n", "---\r\n", "--- # first\n", "---\n---\n"]
)
def test_a_byte_order_mark_may_begin_each_document(start: str, tmp_path: Path) -> None:
    found, complaints = read(tmp_path, f"{start}\ufeffb:\n- c: 1\n- d\ne: 2\n")
    assert (found[-1].raw, complaints) == ({"b": [{"c": 1}, "d"], "e": 2}, [])
    assert found[-1].line_of(("b", 1)) == start.count("\n") + 3


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: 2\n\ufeffa: 1\nb: 2\n", 3),
        ("a: 1\nb: 2\n\ufeff---\na: 1\n", 3),
        ("a: 1\n...\n\ufeffa: 1\nb: 2\n", 3),
        ("---\n# x\n\ufeffa: 1\nb: 2\n---\nc: 3\n", 3),
        ('{"a": 1}\n\ufeff{"b": 2}\n', 2),
    ],
)
def test_one_that_begins_a_line_elsewhere_is_one_complaint_and_its_fixes_work(
    text: str, line: int, tmp_path: Path
) -> None:
    (told,) = read(tmp_path, text)[1]
    assert told.startswith(f"{line}: begins with a byte order mark (U+FEFF), as where files")
    without = text.replace("\ufeff", "")
    assert not any("byte order" in each for each in read(tmp_path, without)[1])
    assert read(tmp_path, text.replace("\ufeff", "---\n\ufeff"))[1] == []


@pytest.mark.parametrize("text", ["a: 1\n\ufeff# x\n", "a: '\ufeff'\n", "a: |\n  \ufeffb\n"])
def test_one_that_shifts_nothing_is_no_fault(text: str, tmp_path: Path) -> None:
    assert read(tmp_path, text)[1] == []


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


def test_that_a_file_is_a_template_is_said_once(tmp_path: Path) -> None:
    text = "{{- if .Values.x }}\na: b\n---\n{{- if .Values.y }}\nc: d\n---\n{{ end }}e: f\n"
    _, complaints = read(tmp_path, text)
    assert len(complaints) == 1
    assert complaints[0].startswith("1: looks like a template ({{- if")


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


#: A line break, what stands before the first line, and what stands before a key.
BREAKS = ("\n", "\r\n")
VALUES = ("1", "é", "'😀'", '"a: b"', "[1, {x: 😀}]", "{a: é}", "|\n        text")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    bom=st.booleans(),
    newline=st.sampled_from(BREAKS),
    indent=st.integers(1, 4),
    entries=st.lists(
        st.tuples(
            st.text(alphabet="abcé😀", min_size=1, max_size=5),
            st.sampled_from(VALUES),
            st.booleans(),
        ),
        min_size=1,
        max_size=6,
        unique_by=lambda entry: entry[0],
    ),
)
def test_a_region_begins_with_the_key_in_the_text_as_it_is_read(
    bom: bool,
    newline: str,
    indent: int,
    entries: list[tuple[str, str, bool]],
    tmp_path: Path,
) -> None:
    """Whatever the line ends, the byte order mark, and the characters before it on its line."""
    lines = ["# 😀", "---", "first: {}", "---", "top:"]
    for key, value, quoted in entries:
        lines += [" " * indent + (f'"{key}"' if quoted else key) + f": {value}"]
    text = newline.join("\n".join(lines).split("\n")) + newline
    (_, found), complaints = read(tmp_path, ("\ufeff" if bom else "") + text)
    assert complaints == []
    shown = text.split("\n")
    for key, value, quoted in entries:
        region = found.region_of(("top", key))
        assert region is not None and region.end is not None
        line = shown[region.start.line - 1]
        wanted = f'"{key}"' if quoted else key
        if "\n" not in value:
            wanted += f": {value}" if value[0] not in "[{" else ""
        assert line[region.start.column - 1 : region.end.column - 1] == wanted
        units = line.encode("utf-16-le")
        assert (
            units[2 * region.start.utf16 - 2 : 2 * region.end.utf16 - 2].decode("utf-16-le")
            == wanted
        )
        assert found.line_of(("top", key)) == region.start.line


def test_what_is_merged_in_stands_where_it_was_written(tmp_path: Path) -> None:
    text = """\
base: &base
  a: 1
  b: {c: 2}
other: &other {a: 3, d: 4}
one:
  <<: *base
  a: 5
both:
  <<: [*other, *base]
quoted:
  "<<": 6
alias: *base
"""
    (found,), complaints = read(tmp_path, text)
    assert complaints == []
    assert found.raw["one"] == {"a": 5, "b": {"c": 2}}
    assert found.raw["both"] == {"a": 3, "d": 4, "b": {"c": 2}}
    assert found.raw["quoted"] == {"<<": 6}
    places = {
        ("one", "a"): (7, 3),
        ("one", "b", "c"): (3, 7),
        ("both", "a"): (4, 16),
        ("alias",): (12, 1),
        ("alias", "a"): (2, 3),
    }
    for path, place in places.items():
        region = found.region_of(path)
        assert region is not None
        assert (region.start.line, region.start.column) == place, path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &a\n  <<: *a\n", "1: is nested too deeply, or repeats itself by aliases"),
        ("a: &a {b: *a}\n", "1: is nested too deeply, or repeats itself by aliases"),
        ("a:\n  <<: 1\n", "2: <<: must name mappings, such as *base"),
        ("a:\n  <<: [{b: 1}, 2]\n", "2: <<: must name mappings, such as *base"),
    ],
)
def test_what_cannot_be_merged_is_said(text: str, says: str, tmp_path: Path) -> None:
    _, (complaint,) = read(tmp_path, text)
    assert complaint.startswith(says)


def test_complaints_have_columns(tmp_path: Path) -> None:
    cases = {
        "a:\n  é😀: 1\n  é😀: 2\n": (3, 3),
        "a:\n \tb: 1\n": (2, 2),
        "b: {{ x\n": (1, 4),
        "a: 1\n---\nb: [1\nc: 2\n": (4, 2),
        "a: 1\nb: \x07\n": (2, 4),
    }
    for text, place in cases.items():
        file = tmp_path / "x.yaml"
        file.write_bytes(text.encode())
        complaints: list[Complaint] = []
        list(documents(file, complaints))
        (complaint,) = complaints
        assert complaint.region is not None, text
        assert complaint.line == complaint.region.start.line
        assert (complaint.region.start.line, complaint.region.start.column) == place, text


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.sampled_from("a:- \n\r\t{}[]&*<|>'\"#!?%,é😀\u2028\x85\ufeff")))
def test_no_yaml_gives_a_traceback(text: str, tmp_path: Path) -> None:
    found, _ = read(tmp_path, text)
    for manifest in found:
        for path in manifest.spans:
            region = manifest.region_of(path)
            assert region is not None and region.start.column >= 1


def test_a_list_of_v1_is_one_whatever_else_it_has(tmp_path: Path) -> None:
    items = "spec: {}\nitems:\n- {kind: X}\n"
    (found,), _ = read(tmp_path, f"apiVersion: v1\nkind: List\n{items}")
    assert found.raw == {"kind": "X"}
    (found,), _ = read(tmp_path, f"apiVersion: a.example/v1\nkind: AllowList\n{items}")
    assert found.raw["kind"] == "AllowList"


def test_documents_without_content_are_passed_over(tmp_path: Path) -> None:
    file, complaints = tmp_path / "a.yaml", list[Complaint]()
    file.write_text("---\n---\n# Source: a.yaml\n---\nkind: A\n---\nnull\n---\n...\n---\n")
    assert [manifest.raw for manifest in documents(file, complaints)] == [{"kind": "A"}]
    assert complaints == []


@given(
    st.lists(
        st.dictionaries(
            st.text(st.sampled_from("aé😀\\\\\"'#:{}\\n ")),
            st.text(st.sampled_from("aé😀\\\\\"'#:{}\\n u")) | st.integers(),
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from(["", " ", "\n", "\r\n\t"]),
    st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_json_is_read_as_kubectl_reads_it(
    tmp_path: Path, values: list[dict[str, Any]], between: str, escaped: bool
) -> None:
    """One value after the other, and characters as two escapes, as many programs write them."""
    text = between.join(json.dumps(value, ensure_ascii=escaped) for value in values)
    found, complaints = read(tmp_path, text)
    assert complaints == []
    assert [manifest.raw for manifest in found] == values


def test_values_of_json_have_their_lines(tmp_path: Path) -> None:
    found, _ = read(tmp_path, '{"a": "\\ud83d\\ude00"}\n{\n"b": 1\n}{"c": 2}')
    assert [manifest.line_of((name,)) for manifest, name in zip(found, "abc", strict=True)] == [
        1, 3, 4
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["{a: '\\ud83d\\ude00'}", "a: '{\\ud83d\\ude00}'"])
def test_what_is_no_json_stays_as_it_stands(tmp_path: Path, text: str) -> None:
    (found,), complaints = read(tmp_path, text)
    assert (complaints, "\\ud83d\\ude00" in found.raw["a"]) == ([], True)
