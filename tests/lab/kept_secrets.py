# SPDX-License-Identifier: Apache-2.0
"""Secrets of an API server in memory, with what it answers too rarely, for tests of rotation."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from owners import always_there
from postroom.concurrency.token_bucket import TokenBucket
from postroom.controller.client import ApiError
from postroom.controller.rotation import SECRET_TYPE, OwnedSecrets
from postroom.controller.writer import SecretWriter
from postroom.mail.oauth.grant import Grant, KeptFor
from unit.controller.fakeapi import merge

NOW = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
KEPT_NAME = "support-oauth"


@dataclass
class Secrets:
    """Implements what `OwnedSecrets` reads and writes with; `faults` are answered to writes."""

    there: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: list[tuple[str, str]] = field(default_factory=list)
    sent: list[Mapping[str, Any]] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)
    unreadable: bool = False
    stalled: bool = False
    #: Whether a policy refuses Secrets that are not the operator's.
    guarded: bool = True
    tries: list[Mapping[str, Any]] = field(default_factory=list)
    now: datetime = NOW
    _version: int = 0

    async def secret(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        if self.unreadable:
            raise ApiError("GET secret", 503)
        return self.there.get(name)

    async def create_secret(
        self, namespace: str, secret: Mapping[str, Any], *, dry_run: bool = False
    ) -> None:
        if dry_run:
            return await self._try(secret)
        await self._answer("create", secret["metadata"]["name"], secret)
        if secret["metadata"]["name"] in self.there:
            raise ApiError("POST secret", 409)
        self.put(secret)
        return None

    async def _try(self, secret: Mapping[str, Any]) -> None:
        if self.stalled:
            await asyncio.sleep(3600)
        self.tries.append(secret)
        own = secret["type"] == SECRET_TYPE and "ownerReferences" in secret["metadata"]
        if self.guarded and not own:
            raise ApiError("POST secret", 422, str(secret))

    async def patch_secret(self, namespace: str, name: str, patch: Mapping[str, Any]) -> None:
        await self._answer("patch", name, patch)
        found = self.there.get(name)
        if found is None:
            raise ApiError("PATCH secret", 404)
        if patch["metadata"]["resourceVersion"] != found["metadata"]["resourceVersion"]:
            raise ApiError("PATCH secret", 409)
        self.put(merge(found, patch))

    async def delete_secret(self, namespace: str, name: str, version: Mapping[str, str]) -> None:
        raise AssertionError(f"{name} is deleted, which nobody asks for")

    async def _answer(self, verb: str, name: str, body: Mapping[str, Any]) -> None:
        if self.stalled:
            await asyncio.sleep(3600)
        self.writes.append((verb, name))
        self.sent.append(body)
        if self.faults:
            # As an API server that repeats what it was sent.
            raise ApiError(f"{verb} secret", self.faults.pop(0), str(body))

    def put(self, secret: Mapping[str, Any]) -> None:
        """Store a Secret as another writer would."""
        self._version += 1
        metadata = {**secret["metadata"], "resourceVersion": str(self._version)}
        self.there[secret["metadata"]["name"]] = {**secret, "metadata": metadata}

    def value(self, key: str = "refreshToken", name: str = KEPT_NAME) -> str:
        """What is kept under a key."""
        return base64.b64decode(self.there[name]["data"][key]).decode()

    def note(self, annotation: str, name: str = KEPT_NAME) -> str:
        return str(self.there[name]["metadata"]["annotations"][f"postroom.dev/{annotation}"])

    def store(self) -> OwnedSecrets:
        """A store as a new process has it."""
        return OwnedSecrets(
            self,
            SecretWriter(self, TokenBucket(1e6, 1000), always_there),
            lambda: self.now,
        )

    def passes(self, **time: float) -> None:
        self.now += timedelta(**time)


def kept(grant: Grant, source: str = "uid/1", kind: str = "EmailAccount") -> Grant:
    """The same grant, whose new refresh tokens are kept for an object named support."""
    return replace(grant, version=source, kept_for=KeptFor(kind, "support", "uid-support", source))
