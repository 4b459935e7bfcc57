# SPDX-License-Identifier: Apache-2.0
"""What pages show of shipped integrations is what is shipped.

Covers: the state map of docs/status.md is the one that consumers are held to; each block that is a
file, to the letter; that pages about integrations show no YAML or Lua that is not one; that every
integration has a page that names its files.
"""

import re
from pathlib import Path

import pytest

from state_map import INTEGRATIONS, ROOT, ROWS, State

DOCS = ROOT / "docs"
#: A block that is a file says so before it begins.
_SHOWN = re.compile(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_BLOCKS = re.compile(r"^```(?:yaml|lua)$", re.MULTILINE)
PAGES = {
    "argocd": "argocd.md",
    "backstage": "backstage.md",
    "flux": "flux.md",
    "k9s": "k9s.md",
    "kube-state-metrics": "kube-state-metrics.md",
    "secrets": "secrets.md",
}
SHOWN = [
    (page, *found)
    for page in sorted(DOCS.rglob("*.md"))
    for found in _SHOWN.findall(page.read_text())
]


@pytest.mark.parametrize(("page", "path", "text"), SHOWN, ids=lambda value: Path(str(value)).name)
def test_what_is_shown_is_what_is_shipped(page: Path, path: str, text: str) -> None:
    assert text == (ROOT / path).read_text(), f"{page.name} and {path}"


@pytest.mark.parametrize("page", sorted({DOCS / name for name in PAGES.values()}))
def test_a_page_shows_nothing_else(page: Path) -> None:
    text = page.read_text()
    assert len(_BLOCKS.findall(text)) == len(_SHOWN.findall(text)) > 0


def test_every_integration_has_its_page() -> None:
    for name, page in PAGES.items():
        assert f"manifests/integrations/{name}/" in (DOCS / page).read_text()


@pytest.mark.parametrize("place", sorted(INTEGRATIONS.iterdir()), ids=lambda place: place.name)
def test_every_integration_is_named_by_a_page(place: Path) -> None:
    named = f"manifests/integrations/{place.name}"
    assert any(named in page.read_text() for page in DOCS.rglob("*.md"))


#: How each row of the map begins in docs/status.md.
_ROWS = {
    State.UNSEEN: "not seen by the operator",
    State.EVALUATING: "evaluating a new spec",
    State.WAITING: "waiting for the first success",
    State.VERIFIED: "verified",
    State.REGRESSED: "was Ready with this spec, now broken",
    State.STALLED: "denied, invalid",
    State.STALE: "could not look for too long",
    State.SUSPENDED: "suspended, disconnected",
}


def test_the_state_map_is_that_of_the_page() -> None:
    text = (
        (DOCS / "status.md").read_text().partition("## The state map\n")[2].partition("\n\n###")[0]
    )
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == len(_ROWS)
    for state, (begins, row) in zip(_ROWS, zip(_ROWS.values(), rows, strict=True), strict=True):
        name, ready, reconciling, stalled, kstatus, argo = (cell.strip() for cell in row)
        expected = ROWS[state]
        assert name.startswith(begins)
        assert argo == expected.argo
        if state is State.SUSPENDED:
            assert kstatus == "as Ready"
            continue
        assert kstatus == expected.kstatus
        assert ready.startswith(expected.ready)
        assert (reconciling != "–", stalled != "–") == (
            "Reconciling" in expected.also,
            "Stalled" in expected.also,
        )
