# SPDX-License-Identifier: Apache-2.0
"""Whether admission keeps the operator from Secrets that are not its own, tried before it writes.

RBAC cannot tell the operator's Secrets from others, so that a policy does
(``manifests/install/token-rotation``, ``manifests/install/binding``). A policy can be missing,
unbound or narrowed, and nothing would look broken. Only a try tells.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from postroom.api.names import GROUP
from postroom.controller.client import ApiError

#: For how long a policy that was in force is taken to be so still.
_HOLDS = timedelta(minutes=10)
#: Only the policy of bindings refuses what has it.
_DRY_RUN_LABEL = f"{GROUP}/dry-run"
#: Policies answer with the first, webhooks with the second.
_REFUSED = (422, 403)
#: What else is forbidden says nothing of a policy: by a quota, which comes after all policies, and
#: by RBAC, or the end of the namespace, before them. All may be otherwise a moment later: there may
#: be a namespace of the same name again, and no policy for it.
_NO_POLICY = re.compile(r"(exceeded|failed) quota|cannot create resource")


class Trier(Protocol):
    """Tries what the policy must refuse."""

    async def create(
        self, namespace: str, secret: Mapping[str, Any], *, dry_run: bool = False
    ) -> None: ...


class SecretGuard:
    """Tries, as a dry run, objects that the policy must refuse: of Secrets of ours, `foreign` makes
    such as differ from one in a single respect."""

    def __init__(
        self,
        writer: Trier,
        now: Callable[[], datetime],
        foreign: Callable[[Mapping[str, Any]], Iterator[dict[str, Any]]] | None = None,
        *,
        labelled: bool = False,
    ) -> None:
        self._writer, self._now = writer, now
        #: Whether the policy knows our Secrets by their labels, too.
        self._foreign = foreign or partial(_foreign, labelled=labelled)
        #: By namespace: until when the policy is taken to be in force. As many as namespaces that
        #: ask for write-back.
        self._until: dict[str, datetime] = {}

    async def in_force(self, namespace: str, own: Mapping[str, Any]) -> bool:
        """Whether every Secret that only resembles `own` is refused in a namespace.

        `own` is a Secret of the operator's, without content. Raises `ApiError` where the API
        server does not answer the question, or refuses what it is for another reason.
        """
        until = self._until.get(namespace)
        if until is not None and until - _HOLDS <= self._now() < until:
            return True
        self._until.pop(namespace, None)
        for foreign in self._foreign(own):
            try:
                await self._writer.create(namespace, foreign, dry_run=True)
            except ApiError as error:
                by_others = error.of_ending_namespace or _NO_POLICY.search(error.message)
                if error.status not in _REFUSED or by_others:
                    raise
            else:
                return False
        self._until[namespace] = self._now() + _HOLDS
        return True


def _foreign(own: Mapping[str, Any], *, labelled: bool) -> Iterator[dict[str, Any]]:
    """Make Secrets that differ from one of ours in a single respect, under names of their own.

    Each alone must be refused: a rule about something else would refuse ours as well, and that is
    told when ours is written.
    """
    metadata = {
        name: value for name, value in own["metadata"].items() if name not in ("name", "namespace")
    }
    metadata["generateName"] = "postroom-dry-run-"
    orphaned = {name: value for name, value in metadata.items() if name != "ownerReferences"}
    yield {**own, "type": "Opaque", "metadata": metadata}
    yield {**own, "metadata": orphaned}
    if labelled:
        yield {
            **own,
            "metadata": {name: value for name, value in metadata.items() if name != "labels"},
        }
        # The policy of kept tokens refuses all of the above, too, and says nothing of deleting.
        marked = {**metadata["labels"], _DRY_RUN_LABEL: "true"}
        yield {**own, "metadata": {**metadata, "labels": marked}}
