# SPDX-License-Identifier: Apache-2.0
"""The records of a domain, shown where one is not as it must be."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from postroom.cli.domain_details import show_records


def test_records_that_are_all_well_are_not_listed() -> None:
    stream = io.StringIO()
    well = {"id": "spf", "type": "TXT", "name": "example.com", "state": "Valid", "required": True}
    for records in ([well], []):
        show_records(Console(file=stream), {"status": {"records": records}}, is_ready=True)
    show_records(Console(file=stream), {}, is_ready=False)
    assert stream.getvalue() == ""


@pytest.mark.parametrize(
    ("state", "required", "severity", "ready", "told"),
    [
        ("Missing", True, "Error", True, True),
        ("Wrong", True, "Error", True, True),
        ("Conflicting", True, "Error", True, True),
        # A domain is verified without it, or it is nobody's mistake.
        ("Missing", False, "Error", True, False),
        ("Missing", True, "Warning", True, False),
        ("Propagating", True, "Error", True, False),
        ("Unknown", True, "Error", True, False),
        ("Valid", True, "Error", True, False),
        # Ready says so itself.
        ("Missing", True, "Error", False, False),
    ],
)
def test_a_regression_that_was_seen_once_belies_no_verdict(
    state: str, required: bool, severity: str, ready: bool, told: bool
) -> None:
    record = {"id": "spf", "type": "TXT", "name": "example.com"}
    record |= {"state": state, "required": required}
    other = {**record, "id": "dmarc", "state": "Missing"}
    finding = {"code": "SPF_MISSING", "severity": severity, "subject": "spf", "message": "None."}
    stream = io.StringIO()
    status = {"records": [record, other], "findings": [finding]}
    show_records(Console(file=stream, width=200), {"status": status}, is_ready=ready)
    assert ("  Seen once: Ready stays True unless" in stream.getvalue()) is told
