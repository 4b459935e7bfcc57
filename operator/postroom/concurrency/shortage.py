# SPDX-License-Identifier: Apache-2.0
"""What this process lacks itself: memory, threads, descriptors. None of it says anything of the
world: whoever could not look because of it has seen nothing."""

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterator

from postroom.concurrency.tls_faults import TLSFault, fault_in

#: Errors of the system that are about us, and what of ours there is too little of.
LACKING = {
    errno.ENOMEM: "memory",
    errno.ENOBUFS: "memory for sockets",
    errno.EMFILE: "descriptors (its limit of open files)",
    errno.ENFILE: "descriptors (its machine's limit of open files)",
}
_MEMORY, _THREADS = LACKING[errno.ENOMEM], "threads (a limit of processes, or of memory)"
#: Who tries several addresses joins the errors into one text, without a number of its own.
_JOINED = re.compile(r"\[Errno (\d+)\]")
_DEPTH = 16


class Shortage(Exception):
    """This process lacks what it needs to look; `sentence` tells it to people, made of what is
    `wrong` and the `fix`."""

    fix = "If it stays so, raise the limits of the operator."

    def __init__(self, lacks: str) -> None:
        self.wrong = (
            f"postroom itself is short of {lacks}, and could not look; the look is repeated."
        )
        self.sentence = f"{self.wrong} {self.fix}"
        super().__init__(self.sentence)


def shortage_in(error: BaseException | None) -> Shortage | None:
    """The want of ours that an error comes from; None: it tells of something else."""
    for each in _behind(error):
        if isinstance(each, Shortage):
            return each
        lacks = _lacks(each)
        if lacks is not None:
            return Shortage(lacks)
    return None


def _behind(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it was made of, each once and not without end."""
    waiting, seen = [error], list[BaseException]()
    while waiting and len(seen) < _DEPTH:
        here = waiting.pop(0)
        if here is None or here in seen:
            continue
        seen.append(here)
        yield here
        context = None if here.__suppress_context__ else here.__context__
        waiting += [here.__cause__, context, getattr(here, "os_error", None)]
        waiting += getattr(here, "exceptions", ())


def _lacks(error: BaseException) -> str | None:
    match error:
        case MemoryError():
            return _MEMORY
        case RuntimeError() if "start new thread" in str(error):
            return _THREADS
        case ssl.SSLCertVerificationError():  # that of aiohttp has the code behind it alone
            # Authorities of a directory are opened when they are needed, and one that cannot be
            # opened counts as one that is not there.
            return _unopened() if fault_in(error) is TLSFault.ISSUER_UNKNOWN else None
        case ssl.SSLError():  # its numbers are OpenSSL's
            return _MEMORY if "MALLOC" in str(error).upper() else None
        case socket.gaierror():
            return _MEMORY if error.errno == socket.EAI_MEMORY else None
        case OSError(errno=None):
            numbers = map(int, _JOINED.findall(str(error)))
            return next((LACKING[number] for number in numbers if number in LACKING), None)
        case OSError(errno=number):
            return LACKING.get(number or 0)
    return None


def _unopened() -> str | None:
    """What keeps this process from opening a file now."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return LACKING.get(error.errno or 0)
    return None
