# SPDX-License-Identifier: Apache-2.0
"""From a CEL rule of a definition to what JSON Schema can say of it.

The API server judges an object with its defaults filled in, an editor one as it was written: a
field with a default counts as there. What compares two fields, looks into each entry of a list, or
reckons with durations, JSON Schema has no words for; of a rule that says several things it is told
those that it has.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

Schema = dict[str, Any]

_TOKEN = re.compile(
    r'\s*(?:(?P<text>r"[^"]*"|\'[^\']*\'|"[^"]*")|(?P<word>[A-Za-z_][A-Za-z0-9_.]*)|(?P<number>[0-9]+)'
    r"|(?P<sign>&&|\|\||==|!=|>=|<=|[-+!?:()<>\[\],]))"
)
#: What RE2 has and JavaScript does not.
_RE2_ALONE = re.compile(r"\(\?[a-zA-Z]|\\x\{[0-9a-fA-F]{5,}|\\[zAQEpP]|\[\[:")
#: A character by its number, as only RE2 has it; the character itself all take.
_NUMBER = re.compile(r"\\x\{([0-9a-fA-F]{1,4})\}")
_EXACTLY_ONE = re.compile(r"(\(has\(self\.\w+\) \? 1 : 0\)(?: \+ )?)+ == 1")
_KEYS = re.compile(r'self\.all\((\w+), \1\.matches\(r"([^"]*)"\)\)')


class NotSayable(ValueError):
    """JSON Schema has no words for it."""


def clauses(rule: str, node: Mapping[str, Any]) -> list[Schema]:
    """What can be said of a rule on objects, or texts, of the schema `node`; each is necessary."""
    if _EXACTLY_ONE.fullmatch(rule):
        return [{"oneOf": [{"required": [name]} for name in re.findall(r"has\(self\.(\w+)", rule)]}]
    if keys := _KEYS.fullmatch(rule):
        return [{"propertyNames": {"pattern": pattern_of(keys[2])}}]
    found = []
    for part in conjuncts(rule):
        try:
            found.append(RuleReader(part, node).whole())
        except NotSayable:
            continue
    return found


def pattern_of(pattern: str) -> str:
    """A pattern of RE2 for JavaScript; raises `NotSayable`."""
    if _RE2_ALONE.search(pattern):
        raise NotSayable(pattern)
    return _NUMBER.sub(lambda number: chr(int(number[1], 16)), pattern)


def conjuncts(rule: str) -> list[str]:
    """The parts of a rule that all must hold."""
    depth, begin, parts = 0, 0, []
    for token in _TOKEN.finditer(rule):
        depth += {"(": 1, ")": -1}.get(token["sign"] or "", 0)
        if depth == 0 and token["sign"] in ("||", "?"):
            return [rule]
        if depth == 0 and token["sign"] == "&&":
            parts.append(rule[begin : token.start()])
            begin = token.end()
    return [*parts, rule[begin:]]


class RuleReader:
    """Reads an expression by recursive descent, the weakest operator first."""

    def __init__(self, rule: str, node: Mapping[str, Any]) -> None:
        self._node = node
        self._tokens: list[str] = []
        place = 0
        while place < len(rule.rstrip()):
            token = _TOKEN.match(rule, place)
            if token is None:
                raise NotSayable(rule)
            self._tokens.append(token[0].strip())
            place = token.end()

    def whole(self) -> Schema:
        found = self._choice()
        if self._tokens:
            raise NotSayable(self._tokens[0])
        return found

    def _take(self, *tokens: str) -> bool:
        if self._tokens[:1] and self._tokens[0] in tokens:
            self._tokens.pop(0)
            return True
        return False

    def _need(self, token: str) -> None:
        if not self._take(token):
            raise NotSayable(token)

    def _choice(self) -> Schema:
        condition = self._any()
        if not self._take("?"):
            return condition
        first = self._choice()
        self._need(":")
        return {"if": condition, "then": first, "else": self._choice()}

    def _any(self) -> Schema:
        parts = [self._all()]
        while self._take("||"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else {"anyOf": parts}

    def _all(self) -> Schema:
        parts = [self._comparison()]
        while self._take("&&"):
            parts.append(self._comparison())
        return parts[0] if len(parts) == 1 else {"allOf": parts}

    def _comparison(self) -> Schema:
        """A truth, or two that are the same or not."""
        first = self._truth()
        for sign in ("==", "!="):
            if self._take(sign):
                second = self._truth()
                same = {"if": first, "then": second, "else": {"not": second}}
                return same if sign == "==" else {"not": same}
        return first

    def _truth(self) -> Schema:
        if self._take("!"):
            return {"not": self._truth()}
        if self._take("("):
            inner = self._choice()
            self._need(")")
            return inner
        word = self._tokens.pop(0) if self._tokens else ""
        if word in ("has", "size", "self.matches"):
            self._need("(")
            argument = self._tokens.pop(0)
            self._need(")")
            if word == "self.matches":
                return {"pattern": pattern_of(_literal(argument))}
            if word == "has":
                return self._field(argument, {}, lambda default: default is not None)
            empty = self._take("==")
            if not empty:
                self._need(">")
            self._need("0")
            filled = self._field(argument, {"minItems": 1, "minProperties": 1}, bool)
            return {"not": filled} if empty else filled
        if self._take("in"):
            listed = self._list()
            return self._field(word, {"enum": listed}, lambda default: default in listed)
        for sign in ("==", "!="):
            if self._take(sign):
                text = _literal(self._tokens.pop(0) if self._tokens else "")
                same = self._field(word, {"const": text}, [text].__contains__)
                return same if sign == "==" else {"not": same}
        return self._field(word, {"const": True}, lambda default: default is True)

    def _list(self) -> list[str]:
        self._need("[")
        found = [_literal(self._tokens.pop(0))]
        while self._take(","):
            found.append(_literal(self._tokens.pop(0)))
        self._need("]")
        return found

    def _field(self, path: str, said: Schema, holds: Any) -> Schema:
        """That a field is there and as is `said`; not written it has its default, of which
        `holds` tells whether it is so."""
        first, *steps = path.split(".")
        if first != "self":
            raise NotSayable(path)
        if not steps:
            return said
        return _nested(steps, said, holds_where_absent(self._node, steps, holds))


def holds_where_absent(node: Mapping[str, Any], steps: Sequence[str], holds: Any) -> list[bool]:
    """For each step whether it holds of the whole where the object ends before that step."""
    found = []
    for index in range(len(steps)):
        inner: Mapping[str, Any] = node
        for step in steps[:index]:
            inner = inner.get("properties", {}).get(step, {})
        value: Any = {}
        for step in steps[index:]:
            if "properties" not in inner or step not in inner["properties"]:
                raise NotSayable(step)
            inner = inner["properties"][step]
            value = inner.get("default") if value is not None else None
        found.append(bool(holds(value)))
    return found


def _nested(steps: Sequence[str], said: Schema, absent: Sequence[bool]) -> Schema:
    first, *rest = steps
    inner = _nested(rest, said, absent[1:]) if rest else said
    if absent[0]:
        return {"properties": {first: inner}} if inner else {}
    return {"required": [first], **({"properties": {first: inner}} if inner else {})}


def _literal(token: str) -> str:
    if token.startswith('r"'):
        return token[2:-1]
    if token[:1] == "'" and "\\" not in token:
        return token[1:-1]
    if token[:1] == '"':
        return str(json.loads(token))
    raise NotSayable(token)
