# SPDX-License-Identifier: Apache-2.0
"""The provenance names the commit, the base and the locks, as they are."""

from __future__ import annotations

import hashlib
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROVENANCE = runpy.run_path(str(ROOT / "image" / "provenance.py"))
RUN = {
    "GITHUB_SERVER_URL": "https://git.example",
    "GITHUB_REPOSITORY": "team/postroom",
    "GITHUB_RUN_ID": "7",
    "GITHUB_RUN_ATTEMPT": "1",
    "GITHUB_REF": "refs/tags/v1.0.0",
    "GITHUB_SHA": "0" * 40,
    "GITHUB_WORKFLOW_REF": "team/postroom/.github/workflows/release.yaml@refs/tags/v1.0.0",
}


def test_it_names_what_the_image_was_made_of() -> None:
    made = PROVENANCE["predicate"](RUN)
    source, base, *locks = made["buildDefinition"]["resolvedDependencies"]
    assert source["digest"] == {"gitCommit": RUN["GITHUB_SHA"]}
    named = base["uri"].removeprefix("docker://") + "@sha256:" + base["digest"]["sha256"]
    assert f"ARG PYTHON={named}\n" in (ROOT / "Dockerfile").read_text()
    for lock in locks:
        content = (ROOT / lock["uri"]).read_bytes()
        assert lock["digest"]["sha256"] == hashlib.sha256(content).hexdigest()
    assert {lock["uri"] for lock in locks} == {"image/requirements.lock", "image/build.lock"}


def test_outside_of_a_run_it_says_nothing() -> None:
    with pytest.raises(KeyError):
        PROVENANCE["predicate"]({})
