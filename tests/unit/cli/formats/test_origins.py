# SPDX-License-Identifier: Apache-2.0
"""What was rendered is shown at its source: a template of Helm, a resource of Kustomize."""

from __future__ import annotations

from pathlib import Path

import pytest

from postroom.cli import manifests
from postroom.cli.formats.origins import Origins
from postroom.cli.formats.remarks import remarks_of
from postroom.cli.yaml_documents import Manifest, Path_, documents

TEMPLATE = """\
{{- if .Values.mail }}
apiVersion: postroom.dev/v1alpha1
kind: SendingDomain
metadata:
  name: {{ .Release.Name }}
spec:
  domain: {{ .Values.domain }}
{{- end }}
"""
RENDERED = """\
---
# Source: {file}
apiVersion: postroom.dev/v1alpha1
kind: SendingDomain
metadata:
  name: pre-example
{annotations}spec:
  domain: example.com
  spf: {{includes: [a.example]}}
"""
SOURCE = """\
apiVersion: postroom.dev/v1alpha1
kind: MailServer
metadata: {name: example}
---
apiVersion: postroom.dev/v1alpha1
kind: SendingDomain
metadata: {name: example}
spec:
  # 😀
  domain: example.com
"""


@pytest.fixture
def top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    top = tmp_path / "top"
    for name, text in {
        "deploy/chart/Chart.yaml": "name: mail\nversion: 1.0.0\n",
        "deploy/chart/templates/domain.yaml": TEMPLATE,
        "base/domain.yaml": SOURCE,
        "overlay/kustomization.yaml": "resources: [../base]\n",
    }.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text)
    (tmp_path / "outside.yaml").write_text(SOURCE)
    monkeypatch.chdir(top)
    return top


def rendered(file: str = "", origin: str = "") -> Manifest:
    annotations = ""
    if origin:
        body = "\n".join(f"      {line}" for line in origin.splitlines())
        annotations = f"  annotations:\n    config.kubernetes.io/origin: |\n{body}\n"
    text = RENDERED.format(file=file, annotations=annotations)
    Path("rendered.yaml").write_text(text)
    (found,) = documents(Path("rendered.yaml"), [])
    return found


def place(manifest: Manifest, path: Path_, root: str = ".") -> tuple[str, int]:
    file, region = Origins(Path(root)).place(manifest, path)
    assert region is not None
    return file, region.start.line


@pytest.mark.parametrize(
    ("path", "line"),
    [(("spec", "domain"), 7), (("spec", "spf"), 6), (("metadata", "name"), 5), ((), 1)],
)
def test_a_template_is_found_by_the_name_of_its_chart(top: Path, path: Path_, line: int) -> None:
    found = rendered("mail/templates/domain.yaml")
    assert place(found, path) == ("deploy/chart/templates/domain.yaml", line)
    assert place(found, path, "deploy/chart")[1] == line


def test_a_resource_is_found_from_where_kustomize_ran(top: Path) -> None:
    found = rendered(origin="path: ../base/domain.yaml")
    assert place(found, ("spec", "domain"), "overlay") == ("base/domain.yaml", 10)
    # A patch brought it: the nearest around it.
    assert place(found, ("spec", "spf"), "overlay") == ("base/domain.yaml", 8)


@pytest.mark.parametrize(
    "manifest",
    [
        {"file": "mail/templates/gone.yaml"},
        {"file": "other/templates/domain.yaml"},
        {"file": "mail/../../../outside.yaml"},
        {"file": "/etc/passwd"},
        {"origin": "path: ../../outside.yaml"},
        {"origin": "path: /etc/passwd"},
        {"origin": "path: base/domain.yaml\nrepo: https://git.example/x\nref: v1"},
        {"origin": "path: [1]"},
        {"origin": "path: a: b: c"},
        {"origin": "path: overlay/kustomization.yaml"},
    ],
)
def test_what_is_not_there_or_elsewhere_stays_where_it_was_read(
    top: Path, manifest: dict[str, str]
) -> None:
    found = rendered(**manifest)
    file, line = place(found, ("spec", "domain"))
    assert file == "rendered.yaml"
    assert Path(file).read_text().splitlines()[line - 1] == "  domain: example.com"


def test_what_is_wrong_with_rendered_input_is_shown_at_its_source(top: Path) -> None:
    rendered("mail/templates/domain.yaml")
    wrong = Path("rendered.yaml").read_text().replace("domain: example", "domain: Not_a.example")
    Path("rendered.yaml").write_text(wrong)
    found = manifests.load([Path("rendered.yaml")], "default")
    (remark,) = remarks_of(found, [], Origins(Path()))
    assert (remark.code, remark.field) == ("INVALID_INPUT", "spec.domain")
    assert remark.file == "deploy/chart/templates/domain.yaml"
    assert remark.region is not None
    assert remark.region.start.line == 7
