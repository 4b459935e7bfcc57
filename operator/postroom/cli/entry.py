# SPDX-License-Identifier: Apache-2.0
"""Where the programs begin: an interrupt while one still loads ends it as quietly as one later.

So this module itself loads next to nothing.
"""

import gc
import os
import sys
from importlib import import_module

#: A plugin of pydantic sees each spec, status and setting that is read. None is looked for, which
#: goes through the metadata of all packages, and none that happens to be installed is called.
_NO_PLUGINS = ("PYDANTIC_DISABLE_PLUGINS", "__all__")
#: Names a file that every default context of ssl writes the keys of its connections to, and with
#: them whatever credentials they carry; where it cannot be written, none is made.
_KEYS_OF_CONNECTIONS = "SSLKEYLOGFILE"


def postroom() -> None:
    """Run ``postroom``."""
    # What loads is no garbage. The collector works from when all of a verb is there: see `_STAYS`
    # of `postroom.cli.main`.
    gc.disable()
    _begin("postroom.cli.main")


def kubectl_postroom() -> None:
    """Run ``kubectl-postroom``."""
    _begin("postroom.cli.plugin")


def kubectl_complete_postroom() -> None:
    """Run ``kubectl_complete-postroom``."""
    _begin("postroom.cli.kubectl_completion")


def _begin(program: str) -> None:
    os.environ.setdefault(*_NO_PLUGINS)
    os.environ.pop(_KEYS_OF_CONNECTIONS, None)
    try:
        import_module(program).main()
    except KeyboardInterrupt:
        sys.exit(130)
