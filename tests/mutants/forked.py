# SPDX-License-Identifier: Apache-2.0
"""A plugin of pytest that runs the tests, and then again on each mutant, in a process of its own.

Nothing is imported or collected again for a mutant that differs within a function: the process is
a copy of the one where the tests have passed, and gets the other code into the functions that are
there, or the other constant into the modules that have it. It runs only tests that reach the
changed statement, or a function that uses the constant. What else runs on import is changed in a
process that has not yet imported it, where all tests run.
"""

from __future__ import annotations

import ast
import functools
import gc
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FunctionType, ModuleType

import pytest
from coverage import Coverage
from hypothesis import Phase
from mutant import Mutant, mutants

from properties import bound_examples

#: Processes at a time.
_PROCESSES = os.cpu_count() or 1
#: What a test may take: seconds of the processor, of the clock (where it waits for ever), and
#: how many times longer than on the original.
_CPU, _CLOCK, _TIMES = 3.0, 20.0, 10.0
_MEMORY = 4 << 30
#: Of how many examples a property is tried on a mutant.
_EXAMPLES = 30


@dataclass
class Cost:
    """What a test takes on the original: seconds of the processor and of the clock."""

    cpu: float = 0.0
    clock: float = 0.0

    def limit(self) -> None:
        """End this process where a test takes much longer."""
        signal.setitimer(signal.ITIMER_PROF, _CPU + _TIMES * self.cpu)
        signal.setitimer(signal.ITIMER_REAL, _CLOCK + _TIMES * self.clock)


@dataclass
class Run:
    """A run over the mutants of one module; `results` is the file that they are written to."""

    module: str
    path: str
    results: Path
    is_mutant: bool = False
    costs: dict[str, Cost] = field(default_factory=dict)
    #: How many mutants a test has killed: such tests run first.
    kills: Counter[str] = field(default_factory=Counter)
    _running: dict[int, tuple[Mutant, int]] = field(default_factory=dict)

    def forked(self, mutant: Mutant) -> int | None:
        """Return, in a new process for a mutant, where to write the test that kills it."""
        while len(self._running) >= _PROCESSES:
            self._reap()
        read, write = os.pipe()
        pid = os.fork()
        if pid:
            os.close(write)
            self._running[pid] = mutant, read
            return None
        self.is_mutant = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
        return write

    def wait(self) -> None:
        """Wait for all mutants that are being run."""
        while self._running:
            self._reap()

    def _reap(self) -> None:
        pid, status = os.wait()
        mutant, read = self._running.pop(pid)
        with os.fdopen(read) as pipe:
            killer = pipe.read()
        if killer:
            self.kills[killer] += 1
        self.tell(mutant, is_killed=status != 0, killer=killer)

    def tell(self, mutant: Mutant, *, is_killed: bool, killer: str = "") -> None:
        """Write what became of a mutant."""
        told = {
            "operator": mutant.operator,
            "line": mutant.line,
            "changed": mutant.changed,
            "is_equivalent": mutant.is_equivalent,
            "is_killed": is_killed,
            "killer": killer,
        }
        with self.results.open("a") as file:
            file.write(f"{json.dumps(told)}\n")
        if not is_killed and not mutant.is_equivalent:
            print(f"\n{self.module}:{mutant.line} {mutant.operator}\n{mutant.changed}", flush=True)

    def mutants(self, *, on_import: bool) -> Iterator[Mutant]:
        """Yield the mutants to run: those that are to be imported, or all others."""
        source = Path(self.path).read_text()
        for mutant in mutants(self.module, source, on_import=on_import):
            if mutant.is_equivalent:
                self.tell(mutant, is_killed=False)
            else:
                yield mutant


_RUN = Run(os.environ["MUTATED"], os.environ["MUTATED_PATH"], Path(os.environ["MUTANTS_RESULTS"]))


class _Loader(importlib.machinery.SourceFileLoader):
    """Loads a mutant in the place of the module."""

    mutant: Mutant

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.mutant.source, self.path, "exec")


