# SPDX-License-Identifier: Apache-2.0
"""What is offered goes on from what is typed; a cluster is not waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
import typer

from postroom.api.names import Kind
from postroom.cli import completion
from postroom.controller import client


class Words:
    """The words so far, as far as they are options."""

    def __init__(self, **params: object) -> None:
        self.params = params


def test_what_goes_on_from_what_is_typed_is_offered() -> None:
    assert completion.beginning(["abc", "ab", "b", "Ab"], "ab") == ["abc", "ab"]
    assert completion.beginning(["a"], "") == ["a"]
    assert completion.providers("Fastm") == ["Fastmail"]


def test_the_kubeconfig_and_context_that_are_named_are_meant_and_nobody_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    named: list[object] = []

    @asynccontextmanager
    async def connected(*words: object) -> AsyncIterator[None]:
        named.extend(words)
        await asyncio.sleep(60)
        yield

    monkeypatch.setattr(client, "connected", connected)
    monkeypatch.setattr(completion, "_PATIENCE", 0.01)
    words = cast("typer.Context", Words(kubeconfig="a", context="b"))
    assert completion.names(words, Kind.EMAIL_ACCOUNT) == []
    assert named == ["a", "b", "postroom-completion"]
