# SPDX-License-Identifier: Apache-2.0
"""``postroom report``: of files, of what is handed in, of a cluster; and how it ends."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from postroom.cli import check, guessing, report
from postroom.cli.main import main
from postroom.cli.report import objects_in
from postroom.cli.report_output import ReportNotWritten
from postroom.report.shape import ReportSource
from postroom.settings import Settings
from unit.report.samples import broken, stored

#: Nothing of it is looked at: it is at rest, or cannot be read.
RESTING = """\
apiVersion: postroom.dev/v1alpha1
kind: SendingDomain
metadata: {name: a, namespace: mail}
spec: {domain: a.example, suspend: true}
"""
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "s"},
    "data": {"k": "aHVudA=="},
}


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["report", *arguments])
    return int(ended.value.code or 0)


def hand_in(monkeypatch: pytest.MonkeyPatch, raw: Any) -> None:
    content = raw if isinstance(raw, bytes) else json.dumps(raw).encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


@pytest.mark.parametrize(
    "raw",
    [
        broken(),
        [broken()],
        {"apiVersion": "v1", "kind": "List", "items": [SECRET, broken()]},
        {"kind": "SendingDomainList", "items": [broken()]},
    ],
)
def test_what_kubectl_prints_is_read(
    raw: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(monkeypatch, raw)
    assert call("-", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["schema"], told["source"]) == ("postroom.dev/report/v1", "Input")
    assert [each["name"] for each in told["objects"]] == ["a"]
    assert "aHVudA" not in json.dumps(told)


NOT_OURS = [
    {},
    [],
    [[]],
    [None, 3, "x"],
    {"kind": "List", "apiVersion": "v1", "items": []},
    {"apiVersion": "check.postroom.dev/v1", "kind": "CheckReport", "items": []},
    SECRET,
    {**broken(), "apiVersion": "v1"},
    {**broken(), "apiVersion": "postroom.dev.example.com/v1"},
    {**broken(), "kind": "SendingDomains"},
    {**broken(), "metadata": {}},
    {**broken(), "metadata": {"name": 3.5e400}, "kind": None},
]


@pytest.mark.parametrize("raw", NOT_OURS)
def test_input_without_anything_of_ours_is_bad_and_leaves_the_page_as_it_was(
    raw: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "report.html"
    page.write_text("the one before")
    for more in ((), ("--exit-code",)):
        hand_in(monkeypatch, raw)
        assert call("-", "--html", str(page), *more) == 2
    assert page.read_text() == "the one before"
    told = capsys.readouterr().err
    assert told.startswith("postroom report: the input holds no object of postroom.dev: hand in")


def test_files_without_anything_of_ours_are_bad_and_a_folder_without_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, other = tmp_path / "report.html", tmp_path / "mail" / "other.yaml"
    other.parent.mkdir()
    other.write_text("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n")
    assert call(str(other), "--html", str(page)) == 2
    assert "no resource of postroom.dev was read" in capsys.readouterr().err
    assert not page.exists()
    assert call(str(other.parent), "--html", str(page), "--exit-code") == 0
    assert capsys.readouterr().err == f"Nothing to report on: {page}\n"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"3", b'{"items": 3}', b"[" * 100_000])
def test_what_is_no_list_of_objects_is_refused(content: bytes) -> None:
    with pytest.raises(ReportNotWritten, match="hand in what kubectl get"):
        objects_in(io.BytesIO(content))


def test_the_page_replaces_the_one_before_as_a_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "report.html"
    page.write_text("the one before")
    hand_in(monkeypatch, [broken(), stored(name="b")])
    assert call("-", "--html", str(page)) == 0
    assert page.read_text().lstrip().startswith("<!doctype html>")
    assert capsys.readouterr().err == f"1 of 2 needs you: {page}\n"
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_files_are_looked_at_as_check_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.yaml").write_text(RESTING)
    assert call(str(tmp_path), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["source"], told["counts"]["turns"]) == ("Files", {"Resting": 1})
    (tmp_path / "b.yaml").write_text(RESTING.replace("name: a", "name: b") + "more: 1\n")
    assert call(str(tmp_path), "--html", "-") == 2
    said = capsys.readouterr()
    assert "is not a field of this kind" in said.err
    assert said.out.rstrip().endswith("</html>")


PATCHED = "resources: [a.yaml]\npatches: [{path: p.yaml}]\n"


def test_how_a_folder_was_read_counts_for_each_verb_that_reads_manifests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`check` and `records` are held to the same table here, for it is one rule."""

    def codes(place: Path) -> list[int]:
        found = []
        for verb in (["check"], ["report", "--json"], ["records"]):
            with pytest.raises(SystemExit) as ended:
                main([*verb, str(place)])
            found.append(int(ended.value.code or 0))
        return found

    assert codes(tmp_path) == [0, 0, 0]
    (tmp_path / "empty.yaml").touch()
    assert codes(tmp_path / "empty.yaml") == [2, 2, 2]
    assert codes(tmp_path / "gone.yaml") == [2, 2, 2]
    (tmp_path / "a.yaml").write_text(RESTING)
    assert codes(tmp_path) == [0, 0, 0]
    (tmp_path / "prod").mkdir()
    (tmp_path / "prod" / "a.yaml").write_text(RESTING)
    (tmp_path / "prod" / "kustomization.yaml").write_text(PATCHED)
    capsys.readouterr()
    assert codes(tmp_path) == [3, 3, 3]
    assert capsys.readouterr().err.count("kustomization.yaml:2: says patches") == 3
    assert codes(tmp_path / "prod") == [2, 2, 2]
    (tmp_path / "b.yaml").write_text(RESTING + "more: 1\n")
    assert codes(tmp_path) == [2, 2, 2]


