# SPDX-License-Identifier: Apache-2.0
"""What people see of a SendingDomain besides its verdict: its records, where one is not as it must
be."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from postroom.api.findings import Severity
from postroom.api.sendingdomain_status import RecordState
from postroom.cli.columns import Columns
from postroom.log import on_one_line

STATE_COLOURS = {
    RecordState.VALID: "green",
    RecordState.MISSING: "red",
    RecordState.WRONG: "red",
    RecordState.CONFLICTING: "red",
    RecordState.PROPAGATING: "yellow",
    RecordState.UNKNOWN: "yellow",
}
#: What a domain is not verified with, once it is confirmed.
_BROKEN = frozenset({RecordState.MISSING, RecordState.WRONG, RecordState.CONFLICTING})


def records(raw: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The records that a status lists."""
    found: Sequence[Mapping[str, Any]] = (raw.get("status") or {}).get("records", [])
    return found


def _seen_once(raw: Mapping[str, Any]) -> bool:
    """Whether a verified domain has a record against it: one look takes nothing back
    (docs/status.md), so that the verdict would belie the finding."""
    against = {
        finding.get("subject")
        for finding in (raw.get("status") or {}).get("findings", [])
        if finding["severity"] == Severity.ERROR
    }
    return any(
        each["required"] and each["state"] in _BROKEN and each["id"] in against
        for each in records(raw)
    )


def show_records(console: Console, raw: Mapping[str, Any], *, is_ready: bool) -> None:
    """Print all of them where one is not as it must be."""
    found = records(raw)
    if any(record["state"] != RecordState.VALID for record in found):
        rows = []
        for record in found:
            cells = (f"  {record['id']}", record["state"], record["type"], record["name"])
            row = [Text(on_one_line(cell)) for cell in cells]
            row[1].stylize(STATE_COLOURS.get(record["state"], ""))
            rows.append(row)
        names = ("  RECORD", "STATE", "TYPE", "NAME")
        # Names are there to be copied.
        Columns(dict(zip(names, zip(*rows, strict=True), strict=True))).print(console, whole=True)
    if is_ready and _seen_once(raw):
        told = "  Seen once: Ready stays True unless the next look finds the same."
        console.print(Text(told, style="yellow"), soft_wrap=True)
