# SPDX-License-Identifier: Apache-2.0
"""What a support bundle shows of what it reads: what is named here, and nothing else.

Whoever reads a bundle may be a stranger. Specs, annotations, environments, the texts of other
programs and a server's own words are therefore not cleaned but left out; in what remains, what
looks like a credential is masked all the same.
"""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from typing import Any

from postroom.api.crd import definition
from postroom.api.names import Kind

Raw = Mapping[str, Any]

MASK = "********"
_METADATA = (
    "namespace",
    "name",
    "uid",
    "generation",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
)
#: Fields of status that quote others.
_QUOTED = frozenset({"serverText"})
_EVENT = (
    "type",
    "reason",
    "count",
    "firstTimestamp",
    "lastTimestamp",
    "eventTime",
    "reportingComponent",
)
_INVOLVED = ("kind", "namespace", "name", "uid")
_LOG_FIELDS = ("timestamp", "level", "logger", "object")
#: Loggers whose lines are made of our own sentences.
_OURS = re.compile(r"(postroom|audit)(\..*)?")
_OUR_METRICS = ("postroom_", "process_", "python_")
_LOG_LINE = re.compile(r"(\d\d:\d\d:\d\d) ([A-Z]+) ")
#: What follows a word for a credential: in quotes to their end, else to the next space.
_VALUE = r"""["']?\s*[:=]\s*(?:"(?:\\.|[^"\\])*"?|'(?:\\.|[^'\\])*'?|[^\s"',]+)"""
_NAMED = ("password", "passwd", "secret", "token", "api_key", "api-key", "private_key")
_SECRETS = re.compile(
    r"""
      -----BEGIN\ [A-Z ]*PRIVATE\ KEY-----.*?(-----END\ [A-Z ]*PRIVATE\ KEY-----|\Z)
    | \beyJ[\w-]{8,}\.[\w-]+\.?[\w-]*
    | \bya29\.[\w.-]+
    | (?<=://)[^/@\s]+:[^/@\s]+(?=@)
    | (?<=\bbearer\ )\S+ | (?<=\bbasic\ )\S+ | (?<=\bauth\ plain\ )\S+
    | """
    + " | ".join(f"(?<={name}){_VALUE}" for name in _NAMED),
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)


def masked(text: str) -> str:
    """A text without what looks like a credential."""
    return _SECRETS.sub(MASK, text)


def object_shown(kind: Kind, raw: Raw) -> dict[str, Any]:
    """An object: who it is, and its status as far as this program knows its fields."""
    metadata = raw.get("metadata") or {}
    status = _known(raw.get("status") or {}, _status_of(kind))
    return {
        "kind": kind.value,
        "metadata": {name: metadata[name] for name in _METADATA if name in metadata},
        "status": status,
    }


@cache
def _status_of(kind: Kind) -> Raw:
    """The schema of a kind's status: made once, as there may be thousands of objects."""
    served: Raw = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return served["properties"]["status"]  # type: ignore[no-any-return]


def _known(value: Any, schema: Raw) -> Any:
    """What a schema knows of a value, as the API server prunes it."""
    if isinstance(value, Mapping):
        fields, others = schema.get("properties", {}), schema.get("additionalProperties")
        return {
            name: _known(inner, fields.get(name, others))
            for name, inner in value.items()
            if name not in _QUOTED and isinstance(fields.get(name, others), Mapping)
        }
    if isinstance(value, list):
        return [_known(inner, schema.get("items") or {}) for inner in value]
    return masked(value) if isinstance(value, str) else value


def event_shown(raw: Raw, controller: str) -> dict[str, Any]:
    """An Event: what happened when to whom; in words only where we wrote them."""
    involved = raw.get("involvedObject") or {}
    told = {name: raw[name] for name in _EVENT if name in raw}
    told["involvedObject"] = {name: involved[name] for name in _INVOLVED if name in involved}
    shown = {name: value for name, value in told.items() if _is_plain(value)}
    if raw.get("reportingComponent") == controller:
        shown["message"] = masked(str(raw.get("message", "")))
    return shown


