# SPDX-License-Identifier: Apache-2.0
"""What a path leads to, also where we may not look: `Path` raises for a folder that lets nobody
in, and for a name that is longer than any file's."""

import errno
import stat
from pathlib import Path

#: What says that nothing is there, rather than that we may not see it.
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def is_folder(path: Path) -> bool:
    """Whether it is a folder, as far as we may see."""
    return stat.S_ISDIR(_mode(path))


def is_file(path: Path) -> bool:
    """Whether it is a plain file, as far as we may see."""
    return stat.S_ISREG(_mode(path))


def is_there(path: Path) -> bool:
    """Whether there is anything, as far as we may see."""
    return bool(_mode(path))


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except (OSError, ValueError):
        return 0


def why_not(path: Path) -> str:
    """Why a path leads to nothing, as the clause after its name."""
    try:
        path.stat()
    except OSError as error:
        if error.errno not in _NOT_THERE:
            return f"cannot be read: {error.strerror}"
    except ValueError:
        pass  # a name that no file has
    return "there is no such file or directory"
