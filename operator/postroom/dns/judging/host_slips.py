# SPDX-License-Identifier: Apache-2.0
"""What was typed where only the name of a host can stand, and which host was meant. Pure text."""

import re

from postroom.dns.texts.pasted import without_escapes

#: What stands around or behind a host that was copied with it.
_SCHEME = re.compile(r"\A[a-z][a-z0-9+-]{0,15}:/{0,2}(?=[a-z0-9])")
_PORT = re.compile(r":[0-9]{1,5}/?$")
_NO_DOT = re.compile(r"[,;: ]+")
_AROUND = " \t\"'`<>()[]{}/.;,"
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_ONLY = "where only the name of a host can stand"

#: What a host cannot hold, and what to say of a text that holds it; the first that fits is told.
_FORMS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[a-z][a-z0-9+.-]{0,15}:/"), f"is a URL, {_ONLY}"),
    (re.compile(r"[a-z]{2,8}:(?![0-9])"), f"begins with a scheme, {_ONLY}"),
    (re.compile(r"[^@.]@"), f"is a mail address, {_ONLY}"),
    (re.compile(r":[0-9]{1,5}/?$"), "ends in a port, which no MX can name"),
    (re.compile(r"\\?[\"'`]"), f"has quotation marks in it, {_ONLY}"),
    (re.compile(r"[<>(){}\[\]]"), f"has brackets in it, {_ONLY}"),
    (re.compile(r"\*"), f"holds a wildcard, {_ONLY}"),
    (re.compile(r"\\(?:032|009|010|013)"), f"has a space in it, {_ONLY}"),
    (re.compile(r",|\\044"), "has a comma where a dot belongs"),
    (re.compile(r";|\\059"), f"has a semicolon in it, {_ONLY}"),
    (re.compile(r"\\046|\\\."), "has an escaped dot, which is no dot between labels"),
    (re.compile(r"\\"), f"has a backslash in it, {_ONLY}"),
    (re.compile(r"/"), f"has a slash in it, {_ONLY}"),
    (re.compile(r"\.\.|^\.|\.$"), f"has two dots in a row, {_ONLY}"),
)


def is_host(text: str) -> bool:
    """Whether every label of a text is one that the name of a host has."""
    return all(_LABEL.fullmatch(label) is not None for label in text.split("."))


def form_of(text: str) -> str:
    """What a text is that is no name of a host, as the end of a sentence."""
    return next((said for form, said in _FORMS if form.search(text)), "is not the name of any host")


def means(text: str, host: str) -> bool:
    """Whether a text is a host with what people type around it, or in the place of dots."""
    bare = without_escapes(text).lower().strip(_AROUND)
    bare = _PORT.sub("", _SCHEME.sub("", bare))
    bare = bare.partition("/")[0].rpartition("@")[2].strip(_AROUND)
    forms = {bare, _NO_DOT.sub(".", bare)}
    if "." not in bare:
        # Nobody writes a single word as the full name of a host: its dots were written otherwise.
        return host in forms or bare.replace("_", "-") == host.replace(".", "-")
    return text != host and host in forms
