"""The directory of a store, held open: all that is read comes from the store that was opened, and from no other.

A store that is replaced while it is open (`gmaps build --overwrite`) lies in another directory of the same name then.
Its files are opened relative to the directory that was met first, so that no sample is put together out of two.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path
from typing import BinaryIO

from gmaps.errors import CorruptStoreError, StoreError
from gmaps.formats.regular import open_regular, read_regular
from gmaps.store.array_metadata import GROUP
from gmaps.store.names import is_plain


class StoreFiles:
    """The files of a store on this machine.

    Parameters
    ----------
    path
        The store's directory.

    Raises
    ------
    OSError
        There is none, or it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._fd)

    def open(self, name: str) -> BinaryIO:
        """A file of the store.

        Raises
        ------
        FileNotFoundError
            There is none.
        CorruptStoreError
            It cannot be opened, or is no file.
        """
        try:
            return open_regular(name, self._fd)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileNotFoundError(error.errno, error.strerror, str(self.path / name)) from None
        except OSError as error:
            raise self._unreadable(name, error) from error

    def read(self, name: str) -> bytes:
        """All bytes of a file; errors as `open`."""
        try:
            return read_regular(name, self._fd)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileNotFoundError(error.errno, error.strerror, str(self.path / name)) from None
        except OSError as error:
            raise self._unreadable(name, error) from error

    def arrays(self) -> list[str]:
        """Names of the directories that have a `zarr.json`.

        Raises
        ------
        CorruptStoreError
            The disk does not tell: what it fails to show is no array that is not there.
        """
        found = []
        for folder in ("", "maps/"):
            try:
                inside = os.open(f"./{folder}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self._fd)
            except (FileNotFoundError, NotADirectoryError):
                continue  # a store without maps
            except OSError as error:
                raise self._unreadable(folder, error) from error
            try:
                names = [name for name in os.listdir(inside) if is_plain(name)]
                found += [f"{folder}{name}" for name in names if _is_there(f"{name}/{GROUP}", inside)]
            except OSError as error:
                raise self._unreadable(folder, error) from error
            finally:
                os.close(inside)
        return found

    def check_same(self) -> None:
        """Refuse to go on where the store was replaced; for readers that open files by their paths.

        Raises
        ------
        StoreError
            Another directory has its name, or none.
        """
        try:
            same = os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        except OSError:
            same = False
        if not same:
            raise StoreError(f"{self.path} was replaced while it was open: open it again")

    def gone(self, name: str) -> CorruptStoreError | StoreError:
        """What to raise for a file that is not there."""
        self.check_same()
        return CorruptStoreError(
            f"{self.path / name} is missing. `gmaps verify` tells what else is; "
            "`gmaps build --overwrite` makes the store again"
        )

    def _unreadable(self, name: str, error: OSError) -> CorruptStoreError:
        return CorruptStoreError(
            f"{self.path / name} cannot be read: {error.strerror or error}; `gmaps verify` tells what else is damaged"
        )


def _is_there(name: str, directory: int) -> bool:
    try:
        os.stat(name, dir_fd=directory)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
