# SPDX-License-Identifier: Apache-2.0
"""``postroom explain``: what a reason or a finding means, and what to do about it."""

from __future__ import annotations

import difflib
from typing import Annotated

import typer

from postroom.api.reasons import CATALOGUE as REASONS
from postroom.dns.findings import CATALOGUE as FINDINGS


def entries() -> dict[str, tuple[str, str]]:
    """Return (meaning, remedy) of every reason and every code."""
    known = {reason.value: (entry.meaning, entry.remedy) for reason, entry in REASONS.items()}
    for reason, entry in REASONS.items():
        known[reason.name] = (entry.meaning, entry.remedy)
    return known | {code: (entry.meaning, entry.remedy) for code, entry in FINDINGS.items()}


def explain(
    code: Annotated[
        str | None, typer.Argument(help="A reason (RecordNotFound) or a finding (SPF_MULTIPLE).")
    ] = None,
) -> None:
    """Explain a reason or finding; without one, list them all."""
    known = entries()
    if code is None:
        for name in [*sorted(one.value for one in REASONS), *sorted(FINDINGS)]:
            typer.echo(f"{name:34} {known[name][0]}")
        return
    folded = {name.lower(): name for name in known}
    if code.lower() not in folded:
        near = difflib.get_close_matches(code.lower(), folded, n=3, cutoff=0.5)
        hint = f" Did you mean {', '.join(folded[one] for one in near)}?" if near else ""
        typer.echo(f"postroom explain: nothing is called {code}.{hint}", err=True)
        raise typer.Exit(2)
    name = folded[code.lower()]
    meaning, remedy = known[name]
    typer.echo(f"{name}\n\n{meaning}\n\nWhat to do: {remedy}")
