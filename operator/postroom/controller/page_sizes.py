# SPDX-License-Identifier: Apache-2.0
"""How many objects of a collection to ask for at a time: fewer where a page was too large.

Whoever fills a namespace with objects as large as the API server takes makes every page of their
list one that is read for nothing, if all are asked for alike.
"""

from collections.abc import AsyncIterator

from postroom.concurrency.bounded import BoundedMap

#: Objects of a page; each costs a round trip, and the API server some milliseconds.
PAGE = 500
#: Octets of a page that is read, unless it is of one object. The API server takes objects of 1.5
#: MB, by their labels and owners if not by what a schema bounds, and writes some characters of them
#: as six. Decoded, a page takes four times its octets where one character is beyond the others.
PAGE_LIMIT = 2**24
#: Octets of a page to take at a time.
PIECE = 2**18
#: Collections to remember; of the others a page may be asked for twice.
_COLLECTIONS = 256


async def read_page(pieces: AsyncIterator[bytes]) -> bytes | None:
    """Return what pieces make up; None: it is more than is read, and the rest is left."""
    read = bytearray()
    async for piece in pieces:
        read += piece
        if len(read) > PAGE_LIMIT:
            return None
    return bytes(read)


def fewer(objects: int) -> int:
    """How many objects to ask for in the place of a page of so many that was too large."""
    return max(objects // 4, 1)


class PageSizes:
    """The sizes of pages, by the path of their collection, where they are not `PAGE`."""

    def __init__(self) -> None:
        self._sizes: BoundedMap[str, int] = BoundedMap(_COLLECTIONS)

    def of(self, path: str) -> int:
        """How many objects to ask for."""
        return self._sizes.get(path) or PAGE

    def too_large(self, path: str, objects: int) -> None:
        """A page that was asked for with so many objects was beyond what is read."""
        self._sizes.put(path, fewer(objects))

    def read(self, path: str, octets: int, objects: int) -> None:
        """A page was read: the next one may have twice as many objects, if with others like these
        it takes half of what is read."""
        size = self._sizes.get(path)
        if size is None or not objects:
            return
        room = objects * PAGE_LIMIT // (2 * max(octets, 1))
        size = min(2 * size, max(room, 1))
        if size < PAGE:
            self._sizes.put(path, size)
        else:
            self._sizes.pop(path)
