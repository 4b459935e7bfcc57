# SPDX-License-Identifier: Apache-2.0
"""What is told to people is read by people: no decision rests on the wording of a message.

Whoever would take one apart has a field to read instead, or makes one. A search for such reading
cannot see all of it, as where a text went into a variable of another name; what it sees is seen for
sure.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import postroom

PACKAGE = Path(postroom.__file__).parent
#: Fields that hold sentences.
SENTENCES = frozenset(
    {"message", "note", "wrong", "instruction", "summary", "meanwhile", "sentence"}
)
ERRORS = frozenset({"error", "exc", "problem", "failure", "trouble"})
CASES = frozenset({"lower", "upper", "casefold", "strip", "lstrip", "rstrip"})
READING = frozenset(
    {
        *("startswith", "endswith", "removeprefix", "removesuffix", "split", "rsplit"),
        *(
            "partition",
            "rpartition",
            "find",
            "rfind",
            "index",
            "rindex",
            "count",
            "splitlines",
            "replace",
        ),
    }
)
MATCHING = frozenset({"search", "match", "fullmatch", "finditer", "findall", "sub", "split"})
#: Who reads one all the same, and why.
KNOWN = {
    # The words are not ours, and nothing else tells it: of Python and OpenSSL, of the API server.
    "concurrency/shortage.py:_lacks": "foreign",
    "controller/events.py:_post_one_by_one": "foreign",
    "controller/secret_guard.py:in_force": "foreign",
    "cli/usage.py:sentence_of": "foreign",
    "controller/client.py:_send": "foreign",
    # A message of mail, and no sentence.
    "delivery/courier.py:_header_in": "mail",
    # No more than where a sentence ends.
    "api/finding_texts.py:as_summary": "a mark",
    "api/resource.py:sentence": "a mark",
    "delivery/sinks/troubles.py:of_bundle": "a mark",
    "reconcile/domain/records.py:verdict_on": "a mark",
    # What a terminal has shown above is not shown again.
    "cli/table.py:_unsaid": "shown",
    # The name at which a record was looked at as if it stood there: only the text changes.
    "dns/diagnosis/names.py:_at": "a name",
}


def is_sentence(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name in SENTENCES
        case ast.Subscript(slice=ast.Constant(value=name)):
            return name in SENTENCES
        case ast.Call(func=ast.Name(id="str"), args=[ast.Name(id=name)]):
            return name in ERRORS
        case ast.Call(func=ast.Name(id="str"), args=[inner]):
            return is_sentence(inner)
        case ast.Call(func=ast.Attribute(value=inner, attr=name)) if name in CASES:
            return is_sentence(inner)
        case ast.Call(func=ast.Attribute(attr="get"), args=[ast.Constant(value=name), *_]):
            return name in SENTENCES
    return False


def reads(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=text, attr=name), args=given):
            return (name in READING and is_sentence(text)) or (
                name in MATCHING and any(map(is_sentence, given))
            )
        case ast.Compare(left=left, ops=operators, comparators=others):
            for operator, one, other in zip(operators, [left, *others], others, strict=False):
                if isinstance(operator, ast.In | ast.NotIn) and is_sentence(other):
                    return True
                # Two sentences that are the same are said once.
                fixed = isinstance(one, ast.Constant) or isinstance(other, ast.Constant)
                worded = isinstance(operator, ast.Eq | ast.NotEq) and fixed
                if worded and any(map(is_sentence, (one, other))) and not is_empty(one, other):
                    return True
    return False


def is_empty(*nodes: ast.expr) -> bool:
    return any(isinstance(node, ast.Constant) and not node.value for node in nodes)


def readers(tree: ast.AST, within: str = "") -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        name = node.name if function else within  # type: ignore[attr-defined]
        if reads(node):
            yield name
        yield from readers(node, name)


def test_no_decision_rests_on_the_wording_of_a_message() -> None:
    found = {
        f"{path.relative_to(PACKAGE).as_posix()}:{name}"
        for path in PACKAGE.rglob("*.py")
        for name in readers(ast.parse(path.read_text("utf-8")))
    }
    assert found == set(KNOWN)


@pytest.mark.parametrize(
    "code",
    [
        "x.message.startswith('a')",
        "x.message.lower().split(',')",
        "'a' in x.message",
        "'a' not in str(error).lower()",
        "re.search('a', finding['message'])",
        "PATTERN.sub('', finding.get('message', ''))",
        "x.instruction == 'Wait.'",
        "message.removesuffix('.')",
        "'a' in sentence",
        "message.replace('a', 'b')",
    ],
)
def test_what_reads_a_sentence_is_seen(code: str) -> None:
    assert list(readers(ast.parse(f"def f():\n    return {code}"))) == ["f"]


@pytest.mark.parametrize(
    "code",
    [
        "x.message",
        "x.message == ''",
        "x.message == y.message",
        "x.name.startswith('a')",
        "x.message in said",
        "message in said",
        "replace(x, message=message)",
        "shorten(x.message)",
        "x.message[:5]",
    ],
)
def test_what_hands_a_sentence_on_reads_nothing(code: str) -> None:
    assert list(readers(ast.parse(f"def f():\n    return {code}"))) == []