def pod_shown(raw: Raw, known_flags: Collection[str]) -> dict[str, Any]:
    """A Pod of ours: its images, flags and how its containers fare."""
    metadata, spec, status = (raw.get(part) or {} for part in ("metadata", "spec", "status"))
    containers = [
        {
            "name": container.get("name"),
            "image": container.get("image"),
            "flags": flags_shown(container.get("args") or (), known_flags),
            "environment": [str(entry.get("name")) for entry in container.get("env") or ()],
            "resources": container.get("resources") or {},
        }
        for container in spec.get("containers") or ()
    ]
    fared = [
        {
            "name": container.get("name"),
            "ready": container.get("ready"),
            "restarts": container.get("restartCount"),
            "imageID": container.get("imageID"),
            "ended": _ending(container.get("lastState") or {}),
        }
        for container in status.get("containerStatuses") or ()
    ]
    return {
        "metadata": {name: metadata[name] for name in _METADATA if name in metadata},
        "node": spec.get("nodeName"),
        "phase": status.get("phase"),
        "containers": containers,
        "states": fared,
    }


def _ending(state: Raw) -> dict[str, Any] | None:
    ended = state.get("terminated")
    if not isinstance(ended, Mapping):
        return None
    return {name: ended.get(name) for name in ("exitCode", "reason", "finishedAt")}


def flags_shown(arguments: Sequence[str], known: Collection[str]) -> list[str]:
    """Flags with their values, where `known` has them; of others the name alone."""
    shown, takes = list[str](), False
    for argument in map(str, arguments):
        name, equals, value = argument.partition("=")
        if not argument.startswith("-"):
            shown.append(masked(argument) if takes or not shown else MASK)
            takes = False
            continue
        takes = name in known and not equals
        shown.append(f"{name}={masked(value) if name in known else MASK}" if equals else name)
    return shown


def log_shown(text: str) -> str:
    """The lines of a log: our sentences, and of what others logged that, where and how loud."""
    return "".join(f"{_line_shown(line)}\n" for line in text.splitlines() if line.strip())


def _line_shown(line: str) -> str:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    if not isinstance(entry, Mapping):
        # Nobody can tell whose words a line of text is made of.
        found = _LOG_LINE.match(line)
        begin = f"{found[1]} {found[2]} " if found else ""
        return f"{begin}({len(line)} characters left out: no line of --log-format=json)"
    shown: dict[str, Any] = {name: entry[name] for name in _LOG_FIELDS if name in entry}
    shown = {name: value for name, value in shown.items() if _is_plain(value)}
    if _OURS.fullmatch(str(entry.get("logger"))):
        shown["message"] = masked(str(entry.get("message", "")))
        if isinstance(entry.get("audit"), Mapping):
            shown["audit"] = {
                name: value
                for name, value in entry["audit"].items()
                if _is_plain(value) and not name.lower().endswith(_NAMED)
            }
    if "exception" in entry:
        shown["exception"] = _places(str(entry["exception"]))
    return json.dumps(shown, ensure_ascii=False)


def _is_plain(value: object) -> bool:
    """Whether it is a number or a word, or who an object is."""
    if isinstance(value, Mapping):
        return set(value) <= set(_INVOLVED) and all(map(_is_plain, value.values()))
    return isinstance(value, int) or bool(re.fullmatch(r"[\w.:+/-]{1,253}", str(value)))


def _places(traceback: str) -> list[str]:
    """Where an exception came by, and of which type it was; not what it says."""
    places = re.findall(r'^ *File "([^"\n]+)", line (\d+)', traceback, re.MULTILINE)
    kinds = re.findall(r"^((?:\w+\.)*\w+(?:Error|Exception|Failure|Group))\b", traceback, re.M)
    shown = [f"{file.rpartition('site-packages/')[2]}:{line}" for file, line in places]
    return [*shown, *kinds[-1:]]


def metrics_shown(text: str) -> str:
    """The samples that are ours or of the process; those of others that share it are left out."""
    kept = [
        line
        for line in text.splitlines()
        if line.removeprefix("# HELP ").removeprefix("# TYPE ").startswith(_OUR_METRICS)
    ]
    return "".join(f"{masked(line)}\n" for line in kept)
