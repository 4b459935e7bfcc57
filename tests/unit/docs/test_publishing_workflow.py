# SPDX-License-Identifier: Apache-2.0
"""The workflow that publishes the documentation, as far as it can be held without GitHub."""

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from unit.docs.reading import ROOT

WORKFLOW = yaml.load(
    (ROOT / ".github" / "workflows" / "docs.yaml").read_text("utf-8"), Loader=yaml.CSafeLoader
)
JOB: dict[str, Any] = WORKFLOW["jobs"]["publish"]
SCRIPTS = [step["run"] for step in JOB["steps"] if "run" in step]


def test_it_may_push_the_branch_and_nothing_else() -> None:
    assert WORKFLOW["permissions"] == {}
    assert JOB["permissions"] == {"contents": "write"}
    # `on` is a boolean of YAML 1.1.
    assert set(WORKFLOW[True]) == {"push"}


def test_nothing_that_others_chose_becomes_part_of_a_script() -> None:
    assert [script for script in SCRIPTS if "${{" in script] == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_is_one(script: str) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    assert subprocess.run([bash, "-n"], input=script, text=True).returncode == 0
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert set(re.findall(r"\bmake ([a-z-]+)", script)) <= targets


@pytest.mark.parametrize(("tag", "version"), [("v1.2.3", "1.2"), ("v0.10.0", "0.10")])
def test_a_tag_gives_the_version_of_its_documentation(tag: str, version: str) -> None:
    build = next(script for script in SCRIPTS if "make docs-site" in script)
    done = subprocess.run(
        ["bash", "-euc", 'make() { echo "$@"; }\n' + build],
        env={"KIND": "tag", "REF": tag, "SITE_URL": "https://example.org/"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [
        "docs-site",
        f"VERSION={version}",
        "ALIAS=latest",
        "SITE_URL=https://example.org/latest/",
    ]
