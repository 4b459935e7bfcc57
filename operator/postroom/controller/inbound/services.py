# SPDX-License-Identifier: Apache-2.0
"""Looks at the Services that accounts hand their mail to, again and again: nothing tells of them.

To be told, the worker would need the right to list all Services. So it reads those that accounts
name, one by one, each namespace in turn: that of an account at rest changes or goes unnoticed for
seconds, and not until the next message.
"""

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from postroom.api.names import Key
from postroom.controller.dependants import Dependants
from postroom.controller.queue import KeyedQueue, Urgency
from postroom.controller.raw_objects import metadata_of
from postroom.delivery.routes import Services
from postroom.reconcile.signing_in.references import reference_to
from postroom.reconcile.world import LookupUnavailable

#: Seconds in which each is looked at, and how many are a second at most, however many there are.
_PERIOD, _A_SECOND = 15.0, 5.0


class SeenServices:
    """Implements `Services`; whoever stands on one that is no longer what it was is looked at."""

    def __init__(self, services: Services, dependants: Dependants, queue: KeyedQueue) -> None:
        self._services, self._dependants, self._queue = services, dependants, queue
        #: What of a Service counts, by namespaces and names; those first that are next.
        self._seen: dict[str, dict[str, object]] = {}

    async def service(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Return one Service, None if there is none; raises `LookupUnavailable`."""
        raw = await self._services.service(namespace, name)
        found = raw and (metadata_of(raw).get("uid"), raw.get("spec"))
        of_namespace = self._seen.setdefault(namespace, {})
        before = of_namespace.pop(name, found)
        of_namespace[name] = found
        if before != found:
            for key in self._standing_on(namespace, name):
                self._queue.add(key, Urgency.CONSEQUENCE)
        return raw

    async def run(self) -> None:
        """Look at one after the other, until cancelled."""
        while True:
            count = sum(map(len, self._seen.values()))
            await asyncio.sleep(max(_PERIOD / max(count, 1), 1 / _A_SECOND))
            await self.look()

    async def look(self) -> None:
        """Look at the one that is next, if there is one; forget it where nobody stands on it."""
        for namespace in list(self._seen):
            of_namespace = self._seen.pop(namespace)
            if not of_namespace:
                continue
            self._seen[namespace] = of_namespace
            name = next(iter(of_namespace))
            if self._standing_on(namespace, name):
                try:
                    await self.service(namespace, name)
                except LookupUnavailable:
                    of_namespace[name] = of_namespace.pop(name)
                return
            del of_namespace[name]

    def _standing_on(self, namespace: str, name: str) -> Collection[Key]:
        return self._dependants.of(namespace, [reference_to("Service", name)])
