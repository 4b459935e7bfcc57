# SPDX-License-Identifier: Apache-2.0
"""A finding is shown where the manifest has what it is about."""

from __future__ import annotations

import pytest

from postroom.api.findings import Finding, Severity
from postroom.cli.formats.finding_fields import place_of

RAW = {"spec": {"domain": "example.com", "dkim": [{"selector": "a"}]}}


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("spec.dkim[0]", ("spec", "dkim", 0)),
        ("spec.dkim[0].selector", ("spec", "dkim", 0, "selector")),
        ("spec.dkim[1].selector", ("spec", "dkim")),
        ("spec.gone", ("spec",)),
        # Of a status that an earlier version wrote.
        ("", ("spec",)),
        ("gone", ("spec",)),
    ],
)
def test_a_finding_is_placed_by_its_field(field: str, path: tuple[str | int, ...]) -> None:
    said = "It stands at (spec.domain)."
    finding = Finding(code="X", severity=Severity.ERROR, field=field, message=said)
    assert place_of(finding, RAW) == path
    assert place_of(finding, {}) == ()
