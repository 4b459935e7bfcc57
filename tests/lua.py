# SPDX-License-Identifier: Apache-2.0
"""Lua 5.1 with the libraries that Argo CD opens for a script of argocd-cm: base, table, and of os
what tells the time, which has to be required. Anything else is an error, as it is there."""

from collections.abc import Mapping
from typing import Any

from lupa import lua51

#: What Argo CD leaves out of Lua's libraries.
_CLOSED = ("string", "math", "io", "coroutine", "debug", "python", "loadfile", "dofile")


def run(script: str, obj: Mapping[str, Any]) -> Any:
    """What a script returns that sees an object as `obj`; raises `lua51.LuaError`."""
    runtime = lua51.LuaRuntime(unpack_returned_tuples=True, register_builtins=False)
    space = runtime.globals()
    space["package"]["loaded"]["os"] = runtime.table_from(
        {"time": space["os"]["time"], "date": space["os"]["date"]}
    )
    runtime.execute('getmetatable("").__index = nil')
    for name in (*_CLOSED, "os"):
        space[name] = None
        if name != "os":
            space["package"]["loaded"][name] = None
    space["obj"] = runtime.table_from(_unshared(obj), recursive=True)
    return _plain(runtime.execute(script), obj)


def _unshared(value: Any) -> Any:
    """The same with each list and mapping in one place alone, as JSON has them: lupa loses one that
    stands in two places, which Hypothesis makes of equal ones."""
    if isinstance(value, Mapping):
        return {name: _unshared(each) for name, each in value.items()}
    return [_unshared(each) for each in value] if isinstance(value, list) else value


def _plain(value: Any, before: Any) -> Any:
    """A value of Lua as Argo CD reads it: an empty table is what stood in its place if that is
    empty, too, else a list."""
    if lua51.lua_type(value) != "table":
        whole = isinstance(value, float) and value.is_integer()
        return int(value) if whole else value
    keys = list(value)
    if not keys:
        return {} if isinstance(before, Mapping) else []
    if keys == list(range(1, len(keys) + 1)):
        known = before if isinstance(before, list) else []
        pairs = zip(keys, known + [None] * (len(keys) - len(known)), strict=False)
        return [_plain(value[key], old) for key, old in pairs]
    old = before if isinstance(before, Mapping) else {}
    return {key: _plain(value[key], old.get(key)) for key in keys}
