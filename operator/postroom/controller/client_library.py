# SPDX-License-Identifier: Apache-2.0
"""The asynchronous half of the Kubernetes client library, without the other one.

Whoever imports its asyncio part runs the __init__ of the whole first, which imports the synchronous
client and with it requests, oauthlib and websocket-client: 6 MB and half a second of CPU at each
start, for what nobody calls. That of the asyncio part imports its dynamic client, and with it
urllib3. So both packages are put in place without being run; what somebody asks for of the rest, as
kopf may, is imported then.
"""

import importlib.util
import sys

for _package in ("kubernetes", "kubernetes.aio"):
    if _package not in sys.modules and (_spec := importlib.util.find_spec(_package)) is not None:
        sys.modules[_package] = importlib.util.module_from_spec(_spec)
        _parent, _, _name = _package.rpartition(".")
        if _parent:
            setattr(sys.modules[_parent], _name, sys.modules[_package])

from kubernetes.aio import config  # noqa: E402 - only now
from kubernetes.aio.client import ApiClient, Configuration  # noqa: E402

__all__ = ["ApiClient", "Configuration", "config"]
