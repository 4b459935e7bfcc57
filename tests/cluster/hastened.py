# SPDX-License-Identifier: Apache-2.0
"""Processes that wait for less long, for tests that would only wait with them.

How long the intervals of users are is proven on clocks that tests set (tests/unit), and here by
whatever test leaves them alone.
"""

from __future__ import annotations

from collections.abc import Mapping

from postroom.lab.operator_process import OperatorProcess

_RUN = """
import importlib, runpy
for where, seconds in {given}:
    module, name = where.rsplit(".", 1)
    module = importlib.import_module(module)
    assert getattr(module, name) > seconds, where
    setattr(module, name, seconds)
runpy.run_module("postroom", run_name="__main__", alter_sys=True)
"""


def hasten(process: OperatorProcess, seconds: Mapping[str, float]) -> None:
    """Have a process, from its next start on, keep to these intervals, by their full names."""
    assert process._command[1:3] == ["-m", "postroom"]
    process._command[1:3] = ["-c", _RUN.format(given=list(seconds.items()))]
