"""Archives: recognised by content, unpacked as a stream, and full of things that are refused."""

from __future__ import annotations

import asyncio
import gzip
import io
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeAlias

import pytest

from af import storage
from af.core.context import Context
from af.core.db import async_url
from af.core.ids import ProjectId
from af.core.migrations import upgrade
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import export
from af.storage import rules
from af.storage.errors import ArchiveTooLarge, DagTooLarge, InvalidArchive
from af.storage.service import unpack as reading
from tests.unit.storage.conftest import SITE, folder

FILES = {name: data for name, data in SITE.items() if name != "big.bin"}
Member = tuple[str, bytes | tarfile.TarInfo]


def tar_of(*members: Member, mode: str = "w", form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=form) as archive:  # type: ignore[call-overload]
        for name, content in members:
            if isinstance(content, bytes):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                content.name = name
                archive.addfile(content)
    return out.getvalue()


def special(kind: bytes, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname, info.size = kind, link, size
    return info


def zip_of(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return out.getvalue()


def zip_link(name: str, mode: int = stat.S_IFLNK | 0o777) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


Packer: TypeAlias = Callable[..., bytes]
PACKERS: dict[str, Packer] = {
    "tar": tar_of,
    "tar.gz": lambda *members: tar_of(*members, mode="w:gz"),
    "gnu tar": lambda *members: tar_of(*members, form=tarfile.GNU_FORMAT),
    "old tar": lambda *members: tar_of(*members, form=tarfile.USTAR_FORMAT),
    "zip": zip_of,
    "stored zip": lambda *members: zip_of(*members, method=zipfile.ZIP_STORED),
}


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archives") / "platform.sqlite"
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(upgrade(async_url("", path)))).result()
    return path


@pytest.fixture
def database_url(migrated: Path, tmp_path: Path) -> str:
    """SQLite only: nothing here depends on the kind of database."""
    shutil.copyfile(migrated, tmp_path / "platform.sqlite")
    return f"sqlite:///{tmp_path / 'platform.sqlite'}"


class Unpack(Protocol):
    """Import the bytes of an archive."""

    def __call__(self, archive: bytes, name: str = ..., ctx: Context = ...) -> Awaitable[storage.DagSummary]: ...


@pytest.fixture
def unpack(owner: Context, project_id: ProjectId, tmp_path: Path) -> Unpack:
    async def run(archive: bytes, name: str = "upload", ctx: Context = owner) -> storage.DagSummary:
        path = tmp_path / name
        path.write_bytes(archive)
        return await storage.import_archive(ctx, project_id, path)

    return run


async def listing(ctx: Context, project_id: ProjectId, summary: storage.DagSummary) -> dict[str, bytes]:
    """Path -> content of everything; symlinks as ``->target``, folders as a name with a slash."""
    get = storage.reader(ctx, project_id)
    found: dict[str, bytes] = {}
    pending = [("", summary.root)]
    while pending:
        path, cid = pending.pop()
        kind = (await export.stat(get, cid)).kind
        if kind is export.EntryKind.SYMLINK:
            found[path] = b"->" + await export.read_symlink(get, cid)
        elif kind is export.EntryKind.FILE:
            found[path] = b"".join([part async for part in export.read_file(get, cid)])
        else:
            entries = await export.list_directory(get, cid)
            if not entries:
                found[path + "/"] = b""
            pending += [(f"{path}/{entry.name.decode()}".lstrip("/"), entry.cid) for entry in entries]
    return found


@pytest.mark.parametrize("packer", PACKERS.values(), ids=PACKERS.keys())
async def test_each_kind_gives_the_folder_that_its_files_make(unpack: Unpack, packer: Packer) -> None:
    summary = await unpack(packer(*SITE.items()), "upload.wrong-extension")
    assert summary.root == folder(SITE).root
    assert (summary.files, summary.bytes) == (len(SITE), sum(map(len, SITE.values())))


@pytest.mark.parametrize("packer", PACKERS.values(), ids=PACKERS.keys())
async def test_a_single_top_folder_is_taken_off_once(unpack: Unpack, packer: Packer) -> None:
    members = [(f"my-site/{name}", data) for name, data in FILES.items()]
    assert (await unpack(packer(*members))).root == folder(FILES).root
    deeper = [(f"a/b/{name}", data) for name, data in FILES.items()]
    assert (await unpack(packer(*deeper))).root == folder({f"b/{name}": data for name, data in FILES.items()}).root


async def test_the_top_folders_own_entry_goes_too(unpack: Unpack) -> None:
    top = special(tarfile.DIRTYPE)
    assert (await unpack(tar_of(("site", top), ("site/x", b"1")))).root == folder({"x": b"1"}).root
    assert (await unpack(zip_of(("site/", b""), ("site/x", b"1")))).root == folder({"x": b"1"}).root


async def test_a_leading_dot_slash_means_nothing(unpack: Unpack) -> None:
    members = [("./", special(tarfile.DIRTYPE)), *[(f"./{name}", data) for name, data in FILES.items()]]
    assert (await unpack(tar_of(*members))).root == folder(FILES).root


async def test_clutter_and_version_control_are_left_out(unpack: Unpack) -> None:
    clutter = [("__MACOSX/site/._x", b"?"), ("site/.DS_Store", b"?"), ("site/.git/config", b"secret")]
    summary = await unpack(zip_of(*clutter, ("site/x", b"1")))
    assert summary.root == folder({"x": b"1"}).root


async def test_empty_folders_and_links_inside_are_kept(owner: Context, project_id: ProjectId, unpack: Unpack) -> None:
    archive = tar_of(
        ("site/empty", special(tarfile.DIRTYPE)),
        ("site/a/x", b"1"),
        ("site/a/link", special(tarfile.SYMTYPE, "../a/x")),
        ("site/b", special(tarfile.SYMTYPE, "a")),
    )
    found = await listing(owner, project_id, await unpack(archive))
    assert found == {"empty/": b"", "a/x": b"1", "a/link": b"->../a/x", "b": b"->a"}
    zipped = zip_of(("a/x", b"1"), (zip_link("a/link"), b"x"), ("b", b""))
    found = await listing(owner, project_id, await unpack(zipped))
    assert found == {"a/x": b"1", "a/link": b"->x", "b": b""}


async def test_names_of_other_scripts_survive(owner: Context, project_id: ProjectId, unpack: Unpack) -> None:
    names = {"é.txt": b"1", "日本/語": b"2", "🙂": b"3", "e\u0301.txt": b"4"}
    for packer in PACKERS.values():
        assert await listing(owner, project_id, await unpack(packer(*names.items()))) == names


async def test_a_zip_in_utf8_without_the_flag_is_read_as_it_was_meant(
    owner: Context, project_id: ProjectId, unpack: Unpack
) -> None:
    archive = bytearray(zip_of(("é", b"1"), ("x", b"2")))
    for signature, flag_at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = archive.index(signature) + flag_at
        archive[at : at + 2] = bytes(2)
    assert set(await listing(owner, project_id, await unpack(bytes(archive)))) == {"é", "x"}


async def test_backslashes_of_windows_archivers_are_separators(
    owner: Context, project_id: ProjectId, unpack: Unpack
) -> None:
    info = zipfile.ZipInfo("placeholder")
    info.filename, info.create_system = "a\\b.txt", 0
    found = await listing(owner, project_id, await unpack(zip_of((info, b"1"), ("c", b"2"))))
    assert found == {"a/b.txt": b"1", "c": b"2"}


async def test_an_empty_archive_is_an_empty_folder(unpack: Unpack) -> None:
    assert (await unpack(zip_of())).root == cids.EMPTY_DIRECTORY
    assert (await unpack(PACKERS["tar.gz"]())).root == cids.EMPTY_DIRECTORY


# --- refused ---------------------------------------------------------------------------------------------------------

BAD_NAMES = ["/etc/passwd", "../x", "a/../../x", "a/..", "C:\\x", "\\\\server\\x", "a\nb", "x" * 300, "a/" * 300 + "x"]


@pytest.mark.parametrize("name", BAD_NAMES)
async def test_hostile_names_are_refused(unpack: Unpack, name: str) -> None:
    for packer in (tar_of, zip_of):
        with pytest.raises(InvalidArchive):
            await unpack(packer(("ok", b"1"), (name, b"2")))


@pytest.mark.parametrize("target", ["../x", "/etc/passwd", "a/../../..", "..", "", "x" * 5000])
async def test_links_that_leave_are_refused(unpack: Unpack, target: str) -> None:
    with pytest.raises(InvalidArchive):
        await unpack(zip_of(("ok", b"1"), (zip_link("link"), target.encode())))
    if target:
        with pytest.raises(InvalidArchive):
            await unpack(tar_of(("ok", b"1"), ("link", special(tarfile.SYMTYPE, target))))


async def test_a_link_out_of_the_folder_that_is_taken_off_is_refused(unpack: Unpack) -> None:
    with pytest.raises(InvalidArchive, match="points out"):
        await unpack(tar_of(("top/x", b"1"), ("top/link", special(tarfile.SYMTYPE, "../y"))))


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
async def test_hard_links_and_devices_are_refused(unpack: Unpack, kind: bytes) -> None:
    with pytest.raises(InvalidArchive, match="no plain file"):
        await unpack(tar_of(("ok", b"1"), ("bad", special(kind, "ok"))))


async def test_zip_devices_are_refused(unpack: Unpack) -> None:
    with pytest.raises(InvalidArchive, match="no plain file"):
        await unpack(zip_of((zip_link("fifo", stat.S_IFIFO), b"")))


async def test_duplicates_and_contradictions_are_refused(unpack: Unpack) -> None:
    with pytest.raises(InvalidArchive, match="twice"):
        await unpack(tar_of(("a", b"1"), ("./a", b"2")))
    with pytest.raises(InvalidArchive):
        await unpack(tar_of(("a", b"1"), ("a/b", b"2"), ("c", b"3")))
    with pytest.raises(InvalidArchive):
        await unpack(tar_of(("a/b", b"1"), ("a", special(tarfile.SYMTYPE, "c"))))


@pytest.mark.parametrize("junk", [b"", b"hello", b"\x7fELF" + bytes(600), bytes(4096), os.urandom(2000)])
async def test_what_is_no_archive_is_refused(unpack: Unpack, junk: bytes) -> None:
    with pytest.raises(InvalidArchive):
        await unpack(junk)


@pytest.mark.parametrize("packer", PACKERS.values(), ids=PACKERS.keys())
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
async def test_an_archive_cut_short_is_refused(unpack: Unpack, packer: Packer, share: float) -> None:
    whole = packer(*[(f"{n}.bin", os.urandom(9000)) for n in range(20)])
    with pytest.raises(InvalidArchive):
        await unpack(whole[: int(len(whole) * share)])


async def test_a_damaged_file_in_a_zip_or_gzip_is_noticed(unpack: Unpack) -> None:
    for packer in (zip_of, PACKERS["tar.gz"]):
        archive = bytearray(packer(("a", os.urandom(50_000)), ("b", b"1")))
        archive[20_000] ^= 0xFF
        with pytest.raises(InvalidArchive):
            await unpack(bytes(archive))


async def test_encrypted_and_exotic_zips_are_refused(unpack: Unpack) -> None:
    archive = bytearray(zip_of(("a", b"1")))
    for signature, flag_at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        archive[archive.index(signature) + flag_at] |= 1
    with pytest.raises(InvalidArchive, match="encrypted"):
        await unpack(bytes(archive))
    with pytest.raises(InvalidArchive, match="compression"):
        await unpack(zip_of(("a", b"1"), method=zipfile.ZIP_LZMA))


# --- bombs -----------------------------------------------------------------------------------------------------------


async def test_too_many_bytes_are_refused_without_unpacking_them_all(unpack: Unpack) -> None:
    zeros = bytes(40 << 20)  # the limit is 32 MiB
    for packer in (zip_of, PACKERS["tar.gz"], tar_of):
        with pytest.raises(ArchiveTooLarge):
            await unpack(packer(("zeros", zeros)))


async def test_a_bomb_is_refused_by_its_ratio(owner: Context, project_id: ProjectId, unpack: Unpack) -> None:
    generous = replace(owner.platform, settings=replace(owner.settings, archive_bytes_max=1 << 40))
    with pytest.raises(ArchiveTooLarge, match="times"):
        await unpack(zip_of(("zeros", bytes(120 << 20))), ctx=replace(owner, platform=generous))


async def test_a_bomb_in_skipped_parts_of_a_tar_is_refused(unpack: Unpack) -> None:
    """What nobody wants is decompressed all the same to get past it."""
    with pytest.raises(ArchiveTooLarge):
        await unpack(PACKERS["tar.gz"]((".git/zeros", bytes(40 << 20)), ("x", b"1")))


async def test_a_huge_tar_header_is_refused_before_it_is_read(unpack: Unpack) -> None:
    bomb = tarfile.TarInfo("././@LongLink")
    bomb.type, bomb.size = tarfile.GNUTYPE_LONGNAME, 30 << 20
    archive = gzip.compress(bomb.tobuf(tarfile.GNU_FORMAT) + bytes(30 << 20))
    with pytest.raises((InvalidArchive, ArchiveTooLarge), match="header"):
        await unpack(archive)


async def test_sizes_that_lie_are_refused(unpack: Unpack) -> None:
    info = special(tarfile.REGTYPE, size=1 << 40)
    info.name = "huge"
    with pytest.raises((InvalidArchive, ArchiveTooLarge)):
        await unpack(info.tobuf(tarfile.PAX_FORMAT) + b"little")
    sparse = special(tarfile.GNUTYPE_SPARSE, size=1)
    sparse.name = "sparse"
    with pytest.raises(InvalidArchive):
        await unpack(sparse.tobuf(tarfile.GNU_FORMAT) + bytes(2048))


async def test_too_many_files_are_refused_early(unpack: Unpack) -> None:
    members = [(f"{n}", b"") for n in range(4100)]  # the limit is 2,000 files, folders may be as many
    for packer in (tar_of, zip_of):
        with pytest.raises(ArchiveTooLarge):
            await unpack(packer(*members))
        with pytest.raises(DagTooLarge):
            await unpack(packer(*members[:2100]))


async def test_a_zip_with_a_false_directory_is_refused(unpack: Unpack) -> None:
    archive = bytearray(zip_of(("a", b"1")))
    end = archive.rindex(b"PK\x05\x06")
    archive[end + 12 : end + 16] = b"\xff\xff\xff\x7f"
    with pytest.raises(InvalidArchive):
        await unpack(bytes(archive))


# --- manners ---------------------------------------------------------------------------------------------------------


async def test_the_event_loop_stays_free_while_an_archive_is_imported(unpack: Unpack) -> None:
    archive = PACKERS["tar.gz"](*[(f"{n}.bin", os.urandom(20_000)) for n in range(800)])
    longest = 0.0
    loop = asyncio.get_running_loop()

    async def watch() -> None:
        nonlocal longest
        while True:
            before = loop.time()
            await asyncio.sleep(0.001)
            longest = max(longest, loop.time() - before)

    watcher = asyncio.create_task(watch())
    await unpack(archive)
    watcher.cancel()
    assert longest < 0.25


async def test_a_cancelled_import_ends_its_thread(owner: Context, project_id: ProjectId, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(tar_of(*[(f"{n}.bin", os.urandom(100_000)) for n in range(250)]))
    task = asyncio.create_task(storage.import_archive(owner, project_id, path))
    await asyncio.sleep(0)
    while not list((tmp_path / "blocks").glob("*.car")):
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_clean_paths() -> None:
    assert rules.path_of("a//b/./c") == ("a", "b", "c")
    assert rules.path_of("./") is None
    assert rules.path_of("a/.git/x") is None
    assert rules.path_of("a/.gitignore") == ("a", ".gitignore")
    with pytest.raises(InvalidArchive):
        rules.path_of("a/\udcff")


def test_the_magic_of_gzip_alone_is_not_enough(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(b"no tar at all" * 100))
    with pytest.raises(InvalidArchive):
        list(reading.entries(path, bytes_max=1000, entries_max=10))
    path.write_bytes(b"\x1f\x8b" + zlib.compress(b"x"))
    with pytest.raises(InvalidArchive):
        list(reading.entries(path, bytes_max=1000, entries_max=10))