class _Finder:
    """Finds a mutant in the place of the module."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(
        self, name: str, path: object = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != _RUN.module:
            return None
        loader = _Loader(name, _RUN.path)
        loader.mutant = self._mutant
        return importlib.util.spec_from_file_location(name, _RUN.path, loader=loader)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Run the mutants that differ on import: in new processes, pytest goes on from here."""
    assert _RUN.module not in sys.modules
    for mutant in _RUN.mutants(on_import=True):
        if _RUN.forked(mutant) is not None:
            sys.meta_path.insert(0, _Finder(mutant))
            return
    _RUN.wait()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    if _RUN.is_mutant:
        _RUN.costs.get(item.nodeid, Cost(cpu=10.0, clock=10.0)).limit()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the tests, then those of each mutant."""
    for item in session.items:
        bound_examples(item, _EXAMPLES, database=None, phases=[Phase.explicit, Phase.generate])
    if _RUN.is_mutant:
        return None
    # What tests/conftest.py froze is not among all objects.
    gc.unfreeze()
    caches = [each for each in gc.get_objects() if isinstance(each, functools._lru_cache_wrapper)]
    ours = [each for each in caches if each.__module__ in {_RUN.module, *_tests(session)}]
    reached = _passed(session, ours)
    functions = [
        each
        for each in gc.get_objects()
        if isinstance(each, FunctionType) and each.__code__.co_filename == _RUN.path
    ]
    gc.freeze()
    for mutant in _RUN.mutants(on_import=False):
        lines = mutant.lines or _lines_using(mutant.names)
        concerned = {name for line in lines for name in reached.get(line, ())}
        items = sorted(
            (item for item in session.items if item.nodeid in concerned),
            key=lambda item: _RUN.costs[item.nodeid].cpu / (1 + _RUN.kills[item.nodeid]),
        )
        if not items:
            _RUN.tell(mutant, is_killed=False)
            continue
        pipe = _RUN.forked(mutant)
        if pipe is not None:
            _mutate(functions, mutant)
            for cached in ours:
                cached.cache_clear()
            _run_as_mutant(session, items, pipe)
    _RUN.wait()
    return True


def _tests(session: pytest.Session) -> set[str]:
    return {item.module.__name__ for item in session.items if isinstance(item, pytest.Function)}


def _passed(
    session: pytest.Session, caches: Iterable[functools._lru_cache_wrapper[object]]
) -> dict[int, list[str]]:
    """Run the tests on the original; return, by line, which of them reach it.

    What one test has computed is not remembered for the next: that one needs the line, too.
    """
    cover = Coverage(data_file=None, config_file=False, include=[_RUN.path], messages=False)
    for item, following in zip(session.items, [*session.items[1:], None], strict=True):
        for cached in caches:
            cached.cache_clear()
        cpu, clock = time.process_time(), time.monotonic()
        cover.start()
        cover.switch_context(item.nodeid)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        cover.stop()
        cost = Cost(time.process_time() - cpu, time.monotonic() - clock)
        _RUN.costs[item.nodeid] = cost
    if session.testsfailed:
        raise session.Failed("The tests fail on what is to be mutated.")
    return cover.get_data().contexts_by_lineno(_RUN.path)


def _codes(code: CodeType) -> Iterator[CodeType]:
    """Yield the code of all functions within a code, outer ones first."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


def _lines_using(names: frozenset[str]) -> set[int]:
    """The lines of functions that use names of the module."""
    whole = compile(Path(_RUN.path).read_text(), _RUN.path, "exec")
    using = [code for code in _codes(whole) if not names.isdisjoint(code.co_names)]
    return {line for code in using for *_, line in code.co_lines() if line}


def _mutate(functions: list[FunctionType], mutant: Mutant) -> None:
    """Give functions the code that a mutant has for them, and modules its constant."""
    if mutant.constant is not None:
        module = vars(sys.modules[_RUN.module])
        changed = dict(module)
        statement = ast.Module([mutant.constant], [])
        exec(compile(statement, _RUN.path, "exec"), changed)  # noqa: S102
        for name in mutant.names:
            original = module[name]
            for each in list(sys.modules.values()):
                if isinstance(each, ModuleType) and vars(each).get(name) is original:
                    setattr(each, name, changed[name])
        return
    whole = compile(mutant.source, _RUN.path, "exec")
    made = {code.co_qualname: code for code in _codes(whole)}
    for function in functions:
        function.__code__ = made.get(function.__code__.co_qualname, function.__code__)


def _run_as_mutant(session: pytest.Session, items: list[pytest.Item], pipe: int) -> None:
    """Run tests until one fails, and end the process."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.testsfailed:
            os.write(pipe, item.nodeid.encode())
            os._exit(1)
    os._exit(0)
