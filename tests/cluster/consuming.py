# SPDX-License-Identifier: Apache-2.0
"""What consumers say with their own code, by the program of tests/cluster/consumers (kstatus, Flux'
expressions, Argo CD's Lua), and the schemas of those that only take files."""

import json
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cluster import go_programs

SOURCES = Path(__file__).parent / "consumers"
_PROGRAM = "consumers"
#: Where each schema is: in which version of which module, and its place there.
_SCHEMAS: Mapping[str, tuple[str, str]] = {
    "k9s-plugins.json": (
        "github.com/derailed/k9s@v0.50.16",
        "internal/config/json/schemas/plugins.json",
    ),
    "externalsecrets.yaml": (
        "github.com/external-secrets/external-secrets@v0.16.2",
        "config/crds/bases/external-secrets.io_externalsecrets.yaml",
    ),
    "sealedsecrets.yaml": (
        "github.com/bitnami-labs/sealed-secrets@v0.40.0",
        "helm/sealed-secrets/crds/bitnami.com_sealedsecrets.yaml",
    ),
}


class Consumers:
    """What consumers make of objects; `schemas` has the files named above."""

    def __init__(self, place: Path) -> None:
        self.schemas = place
        self._program = place / _PROGRAM

    @classmethod
    def obtain_or_skip(cls) -> "Consumers":
        return cls(go_programs.built_or_skip(SOURCES, _make, version=repr(_SCHEMAS)))

    def ask(
        self, objects: Iterable[dict[str, Any]], *, kustomization: str = "", script: str = ""
    ) -> list[dict[str, Any]]:
        """For each object the word of kstatus, of a Kustomization's expressions, and of Lua."""
        request = {"objects": [*objects], "kustomization": kustomization, "script": script}
        done = subprocess.run(
            [self._program], input=json.dumps(request), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers


def _make(made: Path) -> None:
    for name, (module, path) in _SCHEMAS.items():
        found = json.loads(go_programs.go(SOURCES, "mod", "download", "-json", module))
        shutil.copyfile(Path(found["Dir"]) / path, made / name)
    go_programs.build(SOURCES, made / _PROGRAM)
