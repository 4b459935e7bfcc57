# SPDX-License-Identifier: Apache-2.0
"""``postroom explain``: what a reason or a finding means, and what to do about it."""

from __future__ import annotations

import difflib
from typing import Annotated, NamedTuple

import typer

from postroom.api.reasons import CATALOGUE as REASONS
from postroom.dns.findings import catalogue


class Entry(NamedTuple):
    """What there is to say of a reason or a code; `source` is empty for reasons."""

    meaning: str
    remedy: str
    severity: str = ""
    source: str = ""


def entries() -> dict[str, Entry]:
    """Return what there is to say of every reason and every code."""
    known = {reason.value: Entry(*entry) for reason, entry in REASONS.items()}
    for reason, entry in REASONS.items():
        known[reason.name] = Entry(*entry)
    return known | {
        code: Entry(entry.meaning, entry.remedy, entry.severity.value, entry.source)
        for code, entry in catalogue().items()
    }


def explain(
    code: Annotated[
        str | None, typer.Argument(help="A reason (RecordNotFound) or a finding (SPF_MULTIPLE).")
    ] = None,
) -> None:
    """Explain a reason or finding; without one, list them all."""
    known = entries()
    if code is None:
        for name in [*sorted(one.value for one in REASONS), *sorted(catalogue())]:
            typer.echo(f"{name:34} {known[name].meaning}")
        return
    folded = {name.lower(): name for name in known}
    if code.lower() not in folded:
        near = difflib.get_close_matches(code.lower(), folded, n=3, cutoff=0.5)
        hint = f" Did you mean {', '.join(folded[one] for one in near)}?" if near else ""
        typer.echo(f"postroom explain: nothing is called {code}.{hint}", err=True)
        raise typer.Exit(2)
    name = folded[code.lower()]
    entry = known[name]
    severity = f" ({entry.severity})" if entry.severity else ""
    source = f"\n\nSource: {entry.source}" if entry.source else ""
    typer.echo(f"{name}{severity}\n\n{entry.meaning}\n\nWhat to do: {entry.remedy}{source}")
