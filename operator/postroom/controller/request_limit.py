# SPDX-License-Identifier: Apache-2.0
"""How often news that people make may have one object looked at, whoever makes it.

Each look at an account signs in, and each look at a domain asks DNS. Who patches an annotation or a
Secret in a loop would otherwise have the operator do that as fast as the API server takes patches,
from the address that all tenants share. What waits is not lost: it is one look, of the newest.
"""

import time
from collections.abc import Callable

from postroom.api.names import Key

#: So many looks at once, and one in so many seconds after that: who edits by hand never waits.
BURST, EVERY = 6, 10.0
#: Objects to remember; those whose burst is whole again are forgotten first.
_REMEMBERED = 50_000


class RequestLimiter:
    """Says of each piece of news when it may have its object looked at.

    Kept by name, so that deleting and creating an object again resets nothing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._room = _REMEMBERED
        #: When the burst of an object is whole again.
        self._whole_at: dict[Key, float] = {}
        #: When an object is looked at because of news that had to wait.
        self._promised: dict[Key, float] = {}

    def wait(self, key: Key) -> float:
        """Return in how many seconds news may have an object looked at; 0: at once."""
        now = self._clock()
        promised = self._promised.get(key, now)
        if promised > now:
            return promised - now
        self._promised.pop(key, None)
        whole_at = max(self._whole_at.get(key, now), now)
        moment = max(now, whole_at - (BURST - 1) * EVERY)
        if key not in self._whole_at and len(self._whole_at) >= self._room:
            self._whole_at = {key: at for key, at in self._whole_at.items() if at > now}
            self._promised = {key: at for key, at in self._promised.items() if at > now}
            # Whoever makes objects by the thousand has not each of them look at all others.
            self._room = max(_REMEMBERED, 2 * len(self._whole_at))
        self._whole_at[key] = whole_at + EVERY
        if moment > now:
            self._promised[key] = moment
        return moment - now
