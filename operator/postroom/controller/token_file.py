# SPDX-License-Identifier: Apache-2.0
"""A bearer token in a file, in which a new one is put before the old one ends.

The library reads the Pod's again after a minute by the wall clock, which may be set back by days,
and the one that a kubeconfig names (tokenFile) once. A token ends by the API server's clock.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: Seconds after which the file is read again. Short: what is refused with an old token is repeated
#: with the new one.
_FRESH = 5.0


class TokenFile:
    """Gives a configuration of the library the token that is in a file, as of a moment ago."""

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = path, clock
        self._read_at: float | None = None

    def serve(self, configuration: Any) -> None:
        """Have a configuration ask here before each request."""
        configuration.refresh_api_key_hook = self._refresh
        self._refresh(configuration)

    def _refresh(self, configuration: Any) -> None:
        now = self._clock()
        if self._read_at is not None and now - self._read_at < _FRESH:
            return
        self._read_at = now
        try:
            token = self._path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            return  # the one that was there may still be good
        if token:
            configuration.api_key["BearerToken"] = f"Bearer {token}"
