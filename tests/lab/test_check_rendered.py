# SPDX-License-Identifier: Apache-2.0
"""What real Helm and real Kustomize render is read from standard input, and remarked at its
source."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cluster import forked
from lab.helm import UNCOLLECTED, helm, programs
from postroom.cli.options import ExitCode

SOURCE = """\
# The domain is none.
apiVersion: postroom.dev/v1alpha1
kind: SendingDomain
metadata: {name: example}
spec:
  domain: Bad_Domain
"""


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "base/domain.yaml": SOURCE,
        "base/kustomization.yaml": "resources: [domain.yaml]\n",
        "overlay/kustomization.yaml": "resources: [../base]\nnamePrefix: pre-\n"
        "buildMetadata: [originAnnotations]\n",
        "deploy/chart/Chart.yaml": "apiVersion: v2\nname: mail\nversion: 1.0.0\n",
        "deploy/chart/values.yaml": "domain: Bad_Domain\n",
        "deploy/chart/templates/domain.yaml": "{{- /* of Helm */}}\n"
        + SOURCE.replace("Bad_Domain", "{{ .Values.domain }}"),
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def remark(text: str, *arguments: str) -> dict[str, Any]:
    done = forked.check(text, "--offline", "-o", "json", *arguments)
    assert done.returncode == ExitCode.BAD_INPUT, done.stderr
    (found,) = json.loads(done.stdout)["remarks"]
    return {"name": found["object"]["name"], "field": found["field"], **found["location"]}


def test_kustomize(top: Path) -> None:
    rendered = subprocess.run(
        [programs() / "kubectl", "kustomize", "overlay"],
        cwd=top,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **UNCOLLECTED},
    ).stdout
    found = remark(rendered, "--source-root", "overlay")
    assert found == {
        "name": "pre-example",
        "field": "spec.domain",
        "file": "base/domain.yaml",
        "line": 6,
        "column": 3,
        "endLine": 6,
        "endColumn": 21,
    }
    # Without the folder that was built the source is not found, and the place is that of the input.
    assert remark(rendered)["file"] == "stdin"


def test_helm(top: Path) -> None:
    rendered = helm("template", "release", top / "deploy" / "chart").stdout
    found = remark(rendered)
    assert (found["file"], found["line"]) == ("deploy/chart/templates/domain.yaml", 7)
