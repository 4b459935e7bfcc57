# SPDX-License-Identifier: Apache-2.0
"""The tools of CI take what we write: kubeconform our schemas, OASIS' schema our SARIF."""

from __future__ import annotations

import subprocess
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings

from lab.ci_tools import kubeconform, sarif_schema
from postroom.cli.formats.results import CheckResult
from postroom.cli.formats.sarif import sarif
from unit.cli.formats import made

ROOT = Path(__file__).resolve().parents[2]
LAYOUT = "{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json"


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft4Validator:
    return jsonschema.Draft4Validator(
        sarif_schema(), format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER
    )


def test_sarif_is_what_oasis_says(validator: jsonschema.Draft4Validator) -> None:
    @settings(max_examples=60)
    @given(made.ANY_RESULT)
    def any_log(result: CheckResult) -> None:
        validator.validate(sarif(result))

    any_log()
    validator.validate(sarif(made.RESULT))
    broken = sarif(made.RESULT)
    broken["runs"][0]["results"][0]["level"] = "fatal"
    assert not validator.is_valid(broken)


def conform(text: str) -> subprocess.CompletedProcess[str]:
    command = [
        str(kubeconform()),
        "-strict",
        "-schema-location",
        f"{ROOT / 'schemas'}/{LAYOUT}",
        "-",
    ]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def test_kubeconform_takes_the_samples_and_refuses_a_typo() -> None:
    files = [*(ROOT / "manifests" / "samples").rglob("*-*.yaml")]
    files += [ROOT / "manifests" / "samples" / f"{each}.yaml" for each in ("domains", "servers")]
    text = "\n---\n".join(file.read_text() for file in files)
    done = conform(text)
    assert (done.returncode, done.stdout) == (0, "")
    slip = text.replace("\n  dkim:", "\n  dkimm:", 1)
    assert slip != text
    refused = conform(slip)
    assert refused.returncode == 1
    assert "additional properties 'dkimm' not allowed" in refused.stdout
