#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints how an image was made as a predicate of SLSA provenance 1.0, from what GitHub Actions says
of the run that it is in."""

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
_BASE = re.compile(r"^ARG PYTHON=(\S+)@sha256:([0-9a-f]{64})$", re.MULTILINE)
_LOCKS = ("image/requirements.lock", "image/build.lock")


def predicate(environment: Mapping[str, str]) -> dict[str, Any]:
    """The predicate of a run; raises `KeyError` outside of one."""
    repository = f"{environment['GITHUB_SERVER_URL']}/{environment['GITHUB_REPOSITORY']}"
    base = _BASE.search((ROOT / "Dockerfile").read_text())
    if base is None:
        raise SystemExit("the base image of the Dockerfile has no digest")
    run = f"{repository}/actions/runs/{environment['GITHUB_RUN_ID']}"
    source = {
        "uri": f"git+{repository}@{environment['GITHUB_REF']}",
        "digest": {"gitCommit": environment["GITHUB_SHA"]},
    }
    locks = [
        {"uri": name, "digest": {"sha256": hashlib.sha256((ROOT / name).read_bytes()).hexdigest()}}
        for name in _LOCKS
    ]
    return {
        "buildDefinition": {
            "buildType": "https://postroom.dev/image/v1",
            "externalParameters": {"source": source["uri"]},
            "resolvedDependencies": [
                source,
                {"uri": f"docker://{base[1]}", "digest": {"sha256": base[2]}},
                *locks,
            ],
        },
        "runDetails": {
            "builder": {
                "id": f"{environment['GITHUB_SERVER_URL']}/{environment['GITHUB_WORKFLOW_REF']}"
            },
            "metadata": {"invocationId": f"{run}/attempts/{environment['GITHUB_RUN_ATTEMPT']}"},
        },
    }


if __name__ == "__main__":
    json.dump(predicate(os.environ), sys.stdout, indent=2)
