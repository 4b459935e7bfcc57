# SPDX-License-Identifier: Apache-2.0
"""The asynchronous half of the Kubernetes client library, without the other one.

Whoever imports its asyncio part runs the __init__ of the whole first, which imports the synchronous
client and with it requests, oauthlib and websocket-client: 8 MB and half a second of CPU at each
start, for what nobody calls. So the package is put in place without being run; what somebody asks
for of its other half, as kopf may, is imported then.
"""

import importlib.util
import sys

_PACKAGE = "kubernetes"

if _PACKAGE not in sys.modules and (spec := importlib.util.find_spec(_PACKAGE)) is not None:
    sys.modules[_PACKAGE] = importlib.util.module_from_spec(spec)

from kubernetes.aio import config  # noqa: E402 - only now
from kubernetes.aio.client import ApiClient, Configuration  # noqa: E402

__all__ = ["ApiClient", "Configuration", "config"]
