"""Reading archives as a stream of entries: tar, tar.gz and zip, told apart by their first bytes, never by name.

Nothing is written to disk and no entry is held in memory; each is offered once, in the order of the archive, and must
be read before the next one. Limits count what really comes out, not what headers claim.
"""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import IO, cast

from af.storage import rules
from af.storage.errors import ArchiveTooLarge, InvalidArchive
from af.storage.rules import Segments

_READ_BYTES_MAX = 2 << 20  # tarfile reads extended headers whole: nobody needs larger ones
_HEADER_BYTES = 1024  # of a tar, for each entry: header and padding; allowed on top of the content
_ZIP_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ZIP_END = struct.Struct("<4s4H2LH")
_ZIP64_LOCATOR = struct.Struct("<4sLQL")
_ZIP64_END = struct.Struct("<4sQ2H2L4Q")
_ZIP_CENTRAL_BYTES = 46
_ZIP_COMMENT_MAX = 65_535
_UTF8_NAME = 0x800
_ENCRYPTED = 0x1


class Kind(Enum):
    FILE = auto()
    FOLDER = auto()
    SYMLINK = auto()


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry. ``read(n)`` gives the content of a file in parts; ``target`` is a symlink's."""

    path: Segments
    kind: Kind
    read: Callable[[int], bytes] = lambda _: b""
    target: bytes = b""


@dataclass(slots=True)
class Limits:
    """What an archive may unpack to, and what it has so far."""

    bytes_max: int
    entries_max: int
    packed_bytes: int
    bytes: int = 0
    entries: int = 0

    def count_bytes(self, count: int) -> None:
        self.bytes += count
        if self.bytes > self.bytes_max:
            raise ArchiveTooLarge(f"The archive unpacks to more than {self.bytes_max:,} bytes (AF_ARCHIVE_BYTES_MAX).")
        if rules.is_bomb(self.bytes, self.packed_bytes):
            raise ArchiveTooLarge(f"The archive unpacks to more than {rules.RATIO_MAX} times its size.")

    def count_entry(self) -> None:
        self.entries += 1
        if self.entries > self.entries_max:
            raise ArchiveTooLarge(f"The archive has more than {self.entries_max:,} entries (AF_FILES_MAX).")


def entries(path: Path, *, bytes_max: int, entries_max: int) -> Iterator[Entry]:
    """The entries of the archive at ``path``. Blocking; closes the file at its end.

    :raises InvalidArchive, ArchiveTooLarge:
    """
    limits = Limits(bytes_max=bytes_max, entries_max=entries_max, packed_bytes=path.stat().st_size)
    with path.open("rb") as file, _as_invalid():
        start = file.read(512)
        file.seek(0)
        if start[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=file) as unzipped:
                yield from _tar(cast("IO[bytes]", unzipped), limits)
        elif start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
            yield from _zip(file, limits)
        elif start[257:262] == b"ustar" or _is_old_tar(start):
            yield from _tar(file, limits)
        else:
            raise InvalidArchive("This is not a tar, tar.gz or zip archive.")


@contextmanager
def _as_invalid() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, gzip.BadGzipFile, struct.error) as error:
        raise InvalidArchive("The archive is damaged or cut short.", detail=repr(error)) from error
    except (NotImplementedError, UnicodeDecodeError, ValueError, OverflowError, RecursionError) as error:
        # tarfile recurses once for each header that extends the next one
        raise InvalidArchive("The archive has parts that cannot be read.", detail=repr(error)) from error


# --- tar -------------------------------------------------------------------------------------------------------------


def _is_old_tar(start: bytes) -> bool:
    """Tars from before POSIX have no magic, but a checksum of their first header."""
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except tarfile.TarError:
        return False
    return True


