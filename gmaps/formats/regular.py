"""Opening files that somebody else may have put there: a pipe would wait for ever, and a device has no end."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO

#: Nothing that is read whole is larger.
MOST_BYTES = 1 << 30


def open_regular(path: str | os.PathLike[str], dir_fd: int | None = None) -> BinaryIO:
    """A file open for reading, if it is one.

    Parameters
    ----------
    path
        Its path; relative to `dir_fd` where that is given.
    dir_fd
        An open directory.

    Raises
    ------
    OSError
        It cannot be opened, or is a directory, a pipe, a socket or a device.
    """
    # Without O_NONBLOCK, opening a pipe waits until somebody writes to it.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=dir_fd)
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return os.fdopen(fd, "rb")
    os.close(fd)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "is a directory, not a file", os.fspath(path))
    raise OSError(errno.EINVAL, "is no regular file but a pipe, a socket or a device", os.fspath(path))


def read_regular(path: str | os.PathLike[str], dir_fd: int | None = None, most: int = MOST_BYTES) -> bytes:
    """All bytes of a file.

    Raises
    ------
    OSError
        As `open_regular`, or when it has more than `most` bytes.
    """
    with open_regular(path, dir_fd) as f:
        size = os.fstat(f.fileno()).st_size
        if size > most:
            raise OSError(errno.EFBIG, f"has {size:,} bytes, more than the {most:,} that are read", os.fspath(path))
        return f.read()
