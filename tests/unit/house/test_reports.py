# SPDX-License-Identifier: Apache-2.0
"""Processes of pytest-xdist leave out what nobody is shown, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from xdist.remote import WorkerInteractor

from reports import spare_reports, sparing

TESTS = Path(__file__).parents[2]
QUICK: dict[str, Any] = {"outcome": "passed", "duration": 0.0001, "sections": []}
SAMPLES = """
import pytest


def test_passes(): ...


def test_fails():
    print("printed")
    assert 1 == 2


def test_is_skipped():
    pytest.skip("why")


@pytest.mark.xfail(reason="known")
def test_fails_as_is_known():
    assert 1 == 2


@pytest.fixture
def unready():
    raise ValueError("not set up")


def test_cannot_be_set_up(unready): ...


@pytest.fixture
def stuck():
    yield
    raise ValueError("not cleared away")


def test_cannot_be_cleared_away(stuck): ...
"""


def sent(name: str, **message: object) -> bool:
    seen = list[tuple[str, object]]()
    sparing(lambda name, **message: seen.append((name, message)))(name, **message)
    assert seen in ([], [(name, message)])
    return bool(seen)


@pytest.mark.parametrize("when", ["setup", "teardown"])
def test_what_went_well_in_no_time_is_left_out(when: str) -> None:
    assert not sent("testreport", data=QUICK | {"when": when})


@pytest.mark.parametrize(
    "more",
    [
        {"when": "call"},
        {"outcome": "failed"},
        {"outcome": "skipped"},
        {"duration": 0.005},
        {"sections": [("Captured stdout setup", "printed")]},
    ],
    ids=str,
)
def test_all_else_of_a_test_is_told(more: dict[str, object]) -> None:
    assert sent("testreport", data=QUICK | {"when": "setup"} | more)


def test_only_what_reports_say_again_is_left_out() -> None:
    names = (
        "logstart",
        "logfinish",
        "runtest_protocol_complete",
        "workerfinished",
        "collectreport",
    )
    assert [sent(name, data={}) for name in names] == [False, False, True, True, True]


class Plugins:
    """The plugins of a process of pytest-xdist: the one that sends, under its name of today."""

    def __init__(self) -> None:
        self.sender = type(WorkerInteractor.__name__, (), {"sendevent": print})()

    def get_plugins(self) -> list[object]:
        return [object(), self.sender]


@pytest.mark.parametrize(
    ("more", "spares"),
    [
        ({}, True),
        ({"verbose": 1}, False),
        ({"xmlpath": "it.xml"}, False),
        ({"durations_min": 0.0}, False),
    ],
    ids=str,
)
def test_whoever_asks_for_more_is_told_all(more: dict[str, object], spares: bool) -> None:
    assert callable(WorkerInteractor.sendevent)
    plugins = Plugins()
    option = SimpleNamespace(**{"verbose": 0, "xmlpath": None, "durations_min": None} | more)
    spare_reports(cast("pytest.Config", SimpleNamespace(option=option, pluginmanager=plugins)))
    assert (plugins.sender.sendevent is not print) == spares


def test_a_run_tells_of_all_that_did_not_pass(tmp_path: Path) -> None:
    (tmp_path / "test_samples.py").write_text(SAMPLES)
    (tmp_path / "conftest.py").write_text(
        "from reports import spare_reports\n\n\n"
        "def pytest_sessionstart(session):\n    spare_reports(session.config)\n"
    )
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {TESTS}\n")
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-n1", "-p", "no:cacheprovider", "-ra"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "1 failed, 2 passed, 1 skipped, 1 xfailed, 2 errors" in run.stdout, run.stdout
    for said in ("printed", "not set up", "not cleared away", "why", "known"):
        assert said in run.stdout
