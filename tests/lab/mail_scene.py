# SPDX-License-Identifier: Apache-2.0
"""Scenes with both ends of a conversation in one event loop, on a virtual clock: what they show."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dnsworld.clock import VirtualLoop

T = TypeVar("T")


class _Loop(VirtualLoop):
    """What others leave to threads is done at once: no thread takes virtual time."""

    def run_in_executor(  # type: ignore[override]  # theirs is generic in what differs by version
        self, executor: Any, function: Callable[..., T], *arguments: Any
    ) -> asyncio.Future[T]:
        made: asyncio.Future[T] = self.create_future()
        try:
            made.set_result(function(*arguments))
        except Exception as error:
            made.set_exception(error)
        return made


@dataclass
class Shown:
    """What logs and the event loop said while something ran."""

    lines: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


class _Recorder(logging.Handler):
    def __init__(self, shown: Shown) -> None:
        super().__init__(logging.DEBUG)
        self._shown = shown

    def emit(self, record: logging.LogRecord) -> None:
        self._shown.lines.append(f"{record.getMessage()} {record.args!r} {record.exc_info!r}")


@contextmanager
def playing() -> Iterator[tuple[asyncio.Runner, Shown]]:
    """A runner whose clock is virtual; what is left unfinished at its end is cancelled."""
    shown = Shown()
    recorder, level = _Recorder(shown), logging.root.level
    logging.root.addHandler(recorder)
    logging.root.setLevel(logging.DEBUG)
    # Its own word on each event loop says nothing, and would fill what failures show.
    logging.getLogger("asyncio").setLevel(logging.INFO)
    try:
        with asyncio.Runner(loop_factory=_Loop) as runner:
            runner.get_loop().set_exception_handler(
                lambda _, context: shown.complaints.append(repr(context))
            )
            yield runner, shown
    finally:
        logging.root.removeHandler(recorder)
        logging.root.setLevel(level)


def played(scene: Coroutine[Any, Any, T]) -> tuple[T, Shown]:
    """Run a scene to its end on a virtual clock; what it left unfinished is an error."""
    with playing() as (runner, shown):
        return runner.run(scene), shown
