# SPDX-License-Identifier: Apache-2.0
"""The SBOM is valid SPDX and holds exactly what the lock has for Linux; one lock makes one text."""

from __future__ import annotations

import json
import runpy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spdx_tools.spdx.parser.jsonlikedict.json_like_dict_parser import JsonLikeDictParser
from spdx_tools.spdx.validation.document_validator import validate_full_spdx_document

from postroom import __version__

ROOT = Path(__file__).resolve().parents[3]
SBOM = runpy.run_path(str(ROOT / "image" / "sbom.py"))
LOCK = (ROOT / "image" / "requirements.lock").read_text()
CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def made(lock: str = LOCK) -> dict[str, Any]:
    found: dict[str, Any] = SBOM["document"](lock, SBOM["own_version"](), CREATED)
    return found


def test_it_is_valid_spdx() -> None:
    document = JsonLikeDictParser().parse(json.loads(json.dumps(made())))
    assert [error.validation_message for error in validate_full_spdx_document(document)] == []


def test_it_holds_what_the_lock_has_for_linux() -> None:
    packages = {each["name"]: each["versionInfo"] for each in made()["packages"]}
    assert packages.pop("postroom") == __version__
    names = {line.partition("==")[0] for line in LOCK.splitlines() if "==" in line}
    # What only Windows needs is in the lock, not in the image.
    assert names - set(packages) == {"colorama"}
    assert set(packages) <= names
    assert all(f"\n{name}=={version}" in f"\n{LOCK}" for name, version in packages.items())


def test_the_licence_that_binds_an_image_is_named() -> None:
    licences = {each["name"]: each["licenseDeclared"] for each in made()["packages"]}
    assert licences["aioimaplib"] == "GPL-3.0-only"
    assert licences["postroom"] == "Apache-2.0"


def test_the_same_lock_makes_the_same_and_another_has_a_name_of_its_own() -> None:
    other = LOCK.replace("aioimaplib==", "aioimaplib==9")
    assert made() == made()
    assert made(other)["documentNamespace"] != made()["documentNamespace"]
