"""An object store as a place for files: bytes by name, through fsspec.

Any address that fsspec knows will do: `s3://`, `gs://`, `memory://`, and, to read alone, `http://` and chains like
`zip://::hands.zip`. Where a store lies and who may read it, the protocol's own settings say: its environment
variables, or fsspec's configuration files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gmaps.errors import CorruptStoreError, GmapsError, MissingExtraError, StoreError, UsageError

#: Package and extra of the protocols for which we have one.
_EXTRAS = {"s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3")}


#: Names under which protocols tell when a file was written, and of which content it is.
_TIMES = ("LastModified", "Last-Modified", "last_modified", "mtime", "created", "updated", "generation", "VersionId")
_TAGS = ("ETag", "etag", "md5Hash")


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Whether a path is an address of an object store, like `s3://bucket/x.zarr`."""
    protocol, sign, _ = os.fspath(path).partition("://")
    return bool(sign) and protocol not in ("file", "local")


def local_path(path: str | os.PathLike[str]) -> Path:
    """A path on this machine, without a `file://` before it."""
    text = os.fspath(path)
    for protocol in ("file://", "local://"):
        text = text.removeprefix(protocol)
    return Path(text)


def _join(root: str, name: str) -> str:
    return f"{root}/{name}" if root else name


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


class Place:
    """A directory of an object store.

    The connection is made when it is first needed, and again in a process that was forked.

    Parameters
    ----------
    url
        Like "s3://bucket/folder".

    Raises
    ------
    UsageError
        For a protocol that fsspec does not know.
    MissingExtraError
        When the package for the protocol is not installed.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._process = 0
        self._fs: Any = None
        self._root = ""
        self._connect()

    def __reduce__(self) -> tuple[type[Place], tuple[str]]:
        return type(self), (self.url,)

    def __str__(self) -> str:
        return self.url

    def _connect(self) -> tuple[Any, str]:
        """The file system, and this place's path in it."""
        if self._process != os.getpid():
            import fsspec

            protocol = self.url.partition("://")[0]
            with self._errors(""):
                try:
                    self._fs, self._root = fsspec.core.url_to_fs(self.url)
                except ImportError as error:
                    if protocol in _EXTRAS:
                        raise MissingExtraError(*_EXTRAS[protocol], f"a store at {self.url}") from error
                    raise GmapsError(f"{self.url}: {error}") from error
                except FileNotFoundError as error:  # an archive's own file
                    raise StoreError(f"{self.url}: there is no {error.filename}") from error
                except ValueError as error:
                    raise UsageError(f"{self.url}: no protocol called {protocol!r} is known ({error})") from error
            self._process = os.getpid()
        return self._fs, self._root

    @contextmanager
    def _errors(self, name: str) -> Iterator[None]:
        """Errors of any protocol as ours; `FileNotFoundError` stays what it is."""
        where = f"{self.url}/{name}" if name else self.url
        try:
            yield
        except (GmapsError, FileNotFoundError):
            raise
        except PermissionError as error:
            raise StoreError(f"{where}: access is denied ({error}); look at the credentials in use") from error
        except Exception as error:
            # The packages of each protocol have errors of their own, with no base in common.
            if "credentials" in f"{type(error).__name__} {error}".lower():
                raise StoreError(
                    f"{where}: no credentials were found ({error}). Set those of the protocol, for S3 the variables "
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile, or FSSPEC_S3_ANON=true for public data"
                ) from error
            raise StoreError(f"{where} cannot be reached: {type(error).__name__}: {error}") from error

    def read(self, name: str) -> bytes:
        """A whole file.

        Raises
        ------
        FileNotFoundError
            When there is none.
        StoreError
            When it cannot be reached.
        """
        fs, root = self._connect()
        with self._errors(name):
            content: bytes = fs.cat_file(_join(root, name))
            return content

    def read_ranges(self, ranges: Sequence[tuple[str, int, int]]) -> list[bytes]:
        """Parts of files, all asked for at once where the protocol can.

        Parameters
        ----------
        ranges
            Name, first byte, and the byte after the last.

        Raises
        ------
        CorruptStoreError
            When a file is missing or too short.
        """
        if not ranges:
            return []
        fs, root = self._connect()
        names, starts, ends = (list(column) for column in zip(*ranges, strict=True))
        try:
            with self._errors(""):
                found = fs.cat_ranges([_join(root, name) for name in names], starts, ends, on_error="raise")
        except FileNotFoundError as error:
            raise CorruptStoreError(f"a file of {self.url} is missing ({error}); see `gmaps verify`") from error
        return [self._part(content, *where) for where, content in zip(ranges, found, strict=True)]

    def _part(self, content: bytes, name: str, start: int, end: int) -> bytes:
        """What was asked for of what came: servers that know no ranges send the whole file."""
        if len(content) > end - start:
            content = content[start:end]
        if len(content) != end - start:
            raise CorruptStoreError(f"{self.url}/{name} is cut off; see `gmaps verify`")
        return content

    def sizes(self, names: Sequence[str] = ()) -> dict[str, int]:
        """Name -> bytes of every file below this place; of a web server, which lists nothing, of those in `names`."""
        fs, root = self._connect()
        if "http" in fs.protocol or "https" in fs.protocol:
            return {name: size for name in names if (size := self._size(name)) is not None}
        with self._errors(""):
            fs.invalidate_cache()
            try:
                found = fs.find(root, detail=True)
            except FileNotFoundError:
                return {}
        return {path.removeprefix(root).lstrip("/"): int(info["size"]) for path, info in found.items()}

    def _size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""
        fs, root = self._connect()
        try:
            with self._errors(name):
                size = fs.info(_join(root, name))["size"]
            return len(self.read(name)) if size is None else int(size)
        except FileNotFoundError:
            return None

    def identity(self, name: str) -> tuple[str, ...]:
        """What a protocol tells of a file that is another after it was replaced, even by the same bytes.

        Returns
        -------
        tuple of str
            Empty where the protocol tells no time, or tells nothing.

        Raises
        ------
        FileNotFoundError
            There is none.
        StoreError
            It cannot be reached.
        """
        fs, root = self._connect()
        with self._errors(name):
            path = _join(root, name)
            fs.invalidate_cache(path)
            info = fs.info(path)
        times = [f"{key} {info[key]}" for key in _TIMES if info.get(key)]
        # Of a web server's tags, several machines behind one address may have each their own.
        tags = () if {"http", "https"} & {*_protocols(fs)} else _TAGS
        return (*times, *(f"{key} {info[key]}" for key in (*tags, "size") if info.get(key))) if times else ()

    def write(self, name: str, content: bytes) -> None:
        """Writes a small file whole.

        Raises
        ------
        StoreError
            When it cannot be written.
        """
        fs, root = self._connect()
        with self._errors(name), self._missing():
            fs.pipe_file(_join(root, name), content)

    def upload(self, path: Path, name: str) -> None:
        """Copies a file of this machine there; the name appears when all of it is there.

        Raises
        ------
        StoreError
            When it cannot be written.
        """
        fs, root = self._connect()
        with self._errors(name), self._missing():
            fs.put_file(str(path), _join(root, name))

    def remove(self, names: Sequence[str]) -> None:
        """Removes files."""
        fs, root = self._connect()
        with self._errors(""):
            for name in names:
                fs.rm_file(_join(root, name))

    @contextmanager
    def _missing(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise StoreError(f"{self.url} cannot be written: {error}. Make the bucket first") from error
