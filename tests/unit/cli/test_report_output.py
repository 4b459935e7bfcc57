# SPDX-License-Identifier: Apache-2.0
"""Where a report goes: whole files with the rights of any other, and nothing half written."""

from __future__ import annotations

import errno
import os
import stat
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from postroom.cli import report_output
from postroom.report.shape import ReportSource
from unit.report.samples import broken, report_of, stored


def test_a_page_has_the_rights_of_any_new_file(tmp_path: Path) -> None:
    page, plain = tmp_path / "report.html", tmp_path / "plain"
    before = os.umask(0o027)
    try:
        plain.touch()
        report_output.write([broken()], ReportSource.INPUT, page, as_json=False)
    finally:
        os.umask(before)
    assert page.stat().st_mode == plain.stat().st_mode


def test_where_nothing_can_be_written_nothing_is_left(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(report_output.ReportNotWritten, match="cannot be written: No such file"):
        report_output.write([], ReportSource.INPUT, gone / "report.html", as_json=False)
    with pytest.raises(report_output.ReportNotWritten, match="is no file"):
        report_output.refuse_places(tmp_path, as_json=False)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reads = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        # A page is larger than what a pipe holds: read it while it is written.
        got: list[bytes] = []
        writer = threading.Thread(
            target=report_output.write,
            args=([stored()], ReportSource.INPUT, pipe),
            kwargs={"as_json": False},
        )
        writer.start()
        os.set_blocking(reads, True)
        while b"</html>" not in b"".join(got):
            got.append(os.read(reads, 65536))
        writer.join(10)
    finally:
        os.close(reads)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert [each.name for each in tmp_path.iterdir()] == ["pipe"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    link, page = tmp_path / "report.html", tmp_path / "web" / "index.html"
    link.symlink_to(page)
    for _ in range(2):
        report_output.write([stored()], ReportSource.INPUT, link, as_json=False)
        assert link.is_symlink()
        assert "Everything works" in page.read_text()


def test_a_link_that_leads_to_itself_is_replaced_or_one_sentence(tmp_path: Path) -> None:
    link = tmp_path / "report.html"
    link.symlink_to("report.html")
    with suppress(report_output.ReportNotWritten):
        report_output.write([stored()], ReportSource.INPUT, link, as_json=False)
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_a_full_disk_leaves_the_page_before_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "report.html"
    page.write_text("the one before")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(report_output.ReportNotWritten, match="written: No space left on device"):
        report_output.write([stored()], ReportSource.INPUT, page, as_json=False)
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]
    assert page.read_text() == "the one before"


def test_a_verdict_on_an_earlier_spec_is_none() -> None:
    edited = stored()
    edited["metadata"]["generation"] = 2
    edited["status"]["observedGeneration"] = 1
    assert report_output.exit_code(report_of(edited)) == 3
    edited["status"]["conditions"].append({"type": "Suspended", "status": "True"})
    assert report_output.exit_code(report_of(edited)) == 3


def test_what_rests_is_not_counted_against_the_exit_code() -> None:
    resting = broken()
    resting["status"]["conditions"].append({"type": "Suspended", "status": "True"})
    assert report_output.exit_code(report_of(resting, stored(name="b"))) == 0
    assert report_output.exit_code(report_of()) == 0
