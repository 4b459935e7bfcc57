# SPDX-License-Identifier: Apache-2.0
"""Every flag of the operator and of the worker, from `postroom.settings` and beside it."""

import typing
from enum import Enum

from pydantic.fields import FieldInfo

from made.page import codes, notes, page, prose
from postroom.concurrency.shards import Shard
from postroom.deliver_settings import OWN, SHARED, DeliverSettings
from postroom.setting_values import shown
from postroom.settings import KEY_FILE, PREFIX, Settings, flag

_LEAD = """Every flag of `postroom run`, and the environment variable of the same meaning; the flag
counts. Lists are separated by commas in the environment and given flag by flag on the command line;
switches take `true` and `false` there, and have a `--no-` form as flags."""
_WORKER = """`postroom deliver` has these flags of the operator, with the same variables and
defaults: {shared}. Its own:"""
_KEY_FILE_LINES = [
    f"## `{flag(KEY_FILE)}`",
    "",
    "File with the ownership key; given again: with an earlier key, whose tokens are still "
    "accepted.",
    "",
    f"- Environment: `{PREFIX}{KEY_FILE.upper()}`, with commas between files",
    "- Default: none",
    "",
]
#: What no flag may take, because the process list shows it.
_KEYS = ("ownership_key", "earlier_ownership_keys")


def pages() -> dict[str, str]:
    """Return the page."""
    lines = []
    for name, field in Settings.model_fields.items():
        lines += _key(name, field) if name in _KEYS else _flag(name, field)
        lines += _KEY_FILE_LINES if name == _KEYS[-1] else []
    own = [
        line for name in OWN for line in _flag(name, DeliverSettings.model_fields[name], "deliver")
    ]
    shared = ", ".join(f"[`{flag(name)}`](#{flag(name)})" for name in SHARED)
    worker = ["## Of postroom deliver", "", _WORKER.format(shared=shared), "", *own]
    return {"reference/flags.md": page("Flags", _LEAD, [*lines, *worker])}


def _flag(name: str, field: FieldInfo, verb: str = "run") -> list[str]:
    """Write the section of one flag."""
    choices = [kind for kind in typing.get_args(field.annotation) if isinstance(kind, str)]
    if isinstance(field.annotation, type) and issubclass(field.annotation, Enum):
        choices = [str(choice.value) for choice in field.annotation]
    return [
        f"{'##' if verb == 'run' else '###'} `{flag(name)}`",
        "",
        _meaning(name, field),
        "",
        f"- Environment: `{PREFIX}{name.upper()}`",
        *([f"- One of: {codes(choices)}"] if choices else []),
        f"- Default: {_default(field.get_default(call_default_factory=True))}",
        "",
    ]


def _key(name: str, field: FieldInfo) -> list[str]:
    """Write the section of what is set in the environment or in a file alone."""
    variable = f"{PREFIX}{name.upper()}"
    return [f"## `{variable}`", "", _meaning(name, field), "", "- Default: none", ""]


def _meaning(name: str, field: FieldInfo) -> str:
    return " ".join([prose(field.description or ""), notes("flags").get(name, "")]).strip()


def _default(value: object) -> str:
    if isinstance(value, Shard):
        return f"`{value}`, which is all of them"
    text = shown(value) or "none"
    return text if isinstance(value, bool) or text == "none" else f"`{text}`"