class _Counted(io.RawIOBase):
    """A forward-only file that counts what is read, skipped parts too, and refuses to read much at once."""

    def __init__(self, file: IO[bytes], limits: Limits) -> None:
        self._file = file
        self._limits = limits
        self._position = 0

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _READ_BYTES_MAX:
            raise InvalidArchive(f"A header of the archive is larger than {_READ_BYTES_MAX:,} bytes.")
        data = self._file.read(size)
        self._position += len(data)
        if self._position > self._limits.bytes_max + _HEADER_BYTES * (self._limits.entries + 20):
            raise ArchiveTooLarge(
                f"The archive unpacks to more than {self._limits.bytes_max:,} bytes (AF_ARCHIVE_BYTES_MAX)."
            )
        if rules.is_bomb(self._position, self._limits.packed_bytes):
            raise ArchiveTooLarge(f"The archive unpacks to more than {rules.RATIO_MAX} times its size.")
        return data

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Forward, by reading. Past the end it stays at the end, where the next read finds out."""
        if whence != io.SEEK_SET or offset < self._position:
            raise InvalidArchive("The archive points backwards.")
        while self._position < offset and self.read(min(offset - self._position, _READ_BYTES_MAX)):
            pass
        return self._position


def _tar(file: IO[bytes], limits: Limits) -> Iterator[Entry]:
    counted = _Counted(file, limits)
    with tarfile.open(fileobj=cast("IO[bytes]", counted), mode="r:", encoding="utf-8") as archive:
        while (member := archive.next()) is not None:
            limits.count_entry()
            entry = _tar_entry(archive, member, limits)
            if entry is not None:
                yield entry
            archive.members.clear()  # type: ignore[attr-defined]  # or it keeps a kilobyte for each entry
    while counted.read(_READ_BYTES_MAX):
        pass  # a tar ends before its gzip does, whose checksum comes last


def _tar_entry(archive: tarfile.TarFile, member: tarfile.TarInfo, limits: Limits) -> Entry | None:
    path = rules.path_of(member.name)
    if path is None:
        return None
    if member.isdir():
        return Entry(path, Kind.FOLDER)
    if member.issym():
        return Entry(path, Kind.SYMLINK, target=member.linkname.encode("utf-8", "surrogateescape"))
    if not member.isreg() or member.issparse():
        raise InvalidArchive(
            f"The entry {rules.shown(member.name)} is no plain file, folder or symbolic link (hard links, sparse files"
            " and devices are refused)."
        )
    file = archive.extractfile(member)
    assert file is not None, "a regular file has content"
    return Entry(path, Kind.FILE, read=_whole(_limited(file.read, limits), member.size))


def _limited(read: Callable[[int], bytes], limits: Limits) -> Callable[[int], bytes]:
    def read_counted(size: int) -> bytes:
        with _as_invalid():
            data = read(size)
        limits.count_bytes(len(data))
        return data

    return read_counted


def _whole(read: Callable[[int], bytes], size: int) -> Callable[[int], bytes]:
    """A cut tar ends its last file early without a word: check that all of it came."""
    left = size

    def read_checked(wanted: int) -> bytes:
        nonlocal left
        data = read(min(wanted, left))
        left -= len(data)
        if left and wanted and not data:
            raise InvalidArchive("The archive is cut short.")
        return data

    return read_checked


# --- zip -------------------------------------------------------------------------------------------------------------


def _zip(file: IO[bytes], limits: Limits) -> Iterator[Entry]:
    _count_zip_entries(file, limits)
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            entry = _zip_entry(archive, member, limits)
            if entry is not None:
                yield entry


def _zip_entry(archive: zipfile.ZipFile, member: zipfile.ZipInfo, limits: Limits) -> Entry | None:
    name = _zip_name(member)
    path = rules.path_of(name)
    if path is None:
        return None
    if name.endswith("/"):
        return Entry(path, Kind.FOLDER)
    if member.flag_bits & _ENCRYPTED:
        raise InvalidArchive(f"The entry {rules.shown(name)} is encrypted.")
    if member.compress_type not in _ZIP_METHODS:
        raise InvalidArchive(f"The entry {rules.shown(name)} uses a compression other than deflate.")
    kind = stat.S_IFMT(member.external_attr >> 16) if member.create_system == 3 else 0
    if kind not in (0, stat.S_IFREG, stat.S_IFLNK):
        raise InvalidArchive(f"The entry {rules.shown(name)} is no plain file, folder or symbolic link.")
    content = archive.open(member)
    if kind == stat.S_IFLNK:
        with content:
            return Entry(path, Kind.SYMLINK, target=content.read(rules.SYMLINK_TARGET_BYTES_MAX + 1))
    return Entry(path, Kind.FILE, read=_limited(content.read, limits))


def _zip_name(member: zipfile.ZipInfo) -> str:
    """The entry's name. Without the flag for UTF-8 it counts as code page 437, but most writers mean UTF-8; some on
    Windows write backslashes."""
    name = member.filename
    if not member.flag_bits & _UTF8_NAME and not name.isascii():
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = member.filename
    return name.replace("\\", "/") if member.create_system == 0 else name


def _count_zip_entries(file: IO[bytes], limits: Limits) -> None:
    """Count the records of the central directory before `zipfile` makes an object of each."""
    offset, size = _zip_directory(file)
    file.seek(offset)
    read = 0
    while read + _ZIP_CENTRAL_BYTES <= size:
        head = file.read(_ZIP_CENTRAL_BYTES)
        if head[:4] != b"PK\x01\x02":
            break  # zipfile says what is wrong
        limits.count_entry()
        name, extra, comment = struct.unpack_from("<3H", head, 28)
        read += _ZIP_CENTRAL_BYTES + name + extra + comment
        file.seek(name + extra + comment, io.SEEK_CUR)
    file.seek(0)


def _zip_directory(file: IO[bytes]) -> tuple[int, int]:
    """(offset, size) of the central directory, found as `zipfile` finds it: right before the end record."""
    end_at = file.seek(0, io.SEEK_END)
    tail_at = max(0, end_at - _ZIP_COMMENT_MAX - _ZIP_END.size)
    file.seek(tail_at)
    tail = file.read()
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or found + _ZIP_END.size > len(tail):
        raise InvalidArchive("The zip archive is cut short.")
    size = _ZIP_END.unpack_from(tail, found)[5]
    before = tail_at + found
    locator_at = before - _ZIP64_LOCATOR.size
    if locator_at >= _ZIP64_END.size:
        file.seek(locator_at)
        if file.read(4) == b"PK\x06\x07":
            before = locator_at - _ZIP64_END.size
            file.seek(before)
            record = file.read(_ZIP64_END.size)
            if record[:4] != b"PK\x06\x06":
                raise InvalidArchive("The zip archive is damaged.")
            size = _ZIP64_END.unpack(record)[8]
    if size > before:
        raise InvalidArchive("The zip archive is damaged.")
    return before - size, size