def test_the_provider_of_a_domain_is_guessed_as_for_a_check(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def guessed(*_: object) -> guessing.Guess:
        return guessing.Guess("Fastmail", "in1-smtp.messagingengine.com", complete=True)

    looked: list[str | None] = []

    async def looks(given: check.CheckInput, _: Settings) -> report.GatheredObjects:
        looked.append(given.provider)
        return report.GatheredObjects(ReportSource.FILES, [stored()])

    monkeypatch.setattr(guessing, "_asked", guessed)
    monkeypatch.setattr(report, "of_files", looks)
    assert call("a.example", "--json") == 0
    assert "postroom report: mail for a.example goes to" in capsys.readouterr().err
    assert call("a.example", "--json", "--provider", "none") == 0
    assert looked == ["Fastmail", None]


@pytest.mark.parametrize(
    ("raw", "code"),
    [([stored()], 0), ([broken()], 1), ([stored(), {**stored(name="b"), "status": {}}], 3)],
)
def test_on_request_it_ends_as_check_does(
    raw: Any, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(monkeypatch, raw)
    assert call("-", "--json", "--exit-code") == code
    hand_in(monkeypatch, raw)
    assert call("-", "--json") == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-",), "name a file with --html FILE"),
        (("-", "--html", "-", "--json"), "standard output takes one of"),
        (("-", "--html", "/nowhere/report.html"), "is no file that could be written"),
        (("a.yaml", "-A", "--json"), "go without --kubeconfig"),
        (("-", "-n", "mail", "--json"), "goes alone, and without -n"),
        (("-", "a.yaml", "--json"), "goes alone, and without -n"),
        (("-", "--provider", "Fastmail", "--json"), "go with files"),
        (("--ignore", "x", "--json"), "go with files"),
        (("a.example", "--set", "x", "--json"), "--set takes KEY=VALUE"),
        (("--kubeconfig", __file__, "--json"), ""),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(*arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("postroom report: ")
    assert said in told
    assert "Traceback" not in told
