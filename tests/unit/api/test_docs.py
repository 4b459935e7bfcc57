# SPDX-License-Identifier: Apache-2.0
"""The documents hold: generated pages do not drift, links lead somewhere, YAML in them is valid."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
import yaml

from postroom.api.names import API_VERSION, Kind
from postroom.api.resource import parse_spec
from postroom.api.sendingdomain import SendingDomainSpec
from postroom.dns.planning import complete, plan

ROOT = Path(__file__).resolve().parents[3]
PAGES = sorted(
    path for pattern in ("*.md", "docs/**/*.md", "tests/bench/*.md") for path in ROOT.glob(pattern)
)


def generated() -> dict[str, str]:
    location = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert location is not None
    assert location.loader is not None
    module = importlib.util.module_from_spec(location)
    location.loader.exec_module(module)
    pages: dict[str, str] = module.pages()
    return pages


@pytest.mark.parametrize("name", sorted(generated()))
def test_generated_pages_do_not_drift(name: str) -> None:
    assert (ROOT / "docs" / name).read_text() == generated()[name], "run `make docs`"


def test_no_generated_page_is_left_over() -> None:
    there = {f"findings/{path.name}" for path in (ROOT / "docs" / "findings").iterdir()}
    assert there == {name for name in generated() if name.startswith("findings/")}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_resources_in_examples_are_valid(page: Path) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
        for document in yaml.safe_load_all(block):
            if isinstance(document, dict) and document.get("apiVersion") == API_VERSION:
                spec = parse_spec(Kind(document["kind"]), document["spec"])
                if isinstance(spec, SendingDomainSpec):
                    plan(complete(spec), "mail", b"key", {})
