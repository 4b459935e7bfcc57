# SPDX-License-Identifier: Apache-2.0
"""How many objects of a collection to ask for at a time: fewer where a page was too large.

Whoever fills a namespace with objects as large as the API server takes makes every page of their
list one that is read for nothing, if all are asked for alike.
"""

from collections.abc import AsyncIterator

from postroom.concurrency.bounded import BoundedMap

#: Objects of a page; each costs a round trip, and the API server some milliseconds.
PAGE = 500
#: Octets of a page that is read, and objects of one asked for in the place of a larger one. The API
#: server takes objects of 1.5 MB, by their labels and owners if not by what a schema bounds.
PAGE_LIMIT, FEWER = 2**25, 20
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


class PageSizes:
    """The sizes of pages, by the path of their collection, where they are not `PAGE`."""

    def __init__(self) -> None:
        self._sizes: BoundedMap[str, int] = BoundedMap(_COLLECTIONS)

    def of(self, path: str) -> int:
        """How many objects to ask for."""
        return self._sizes.get(path) or PAGE

    def too_large(self, path: str) -> None:
        """A page was beyond what is read."""
        self._sizes.put(path, FEWER)

    def read(self, path: str, octets: int, objects: int) -> None:
        """A page was read: the next one may have twice as many objects, if with others like these
        it takes half of what is read."""
        size = self._sizes.get(path)
        if size is None or not objects:
            return
        room = objects * PAGE_LIMIT // (2 * max(octets, 1))
        size = min(2 * size, max(room, FEWER))
        if size < PAGE:
            self._sizes.put(path, size)
        else:
            self._sizes.pop(path)
