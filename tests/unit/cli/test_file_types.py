# SPDX-License-Identifier: Apache-2.0
"""What a path leads to, also where pathlib would raise."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from postroom.cli import described, file_types, ignoring, manifest_files, report_output
from postroom.cli.check import CheckInput
from postroom.cli.file_types import is_file, is_folder, is_there, why_not

NOTHING = "there is no such file or directory"
DENIED = "cannot be read: Permission denied"
_NOBODY = 65534


@contextmanager
def nobody() -> Iterator[None]:
    """Root may look everywhere."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.fixture
def locked() -> Iterator[Path]:
    """A folder that may be listed, though nobody may look at what is in it."""
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top) / "locked"
        folder.mkdir()
        (folder / "a.yaml").write_text("a: b\n")
        (folder / "inner").mkdir()
        Path(top).chmod(0o755)
        folder.chmod(0o644)
        with nobody():
            yield folder
        folder.chmod(0o755)


def unlikely(tmp_path: Path) -> dict[str, Path]:
    loop = tmp_path / "loop.yaml"
    loop.symlink_to(loop)
    return {
        "gone": tmp_path / "gone.yaml",
        "too long": tmp_path / f"{'a' * 300}.yaml",
        "a path that is too long": Path("/".join(["a" * 200] * 30)),
        "below a file": Path(__file__) / "a.yaml",
        "a link to itself": loop,
    }


def test_a_name_that_no_file_has(tmp_path: Path) -> None:
    path = tmp_path / "a\0b.yaml"
    assert [is_folder(path), is_file(path), is_there(path)] == [False] * 3
    assert why_not(path) == NOTHING


def test_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.touch()
    assert [is_folder(tmp_path), is_file(tmp_path), is_there(tmp_path)] == [True, False, True]
    assert [is_folder(file), is_file(file), is_there(file)] == [False, True, True]
    assert is_there(Path(os.devnull))
    assert not is_file(Path(os.devnull))


def test_of_no_path_anything_raises(tmp_path: Path) -> None:
    for said, path in unlikely(tmp_path).items():
        assert [is_folder(path), is_file(path), is_there(path)] == [False] * 3, said
        assert why_not(path) == NOTHING, said
        assert manifest_files.listed([path])[1] == [(str(path), 0, NOTHING)], said
        assert described.read([str(path)], "default", None, ()).complaints, said
        assert CheckInput([str(path)], "default").stamp() == [] or said == "a link to itself", said
        assert not ignoring.is_left_out(path, ignoring.rules(path.parent, ["x/"])), said
        with pytest.raises(report_output.ReportNotWritten):
            report_output.refuse_places(path / "page.html", as_json=False)


def test_where_one_may_not_look_is_told_from_where_nothing_is(locked: Path) -> None:
    inner = locked / "inner" / "b.yaml"
    assert why_not(inner) == DENIED
    assert manifest_files.listed([inner]) == ([], [(str(inner), 0, DENIED)])
    assert manifest_files.listed([locked]) == ([], [(str(locked), 0, DENIED)])
    # Of the folder around it, too, and what lies beside it is read.
    beside = locked.parent / "z.yaml"
    assert manifest_files.listed([locked.parent])[1] == [(str(locked), 0, DENIED)]
    assert not is_there(beside)


def test_a_kustomization_that_names_what_cannot_be_is_told_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "kustomization.yaml"
    file.write_text(f"resources:\n- {'a' * 300}.yaml\n")
    (problem,) = manifest_files.listed([tmp_path])[1]
    assert (problem.line, problem.sentence[-len(NOTHING) :]) == (2, NOTHING)
    file.write_text('resources: [""]\n')
    (problem,) = manifest_files.listed([tmp_path])[1]
    assert "a resource that is no path" in problem.sentence


@pytest.mark.parametrize("targets", [[""], ["", "a.yaml"]])
def test_a_variable_that_is_not_set_is_not_the_folder_that_we_are_in(
    targets: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.yaml").write_text("apiVersion: postroom.dev/v1alpha1\nkind: MailServer\n")
    found = described.read(targets, "default", None, ())
    assert f'"": {NOTHING}' in map(str, found.complaints)
    assert not any("b.yaml" in str(each) for each in found.complaints)
    assert file_types.is_file(tmp_path / "b.yaml")
