# SPDX-License-Identifier: Apache-2.0
"""What a process imports of the Kubernetes client library: the half that it uses.

Each program is tried in a process of its own, as a module stays once somebody has imported it.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

#: What only the synchronous half needs, and what only a page does.
UNWANTED = ("kubernetes.client.rest", "requests", "oauthlib", "websocket", "jinja2", "urllib3")
MODULES = ("postroom.controller.run", "postroom.controller.inbound.process")


def said_by(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=300
    ).stdout.strip()


@pytest.mark.parametrize("module", MODULES)
def test_a_process_imports_only_the_half_that_it_uses(module: str) -> None:
    program = f"import sys, {module}; print(*{{*{UNWANTED}}} & sys.modules.keys())"
    assert said_by(program) == ""


def test_the_other_half_can_be_had_all_the_same() -> None:
    program = (
        "import postroom.controller.run, kubernetes.client, kubernetes.config, kopf\n"
        "print(kubernetes.client.V1Pod.__name__, kubernetes.aio.client.V1Pod.__name__)"
    )
    assert said_by(program) == "V1Pod V1Pod"


def test_who_has_imported_all_of_it_before_keeps_it() -> None:
    program = (
        "import kubernetes; before = kubernetes\n"
        "import postroom.controller.run, sys\n"
        "print(sys.modules['kubernetes'] is before, kubernetes.__version__ != '')"
    )
    assert said_by(program) == "True True"
