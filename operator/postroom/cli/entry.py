# SPDX-License-Identifier: Apache-2.0
"""Where the programs begin: an interrupt while one still loads ends it as quietly as one later.

So this module itself loads next to nothing.
"""

import sys
from importlib import import_module


def postroom() -> None:
    """Run ``postroom``."""
    _begin("postroom.cli.main")


def kubectl_postroom() -> None:
    """Run ``kubectl-postroom``."""
    _begin("postroom.cli.plugin")


def kubectl_complete_postroom() -> None:
    """Run ``kubectl_complete-postroom``."""
    _begin("postroom.cli.kubectl_completion")


def _begin(program: str) -> None:
    try:
        import_module(program).main()
    except KeyboardInterrupt:
        sys.exit(130)
