"""The inputs behind `unixfs.json`: files, folders and symlinks made from seeds, so that anyone can make them again.

Each shape is a folder. `write` puts one on disk for Kubo; `import_shape` imports it from memory with our code.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import shake_128
from pathlib import Path
from typing import cast

from af.protocols.ipfs import unixfs
from af.protocols.ipfs.unixfs import Entry, Profile, Put

KIB, MIB = 1024, 1024 * 1024
_PATTERN_BYTES = MIB - 3  # no divisor in common with a chunk size, so that no two chunks are equal


@dataclass(frozen=True, slots=True)
class File:
    """`size_bytes` bytes of a repeated pseudo-random pattern."""

    size_bytes: int
    seed: int = 0

    def open(self) -> io.BufferedReader | io.BytesIO:
        pattern = shake_128(b"%d" % self.seed).digest(min(self.size_bytes, _PATTERN_BYTES))
        if len(pattern) == self.size_bytes:
            return io.BytesIO(pattern)
        return io.BufferedReader(cast(io.RawIOBase, _Repeated(pattern, self.size_bytes)), buffer_size=MIB)


class _Repeated(io.RawIOBase):
    def __init__(self, pattern: bytes, size_bytes: int) -> None:
        self._pattern = pattern
        self._left = size_bytes
        self._at = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        part = self._pattern[self._at : self._at + min(len(buffer), self._left)]
        buffer[: len(part)] = part
        self._left -= len(part)
        self._at = (self._at + len(part)) % len(self._pattern)
        return len(part)


@dataclass(frozen=True, slots=True)
class Symlink:
    target: str


class Folder:
    """An explicit, perhaps empty, directory."""


@dataclass(frozen=True, slots=True)
class Shape:
    name: str
    items: Callable[[], Iterator[tuple[str, File | Symlink | Folder]]] = field(repr=False)


def write(shape: Shape, folder: Path) -> None:
    folder.mkdir()
    small: dict[File, Path] = {}  # equal small files are hard links: thousands of them take a while otherwise
    for path, item in shape.items():
        target = folder / path
        if "/" in path:
            target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(item, Folder):
            target.mkdir(exist_ok=True)
        elif isinstance(item, Symlink):
            target.symlink_to(item.target)
        elif item in small:
            target.hardlink_to(small[item])
        else:
            if item.size_bytes == 1:
                small[item] = target
            with item.open() as source, target.open("wb") as copy:
                while part := source.read(MIB):
                    copy.write(part)


def import_shape(shape: Shape, put: Put, profile: Profile) -> Entry:
    return unixfs.build_tree(entries(shape, put, profile), put, profile)


def entries(shape: Shape, put: Put, profile: Profile) -> Iterator[tuple[str, Entry]]:
    for path, item in shape.items():
        if isinstance(item, Folder):
            yield path, unixfs.directory([], put, profile)
        elif isinstance(item, Symlink):
            yield path, unixfs.symlink(item.target.encode(), put, profile)
        else:
            yield path, unixfs.import_file(item.open().read, put, profile)


def _one_file(name: str, size_bytes: int) -> Shape:
    return Shape(name, lambda: iter([("file.bin", File(size_bytes, seed=size_bytes))]))


def _fixed(name: str, *items: tuple[str, File | Symlink | Folder]) -> Shape:
    return Shape(name, lambda: iter(items))


def _many(name: str, count: int, name_bytes: int, *, shorter_first: int = 0) -> Shape:
    """`count` one-byte files with names of `name_bytes` bytes; the first name is shorter by `shorter_first`."""

    def items() -> Iterator[tuple[str, File | Symlink | Folder]]:
        for index in range(count):
            width = name_bytes - shorter_first if index == 0 else name_bytes
            yield f"{index:0{width}d}", File(1, seed=index % 7)

    return Shape(name, items)


_C = 256 * KIB

SHAPES: tuple[Shape, ...] = (
    *(
        _one_file(f"file-{label}", size_bytes)
        for label, size_bytes in (
            ("0", 0),
            ("1", 1),
            ("2", 2),
            ("256KiB-1", _C - 1),
            ("256KiB", _C),
            ("256KiB+1", _C + 1),
            ("512KiB", 2 * _C),
            ("1MiB-1", MIB - 1),
            ("1MiB", MIB),
            ("1MiB+1", MIB + 1),
            ("4MiB", 4 * MIB),
            ("174-chunks-1", 174 * _C - 1),
            ("174-chunks", 174 * _C),
            ("174-chunks+1", 174 * _C + 1),
            ("175-chunks", 175 * _C),
            ("348-chunks+5", 348 * _C + 5),
        )
    ),
    _fixed("empty"),
    _fixed("nested-empty", ("a/b/c", Folder()), ("a/d", Folder()), ("e", Folder())),
    _fixed(
        "symlinks",
        ("target.txt", File(12)),
        ("relative", Symlink("target.txt")),
        ("up/and/over", Symlink("../../target.txt")),
        ("absolute", Symlink("/nowhere/at/all")),
        ("dangling", Symlink("missing é")),
        ("long", Symlink("x/" * 100 + "end")),
    ),
    _fixed(
        "unicode",
        ("caf\u00e9.txt", File(3)),
        ("cafe\u0301.txt", File(4)),
        ("\U0001f680 launch.html", File(5)),
        ("\u65e5\u672c\u8a9e/\u6f22\u5b57.txt", File(6)),
        ("%41.txt", File(7)),
        ("A.txt", File(8)),
        ("with space .txt", File(9)),
        (" leading", File(10)),
        ("quote'\"&<>?#*|\\:.txt", File(11)),
        ("\u0440\u0443\u0441\u0441\u043a\u0438\u0439/\u05e2\u05d1\u05e8\u05d9\u05ea", File(12)),
    ),
    _fixed("long-names", ("n" * 255, File(1)), ("\u00e9" * 127 + "x", File(2)), ("d" * 255 + "/" + "f" * 255, File(3))),
    _fixed(
        "sort-order",
        *(
            (name, File(1, seed=index))
            for index, name in enumerate(("a.b", "a-b", "a b", "A", "Z", "_", "~", "b", "10"))
        ),
        ("a/b", File(2)),
        ("a0", File(3)),
        ("\u00e9", File(4)),
    ),
    _fixed("hidden", (".well-known/security.txt", File(20)), (".nojekyll", File(0)), ("index.html", File(30))),
    _fixed("same-content", ("one", File(300 * KIB, 5)), ("two", File(300 * KIB, 5)), ("sub/three", File(300 * KIB, 5))),
    _fixed("deep", ("/".join(f"d{level}" for level in range(100)) + "/leaf", File(100))),
    _fixed(
        "site",
        ("index.html", File(10_240, 1)),
        ("404.html", File(2_000, 2)),
        ("_redirects", File(80, 3)),
        *((f"assets/chunk-{index:04d}.js", File(1_000 * index + 17, index)) for index in range(40)),
        *((f"posts/{index}/index.html", File(900 + index, index)) for index in range(60)),
        ("media/video.mp4", File(3 * MIB + 11, 9)),
    ),
    # "links" estimate: name + CID = 64 bytes an entry, so 4,096 entries are exactly the threshold: still one block
    _many("links-threshold-v1", 4096, 28),
    _many("links-threshold-v1+1", 4097, 28),
    _many("links-threshold-v0", 4096, 30),
    _many("links-threshold-v0+1", 4096, 30, shorter_first=-1),
    # "block" estimate: 64 bytes an entry and 4 for the rest
    _many("block-threshold", 4096, 20, shorter_first=4),
    _many("block-threshold+1", 4096, 20, shorter_first=3),
    _many("entries-20000", 20_000, 12),
)
