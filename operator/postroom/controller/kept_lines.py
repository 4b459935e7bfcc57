# SPDX-License-Identifier: Apache-2.0
"""Lines of many objects, kept by metric as they are sent, and replaced object by object.

The text format wants the lines of a metric together, while objects come, change and go one by one.
So the objects of a namespace stand in blocks, sorted by their keys; a block has one text of each
metric, and knows how much of it is whose. A change copies some texts of one block, and telling all
is no more than naming the texts in order; which these are is kept until one of the metric changes.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from postroom.api.names import Key

#: Most objects of a block: a text of a metric is some ten kilobytes then.
MOST_OF_A_BLOCK = 128


#: Lines in pieces, and how many of which namespace are left out.
_Told: TypeAlias = tuple[Sequence[bytes], Sequence[tuple[str, int]]]


class _Block:
    """Neighbouring objects of a namespace."""

    __slots__ = ("counts", "keys", "sizes", "texts")

    def __init__(self, keys: list[Key], sizes: "array[int]", texts: list[bytes]) -> None:
        #: `sizes` has for each key in turn how long its part of each text is.
        self.keys, self.sizes, self.texts = keys, sizes, texts
        self.counts = [text.count(b"\n") for text in texts]

    def put(self, key: Key, parts: Sequence[bytes]) -> list[int]:
        """Replace what is told of an object; the metrics of which that changed something."""
        at, width = bisect_left(self.keys, key), len(self.texts)
        if self.keys[at : at + 1] != [key]:
            self.keys.insert(at, key)
            self.sizes[at * width : at * width] = array("I", [0] * width)
        return self._replace(at, parts)

    def drop(self, key: Key) -> list[int]:
        """Forget an object; the metrics of which it told something."""
        at, width = bisect_left(self.keys, key), len(self.texts)
        if self.keys[at : at + 1] != [key]:
            return []
        changed = self._replace(at, [b""] * width)
        del self.keys[at]
        del self.sizes[at * width : (at + 1) * width]
        return changed

    def _replace(self, at: int, parts: Sequence[bytes]) -> list[int]:
        width, changed = len(self.texts), list[int]()
        for metric, part in enumerate(parts):
            own, text = at * width + metric, self.texts[metric]
            begin = sum(self.sizes[metric:own:width])
            end = begin + self.sizes[own]
            if text[begin:end] != part:
                self.counts[metric] += part.count(b"\n") - text.count(b"\n", begin, end)
                self.texts[metric] = text[:begin] + part + text[end:]
                self.sizes[own] = len(part)
                changed.append(metric)
        return changed

    def halves(self) -> "tuple[_Block, _Block]":
        middle, width = len(self.keys) // 2, len(self.texts)
        cuts = [sum(self.sizes[metric : middle * width : width]) for metric in range(width)]
        parts = [(text[:cut], text[cut:]) for text, cut in zip(self.texts, cuts, strict=True)]
        return (
            _Block(self.keys[:middle], self.sizes[: middle * width], [first for first, _ in parts]),
            _Block(self.keys[middle:], self.sizes[middle * width :], [last for _, last in parts]),
        )


class KeptLines:
    """What objects tell, in the order of their namespaces and keys, whatever their history was."""

    def __init__(self, metrics: int) -> None:
        self._metrics = metrics
        self._namespaces: dict[str, list[_Block]] = {}
        #: What `of_metric` said of each metric, by the bound, since the last change of it.
        self._told: list[dict[int | None, _Told]] = [{} for _ in range(metrics)]

    def put(self, key: Key, parts: Sequence[bytes]) -> None:
        """Keep what an object tells now: for each metric whole lines, or nothing."""
        blocks = self._namespaces.setdefault(key.namespace, [])
        if not blocks:
            blocks.append(_Block([], array("I"), [b""] * self._metrics))
        at = _place(blocks, key)
        self._note(blocks[at].put(key, parts))
        if len(blocks[at].keys) > MOST_OF_A_BLOCK:
            blocks[at : at + 1] = blocks[at].halves()

    def drop(self, key: Key) -> None:
        """Forget an object that is gone."""
        blocks = self._namespaces.get(key.namespace)
        if not blocks:
            return
        at = _place(blocks, key)
        self._note(blocks[at].drop(key))
        if not blocks[at].keys:
            del blocks[at]
        if not blocks:
            del self._namespaces[key.namespace]

    def _note(self, changed: Iterable[int]) -> None:
        for metric in changed:
            self._told[metric].clear()

    def of_metric(self, metric: int, most: int | None = None) -> _Told:
        """The lines of a metric, of each namespace the first `most`; and how many of which
        namespace are left out. Not to be changed."""
        known = self._told[metric].get(most)
        if known is None:
            known = self._told[metric][most] = self._tell(metric, most)
        return known

    def _tell(self, metric: int, most: int | None) -> _Told:
        told: list[bytes] = []
        left_out: list[tuple[str, int]] = []
        for namespace in sorted(self._namespaces):
            blocks = self._namespaces[namespace]
            count = sum([block.counts[metric] for block in blocks])
            if most is None or count <= most:
                told += [block.texts[metric] for block in blocks if block.counts[metric]]
            else:
                told += _first(blocks, metric, most)
                left_out.append((namespace, count - most))
        return told, left_out


def _first(blocks: Sequence[_Block], metric: int, most: int) -> Iterator[bytes]:
    """The first `most` lines of blocks that have more."""
    for block in blocks:
        text, count = block.texts[metric], block.counts[metric]
        if count > most:
            yield b"".join(line + b"\n" for line in text.split(b"\n", most)[:most])
            return
        yield text
        most -= count


def _place(blocks: list[_Block], key: Key) -> int:
    """The block in which an object stands, or is to stand; only a block alone may be empty."""
    return bisect_right(blocks, key, lo=1, key=lambda block: block.keys[0]) - 1
