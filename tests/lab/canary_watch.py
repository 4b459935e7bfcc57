# SPDX-License-Identifier: Apache-2.0
"""Watches everything that a process shows while secrets go through it, and what it leaves behind.

Shown are: every log record at DEBUG as the operator formats it, with its arguments, extras and
exceptions; warnings; what the event loop complains about; and whatever a test hands over. Left
behind must be no task, no socket, and nothing that complains when it is collected.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import re
import sys
import time
import traceback
import warnings
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.canary import Secret, leaks
from postroom.log import JSONFormatter, TextFormatter

#: The log of aiosmtpd, a server: it may show what it is told.
_SERVERS = ("mail", "mail.log")
#: What differs between lines of asyncio that say the same.
_TIMES = re.compile(
    r"(?<=took )[\d.]+|(?<=when=)[\d.]+|(?<=name='Task-)\d+|(?<=x)[0-9a-f]{8,12}\b"
    r'|(?<="timestamp":")[^"]{29}'
)
#: Seconds that connections of servers of tests may take to end.
_PATIENCE = 30.0


@dataclass
class Watch:
    """What was shown, by where; and the secrets that must not be in it."""

    secrets: dict[str, Secret] = field(default_factory=dict)
    shown: dict[tuple[str, str], None] = field(default_factory=dict)

    def hide(self, name: str, *texts: str) -> None:
        """Have secrets looked for."""
        for number, text in enumerate(texts):
            called = f"{name} {number}" if len(texts) > 1 else name
            self.secrets[text] = Secret(called, text)

    def see(self, where: str, *things: object) -> None:
        """Note how things print; of exceptions those behind them, too."""
        for thing in things:
            for text in printed(thing):
                self.shown[where, text] = None

    def leaks(self) -> list[str]:
        """Every secret that shows, with where and how."""
        found = []
        for where in sorted({one for one, _ in self.shown}):
            text = "\n".join(text for place, text in self.shown if place == where)
            found += [f"{where}: {leak}" for leak in leaks(text, self.secrets.values())]
        return found


def each_once(log: str) -> str:
    """The JSON lines of a log, of asyncio's each once: in its debug mode they are nine of ten."""
    lines = log.splitlines()
    return "\n".join(
        dict.fromkeys(_TIMES.sub("", one) if '"logger":"asyncio"' in one else one for one in lines)
    )


def printed(thing: object) -> Iterator[str]:
    """Yield every way in which a thing can be printed."""
    if isinstance(thing, bytes):
        thing = thing.decode("utf-8", "surrogateescape")
    if isinstance(thing, str):
        yield thing
        return
    if isinstance(thing, BaseException):
        yield from _exceptions(thing)
        return
    yield repr(thing)
    yield str(thing)
    yield format(thing)
    if isinstance(thing, Iterable) and not isinstance(thing, Iterator):
        for one in thing:
            yield str(one)


def _exceptions(error: BaseException) -> Iterator[str]:
    """Print an exception and all behind it, suppressed ones included."""
    known: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in known:
            continue
        known.add(id(one))
        yield from (str(one), repr(one), repr(one.args), repr(vars(one)))
        yield "".join(traceback.format_exception(one))
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions


class _Recorder(logging.Handler):
    """Notes each record as the operator writes it, and all that hangs on it."""

    def __init__(self, watch: Watch) -> None:
        super().__init__(logging.DEBUG)
        self._watch = watch
        self._forms = (JSONFormatter(), TextFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        if record.name in _SERVERS:
            return
        where = f"log of {record.name}"
        if record.name == "asyncio" and not record.exc_info:
            # One for each callback in its debug mode, which differ in their times alone.
            self._watch.see(where, _TIMES.sub("", record.getMessage()))
            return
        self._watch.see(where, record.getMessage(), repr(record.args), repr(vars(record)))
        self._watch.see(where, *(form.format(record) for form in self._forms))
        if record.exc_info and record.exc_info[1]:
            self._watch.see(where, record.exc_info[1])


@contextmanager
def logs_at_debug(watch: Watch) -> Iterator[None]:
    """Have every logger log at DEBUG, whatever it was set to, and note what they say."""
    known = [logging.getLogger(name) for name in logging.root.manager.loggerDict]
    loggers = [logging.root, *known]
    before = [(logger, logger.level, logger.disabled, logger.propagate) for logger in loggers]
    recorder = _Recorder(watch)
    logging.root.addHandler(recorder)
    for one in loggers:
        one.setLevel(logging.DEBUG if one.name not in _SERVERS else logging.CRITICAL)
        one.disabled, one.propagate = False, True
    try:
        yield
    finally:
        logging.root.removeHandler(recorder)
        for one, level, disabled, propagate in before:
            one.setLevel(level)
            one.disabled, one.propagate = disabled, propagate


@asynccontextmanager
async def watching(*, debug: bool = False) -> AsyncIterator[Watch]:
    """Watch a block; fail where a secret showed, or where something is left behind.

    With `debug` asyncio is in its debug mode, and holds every callback to be slow: it prints
    each, with its arguments or with what its task yielded.
    """
    watch, complaints = Watch(), list[str]()
    loop, tasks, sockets = asyncio.get_running_loop(), asyncio.all_tasks(), open_sockets()

    def complain(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        watch.see("event loop", repr(context), *_errors(context))
        complaints.append(f"event loop: {context.get('message')} {context.get('exception')!r}")

    def unraisable(context: Any) -> None:
        watch.see("unraisable", repr(context.object), context.err_msg or "", context.exc_value)
        complaints.append(f"unraisable: {context.exc_value!r} in {context.object!r}")

    before = loop.get_exception_handler(), sys.unraisablehook
    debugged = loop.get_debug(), loop.slow_callback_duration
    gc.collect()
    loop.set_exception_handler(complain)
    sys.unraisablehook = unraisable
    try:
        with warnings.catch_warnings(), logs_at_debug(watch):
            warnings.simplefilter("error")
            if debug:
                loop.set_debug(True)
                loop.slow_callback_duration = 0.0
            yield watch
            loop.set_debug(debugged[0])
            loop.slow_callback_duration = debugged[1]
            await _settled(tasks, sockets)
            gc.collect()
    finally:
        loop.set_exception_handler(before[0])
        sys.unraisablehook = before[1]
    wrong = watch.leaks() + complaints + [f"task left: {one!r}" for one in _left(tasks)]
    if open_sockets() > sockets:
        wrong.append(f"sockets left: {open_sockets() - sockets}")
    if wrong:
        raise AssertionError("\n".join(wrong))


async def _settled(tasks: set[asyncio.Task[Any]], sockets: int) -> None:
    """Give what is ending the time to end."""
    until = time.monotonic() + _PATIENCE
    # Sockets tell nobody when they close.
    while (_left(tasks) or open_sockets() > sockets) and time.monotonic() < until:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def _left(tasks: set[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() - tasks if task is not asyncio.current_task()]


def _errors(context: dict[str, Any]) -> list[BaseException]:
    return [one for one in context.values() if isinstance(one, BaseException)]


def open_sockets() -> int:
    """How many sockets this process has open."""
    count = 0
    for one in Path("/proc/self/fd").iterdir():
        try:
            count += one.is_socket()
        except OSError:  # the one that listed them
            continue
    return count
