# SPDX-License-Identifier: Apache-2.0
"""Logs: one JSON object per line for machines, or plain lines for people."""

import functools
import json
import logging
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO

from pydantic_core import PydanticSerializationError, to_json

from postroom.api.names import Key


class LogFormat(StrEnum):
    """How log lines look."""

    JSON = "json"
    TEXT = "text"


#: The logger of lines that account for what was done (`postroom.controller.audit`). Told at any
#: level: who wants fewer lines does not mean these.
AUDIT = "audit"
_audit = logging.getLogger(AUDIT)
#: What was done or found out: an `action`, and what is told of it.
Event = Mapping[str, Any]

#: Loggers of libraries that say too much: a line per event, per probe of the kubelet, and the
#: traffic of mail sessions.
_QUIET = {
    "kopf": logging.WARNING,
    "kopf.objects": logging.WARNING,
    "kopf.activities": logging.WARNING,
    "aiohttp.access": logging.WARNING,
    "aioimaplib": logging.WARNING,
    "aiosmtplib": logging.WARNING,
    "asyncio": logging.WARNING,
}


#: What a runner of CI takes for a command: GitHub's where it begins a line, GitHub's older form
#: and those of Azure Pipelines anywhere in it.
_COMMAND = re.compile(r"(?P<before>\A\s*)(?P<mark>:)(?=:.*::)|(?P<older>#)(?=#(?:vso)?\[)")


def about(key: Key) -> dict[str, Any]:
    """Return the ``extra`` that ties a log line to an object."""
    return {"object": {"kind": key.kind.value, "namespace": key.namespace, "name": key.name}}


def account_for(events: Sequence[Event], extra: Mapping[str, Any] | None = None) -> None:
    """Write the lines of events that belong together, in one piece: a line that is written alone
    costs several times as much."""
    if events:
        actions = ", ".join([str(event["action"]) for event in events])
        _audit.info("%s", actions, extra={**(extra or {}), "audit": events})


def _told(event: Event) -> str:
    """An event in words."""
    details = ", ".join([f"{name} {value}" for name, value in event.items() if name != "action"])
    return f"{event['action']}: {details}"


class _OneLine(logging.Filter):
    """Leaves the tracebacks of kopf to debugging: it logs one failure up to four times."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("kopf") and logging.getLogger().level > logging.DEBUG:
            record.exc_info = record.exc_text = None
        return True


def _encoded(entry: Mapping[str, Any]) -> str:
    try:
        # A third of what Python's own takes.
        return to_json(entry, fallback=str).decode()
    except PydanticSerializationError:
        # Half of a surrogate pair, or deeper than any of ours.
        return json.dumps(entry, default=str, ensure_ascii=False, separators=(",", ":"))


@functools.lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    """The date and time of most lines, which come many in a second."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class JSONFormatter(logging.Formatter):
    """One JSON object per line: timestamp, level, logger, message, object, audit, exception."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "timestamp": f"{_second(int(record.created))}.{int(record.msecs):03}+00:00",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (concerned := _object_of(record)) is not None:
            entry["object"] = concerned
        if (events := _events_of(record)) is not None:
            lines = ({**entry, "message": _told(event), "audit": event} for event in events)
            return "\n".join([on_one_line(_encoded(line)) for line in lines])
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return on_one_line(_encoded(entry))


class TextFormatter(logging.Formatter):
    """A line for people: time, level, object, message."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        begin = f"{time} {record.levelname:<7} "
        if (concerned := _object_of(record)) is not None:
            begin += (
                f"{concerned.get('kind')} {concerned.get('namespace')}/{concerned.get('name')}: "
            )
        if (events := _events_of(record)) is not None:
            return "\n".join([on_one_line(f"{begin}{_told(event)}") for event in events])
        line = on_one_line(f"{begin}{record.getMessage()}")
        if record.exc_info:
            # Indented, for what went wrong may quote what looks like a line of its own.
            line += "\n" + textwrap.indent(self.formatException(record.exc_info), "    ")
        return line


def on_one_line(text: str) -> str:
    """Escape, as JSON does, what would begin another line, steer a terminal or not be seen.

    Annotations and names that others chose are told as they are, and must not look like lines of
    ours, nor like commands to a runner of CI that reads them.
    """
    return without_commands(visible(text))


def visible(text: str, kept: str = "") -> str:
    """Escape, as JSON does, whatever cannot be seen, but for what is `kept`."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in kept else json.dumps(character)[1:-1]
        for character in text
    )


def without_commands(line: str, escape: str = "\\u{:04x}") -> str:
    """Write by its number, in a way that `escape` has, what would make a line a command to a runner
    of CI."""

    if "::" not in line and "##" not in line:
        return line  # nearly every line: looking at each character costs more than all the rest

    def written(found: re.Match[str]) -> str:
        return (found["before"] or "") + escape.format(ord(found["mark"] or found["older"]))

    return _COMMAND.sub(written, line)


def _object_of(record: logging.LogRecord) -> Mapping[str, Any] | None:
    """Return what object a record is about; kopf's records name it in their own way."""
    concerned = getattr(record, "object", None) or getattr(record, "k8s_ref", None)
    return concerned if isinstance(concerned, Mapping) else None


def _events_of(record: logging.LogRecord) -> Sequence[Event] | None:
    """Return the events that a record accounts for, a line for each."""
    return getattr(record, "audit", None)


def configure(level: str, form: LogFormat, stream: TextIO | None = None) -> None:
    """Send all logs of this process to `stream` (default: standard error) in one format."""
    # A third of what a line costs, for what none of our lines tells ("Optimization" in Python's
    # guide to logging): where in the source it was written, by which thread, process and task.
    for name in ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks"):
        setattr(logging, name, None)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JSONFormatter() if form is LogFormat.JSON else TextFormatter())
    handler.addFilter(_OneLine())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, least in _QUIET.items():
        logging.getLogger(name).setLevel(max(least, root.level))
    logging.getLogger(AUDIT).setLevel(logging.INFO)
