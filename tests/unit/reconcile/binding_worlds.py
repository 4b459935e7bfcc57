# SPDX-License-Identifier: Apache-2.0
"""A world of mail whose operator writes Secrets: what is wanted comes true in memory."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from owners import always_there
from postroom.api.emailaccount_status import EmailAccountStatus
from postroom.api.names import Key, Kind
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.bindings import BindingSecrets
from postroom.controller.children import Children
from postroom.controller.client import ApiError
from postroom.controller.writer import SecretWriter
from postroom.reconcile import engine
from postroom.reconcile.status.outcome import Memory, Outcome
from postroom.reconcile.status.wanted import ChildState
from unit.controller.fakeapi import merge
from unit.reconcile.account.test_relations import Mail
from unit.reconcile.mail_worlds import AT_ONCE


class Secrets:
    """The Secrets of one namespace, as an API server with the policy keeps them."""

    def __init__(self) -> None:
        self.there: dict[str, dict[str, Any]] = {}
        self.writes: list[tuple[str, str]] = []
        #: What the next writes are answered with instead of being carried out.
        self.faults: list[int] = []
        self.guarded = True
        #: Whether only the policy of kept tokens is in force.
        self.only_tokens = False
        self._version = 0

    async def secret(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        return self.there.get(name)

    async def create_secret(
        self, namespace: str, secret: Mapping[str, Any], *, dry_run: bool = False
    ) -> None:
        metadata = secret["metadata"]
        if dry_run:
            ours = secret["type"] == "servicebinding.io/smtp"
            ours &= {"ownerReferences", "labels"} <= metadata.keys()
            tried = "postroom.dev/dry-run" in metadata.get("labels", {})
            if self.guarded and (not ours or (tried and not self.only_tokens)):
                raise ApiError("POST secret", 422, str(secret))
            return
        self._answer("create", metadata["name"])
        if metadata["name"] in self.there:
            raise ApiError("POST secret", 409)
        self.put(secret)

    async def patch_secret(self, namespace: str, name: str, patch: Mapping[str, Any]) -> None:
        self._answer("patch", name)
        self._check(name, patch["metadata"]["resourceVersion"])
        self.put(merge(self.there[name], patch))

    async def delete_secret(self, namespace: str, name: str, version: Mapping[str, str]) -> None:
        self._answer("delete", name)
        self._check(name, version["resourceVersion"])
        secret = self.there[name]
        if secret["metadata"].get("finalizers"):
            self.put({**secret, "metadata": {**secret["metadata"], "deletionTimestamp": "now"}})
        else:
            del self.there[name]

    def hold(self, name: str) -> None:
        """Have somebody's finalizer keep a Secret from going."""
        secret = self.there[name]
        metadata = {**secret["metadata"], "finalizers": ["example.com/backup"]}
        self.put({**secret, "metadata": metadata})

    def let_go(self, name: str) -> None:
        """Take the finalizers off."""
        metadata = {**self.there[name]["metadata"], "finalizers": []}
        if "deletionTimestamp" in metadata:
            del self.there[name]
        else:
            self.put({**self.there[name], "metadata": metadata})

    def _check(self, name: str, version: str) -> None:
        if name not in self.there:
            raise ApiError("secret", 404)
        if self.there[name]["metadata"]["resourceVersion"] != version:
            raise ApiError("secret", 409)

    def _answer(self, verb: str, name: str) -> None:
        self.writes.append((verb, name))
        if self.faults:
            raise ApiError(f"{verb} secret", self.faults.pop(0))

    def put(self, secret: Mapping[str, Any]) -> None:
        """Store a Secret as any writer would."""
        self._version += 1
        name = secret["metadata"]["name"]
        metadata = {**secret["metadata"], "uid": f"secret-{name}"}
        metadata["resourceVersion"] = str(self._version)
        self.there[name] = {**secret, "metadata": metadata}

    def holder(self, name: str) -> str | None:
        """The name of the account that controls a Secret."""
        found = self.there.get(name)
        return found["metadata"]["ownerReferences"][0]["name"] if found else None


class BindingWorld(Mail):
    """Evaluates as the worker does: children follow the status, and what is news is told."""

    def __init__(self, **spec: Any) -> None:
        super().__init__(**spec)
        self.kube = Secrets()
        self.outcome: Outcome | None = None
        writer = SecretWriter(self.kube, TokenBucket(1e9, 1e9), always_there)
        self.children = Children({"Secret": BindingSecrets(self.kube, writer, self.now)})

    def vanish(self, key: Key) -> None:
        """Delete an object; what it controls is collected."""
        uid = self.objects.pop(key)["metadata"]["uid"]
        self._memories.pop(key, None)
        for name, secret in list(self.kube.there.items()):
            owners = secret["metadata"].get("ownerReferences") or ()
            if [each for each in owners if each["uid"] == uid]:
                del self.kube.there[name]

    async def evaluate(
        self, key: Key, wait: timedelta = timedelta(minutes=5)
    ) -> EmailAccountStatus:
        """Reconcile an account until what became of its children is no news."""
        self.time += wait
        for _ in range(5):
            if not await self.step(key):
                break
        else:
            raise AssertionError("no end of news")
        assert self.outcome is not None
        return cast("EmailAccountStatus", self.outcome.status)

    async def step(self, key: Key, *, crash: bool = False) -> bool:
        """One run; tells whether another follows. With `crash` the process ends before children."""
        memory = self._memories.setdefault(key, Memory())
        outcome = await engine.reconcile(key.kind, self.objects[key], self, memory, AT_ONCE)
        if outcome.status is not None:
            self.outcome = outcome
            stored = outcome.status.model_dump(mode="json", by_alias=True, exclude_none=True)
            self.objects[key]["status"] = stored
        if crash:
            self._memories.pop(key, None)
            return False
        if outcome.children is None:
            return False
        uid = self.objects[key]["metadata"]["uid"]
        states = await self.children.apply(key, uid, outcome.children)
        news = states != memory.children
        memory.children = states
        return news

    async def settle(self, rounds: int = 3) -> None:
        """Evaluate every account until nothing changes any more."""
        accounts = [key for key in sorted(self.objects) if key.kind is Kind.EMAIL_ACCOUNT]
        for _ in range(rounds):
            for key in accounts:
                await self.evaluate(key)


def states(world: BindingWorld, key: Key) -> set[ChildState]:
    """What became of the children of an object."""
    return set(world._memories[key].children.values())
