# SPDX-License-Identifier: Apache-2.0
"""The process in which a benchmark has its servers."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self

P = ParamSpec("P")
#: Seconds for it to start, to answer an order, or to end.
_PATIENCE = 180


class ServerProcess:
    """The process, to be used as a context manager.

    `serve` is its main function: it gets its end of the pipe of orders, and says "ready" there when
    it is. The end of the orders ends it, too.
    """

    def __init__(
        self,
        serve: Callable[Concatenate[Connection, P], None],
        *arguments: P.args,
        **options: P.kwargs,
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self._orders, theirs = context.Pipe()
        self._process = context.Process(
            target=serve, args=(theirs, *arguments), kwargs=options, daemon=True
        )

    def order(self, order: object) -> Any:
        """Have an order carried out; returns what the process answers."""
        self._orders.send(order)
        return self._heard()

    async def answer(self, order: object) -> Any:
        """The same, while other things happen here."""
        return await asyncio.to_thread(self.order, order)

    def _heard(self) -> Any:
        if not self._orders.poll(_PATIENCE):
            raise SystemExit("The servers of the benchmark do not answer.")
        return self._orders.recv()

    def __enter__(self) -> Self:
        self._process.start()
        assert self._heard() == "ready"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # What goes on there ends with it.
        self._process.kill()
        self._process.join(_PATIENCE)
