# SPDX-License-Identifier: Apache-2.0
"""What a line of a watch is about, told without decoding it, is what decoding tells; and whoever
leaves out what the cache knows learns of just the same changes as whoever decodes everything."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postroom.api.names import Key
from postroom.controller import news
from postroom.controller.cache import NO_CHANGE, Cache, Change
from postroom.controller.echoes import Echoes
from postroom.controller.feed import Feed
from postroom.controller.intake import Intake
from postroom.controller.news import Seen
from postroom.controller.queue import KeyedQueue
from postroom.controller.raw_objects import metadata_of
from postroom.controller.watching import Taker, _News
from postroom.settings import load
from unit.controller.samples import ACCOUNT, Object, stored

#: Texts that look like what is looked for, and such as end or continue it.
_TEXTS = st.sampled_from(
    [
        '"name":"a","namespace":"b","resourceVersion":"7","uid":"c"',
        'x"resourceVersion',
        '\\"resourceVersion',
        '{"type":"MODIFIED","object":{',
        "resourceVersion",
        'x"name',
        "name",
        "namespace",
        "uid",
        "7",
        "é",
        "\\",
    ]
) | st.text(alphabet='ab"\\,:{}\n', max_size=4)
_JSON = st.recursive(
    _TEXTS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)
_METADATA = st.fixed_dictionaries(
    {"name": _TEXTS, "namespace": _TEXTS, "resourceVersion": _TEXTS, "uid": _TEXTS},
    optional={
        "annotations": st.dictionaries(_TEXTS, _JSON),
        "labels": _JSON,
        "ownerReferences": _JSON,
    },
)


def line_of(raw: Object, change: str = "MODIFIED") -> bytes:
    """An event as an API server writes it."""
    event = {"type": change, "object": raw}
    return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()


def put_in_order(raw: Any) -> Any:
    if isinstance(raw, dict):
        return {name: put_in_order(raw[name]) for name in sorted(raw)}
    return [put_in_order(each) for each in raw] if isinstance(raw, list) else raw


@given(metadata=_METADATA, spec=_JSON, status=_JSON, in_order=st.booleans())
@example(
    metadata={
        "annotations": {"resourceVersion": "7"},
        "name": "a",
        "namespace": "b",
        "resourceVersion": "8",
        "uid": "c",
    },
    spec={},
    status={},
    in_order=True,
)
def test_what_is_told_is_what_decoding_tells(
    metadata: Object, spec: Any, status: Any, in_order: bool
) -> None:
    raw: Object = {"metadata": metadata, "spec": spec, "status": status}
    seen = news.modified(line_of(put_in_order(raw) if in_order else raw))
    parts = (metadata[part] for part in ("name", "namespace", "resourceVersion", "uid"))
    assert seen in (None, Seen(*parts))


def test_an_object_as_an_api_server_writes_it_is_told() -> None:
    raw = put_in_order({**stored(ACCOUNT, version=12), "apiVersion": "a/v1", "kind": "Thing"})
    assert news.modified(line_of(raw)) == Seen(ACCOUNT.name, ACCOUNT.namespace, "12", "uid-1")


@pytest.mark.parametrize(
    "line",
    [
        line_of(put_in_order(stored(ACCOUNT)), "ADDED"),
        # Some older API servers tell of what is gone in its last version.
        line_of(put_in_order(stored(ACCOUNT)), "DELETED"),
        line_of(put_in_order(stored(ACCOUNT, annotations={"resourceVersion": "1"}))),
        line_of(put_in_order(stored(ACCOUNT, spec={"resourceVersion": {}}))),
        json.dumps({"type": "MODIFIED", "object": put_in_order(stored(ACCOUNT))}).encode(),
        line_of(put_in_order(stored(ACCOUNT))).replace(b"uid-1", b"\xff"),
        b"",
    ],
)
def test_what_is_not_sure_is_decoded(line: bytes) -> None:
    assert news.modified(line) is None


class Office:
    """A cache, what feeds it, and the changes that it told of, in their order."""

    def __init__(self, knows: Callable[[Feed], Callable[[Seen], bool]]) -> None:
        self.cache = Cache()
        self.cache.echoes = Echoes(clock=lambda: 0.0)
        while self.cache.echoes.is_read(ACCOUNT.kind, "elsewhere"):
            pass  # As while thousands are written, when no more than the first of a place is read.
        self.changes: list[Change] = []
        self.decoded = 0
        settings = load({"namespaces": "mail", "ownership_key": "a-key"}, {})
        nobody: Any = None
        feed = Feed(nobody, Intake(self.cache, KeyedQueue()), settings)
        self._news = _News(nobody, Taker(self._take, knows(feed)))

    def hear(self, line: bytes) -> None:
        assert list(self._news._left([line])) != []

    def _take(self, raw: Any, gone: bool) -> None:
        self.decoded += 1
        self.note(self.cache.drop(ACCOUNT) if gone else self.cache.put(ACCOUNT.kind, raw))

    def note(self, change: Change) -> None:
        if change != NO_CHANGE:
            self.changes.append(change)


#: We begin a write, or its answer comes; others change spec or status, or have another object of
#: its name; the watch tells of the next that was done.
_STEPS = st.lists(
    st.sampled_from(
        ["write", "write", "answer", "answer", "spec", "status", "replace", "hear", "hear"]
    ),
    max_size=40,
)


class Story:
    """One object at an API server, and two offices that hear the same in the same order."""

    def __init__(self) -> None:
        self.offices = (
            Office(lambda feed: lambda seen: False),
            Office(lambda feed: lambda seen: feed._knows(ACCOUNT.kind, seen)),
        )
        self.version, self.number = 1, 0
        self.now = stored(ACCOUNT)
        self.lines: list[bytes] = []
        self.in_flight: Object | None = None
        self._happened("ADDED")

    def _happened(self, change: str = "MODIFIED") -> None:
        self.lines.append(line_of(put_in_order(self.now), change))

    def _changed(self, **parts: Any) -> None:
        self.version += 1
        self.number += 1
        metadata = {**self.now["metadata"], "resourceVersion": str(self.version)}
        if "spec" in parts:
            metadata["generation"] += 1
        self.now = {**self.now, **parts, "metadata": metadata}
        self._happened()

    def write(self) -> None:
        known = [metadata_of(each.cache.get(ACCOUNT) or {}) for each in self.offices]
        assert known[0] == known[1]
        if self.in_flight is not None or not known[0]:
            return
        status = {"ours": self.number}
        for office in self.offices:
            office.cache.begin_write(ACCOUNT, status)
        self.in_flight = {}
        if known[0]["resourceVersion"] == self.now["metadata"]["resourceVersion"]:
            self._changed(status=status)
            self.in_flight = self.now

    def answer(self) -> None:
        if self.in_flight is not None:
            for office in self.offices:
                office.note(office.cache.end_write(ACCOUNT, self.in_flight or None))
            self.in_flight = None

    def spec(self) -> None:
        self._changed(spec={"address": f"a{self.number}@example.com"})

    def status(self) -> None:
        self._changed(status={"theirs": self.number})

    def replace(self) -> None:
        self._happened("DELETED")
        self.now = stored(ACCOUNT, version=self.version + 1, uid=f"uid-{self.number}-")
        self.version += 1
        self._happened("ADDED")

    def hear(self) -> None:
        if self.lines:
            line = self.lines.pop(0)
            for office in self.offices:
                office.hear(line)


@given(_STEPS)
@example(["hear", "write", "answer", "hear"])
@example(["hear", "write", "status", "answer", "hear", "hear"])
@example(["hear", "write", "status", "hear", "hear", "answer"])
@example(["hear", "write", "answer", "replace", "hear", "hear", "hear"])
def test_nothing_is_lost_by_leaving_out_what_the_cache_knows(steps: list[str]) -> None:
    story = Story()
    for step in [*steps, "answer", *["hear"] * 100]:
        getattr(story, step)()
    whole, spared = story.offices
    assert spared.changes == whole.changes
    assert spared.cache.get(ACCOUNT) == whole.cache.get(ACCOUNT)
    assert spared.decoded <= whole.decoded


def test_the_echo_of_a_write_that_was_answered_is_not_decoded() -> None:
    story = Story()
    # But for the first, which shows whether admission makes another status of what is written.
    for step in ("hear", *["write", "answer", "hear"] * 5):
        getattr(story, step)()
    whole, spared = story.offices
    assert (whole.decoded, spared.decoded) == (6, 2)
    assert Key.of(ACCOUNT.kind, spared.cache.get(ACCOUNT) or {}) == ACCOUNT
