"""Our UnixFS bytes are Kubo's bytes: against recorded vectors always, against a real Kubo where it can be built.

`AF_RECORD_VECTORS=1 pytest tests/conformance/test_unixfs_kubo.py` writes what Kubo says to `vectors/unixfs.json`.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from af.protocols.ipfs import car, cid, export, unixfs
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.unixfs import Profile
from tests.conformance.vectors.unixfs_shapes import SHAPES, File, Shape, entries, import_shape, write
from tests.support.goprograms import BUILD_TIMEOUT_SECONDS
from tests.support.kubo import KuboDaemon, KuboRepository, kubo_or_skip, temporary_repository

VECTORS = Path(__file__).parent / "vectors" / "unixfs.json"
PROFILES = list(unixfs.PROFILES.values())
by_profile = pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)


@cache
def vectors() -> dict[str, dict[str, str]]:
    recorded: dict[str, dict[str, str]] = json.loads(VECTORS.read_text())
    return recorded


@by_profile
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_import_gives_the_recorded_root(shape: Shape, profile: Profile) -> None:
    root = import_shape(shape, unixfs.discard, profile)

    assert cid.to_text(root.cid) == vectors()[profile.name][shape.name]


# --- with a real Kubo ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def kubo() -> Iterator[KuboRepository]:
    with temporary_repository(kubo_or_skip()) as repository:
        yield repository


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every shape on disk, one folder each."""
    folder = tmp_path_factory.mktemp("shapes") / "all"
    folder.mkdir()
    for shape in SHAPES:
        write(shape, folder / shape.name)
    return folder


def kubo_add(kubo: KuboRepository, path: Path, profile: Profile) -> dict[str, str]:
    """What `ipfs add -r --only-hash` says: path -> CID. Nothing is left to Kubo's defaults.

    Sizes are compared too, though not printed: a directory's CID covers the cumulative sizes of its entries.
    """
    estimate = json.dumps(profile.directory_estimate)
    kubo.run("config", "--json", "Import.UnixFSHAMTDirectorySizeEstimation", estimate)
    flags = (
        f"--cid-version={profile.cid_version}",
        f"--raw-leaves={str(profile.raw_leaves).lower()}",
        f"--chunker=size-{profile.chunk_bytes}",
        f"--max-file-links={profile.max_links}",
        f"--max-hamt-fanout={profile.fanout}",
    )
    output = kubo.run("add", "-r", "--only-hash", "--hidden", "--progress=false", *flags, str(path))
    lines = (line.split(" ", 2) for line in output.decode().splitlines())
    return {name: found for added, found, name in lines if added == "added"}


@pytest.mark.kubo
@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
@by_profile
def test_every_file_and_folder_has_the_cid_and_size_kubo_gives_it(
    kubo: KuboRepository, folder: Path, profile: Profile
) -> None:
    theirs = kubo_add(kubo, folder, profile)
    ours: dict[str, str] = {}
    roots = []
    for shape in SHAPES:
        found = list(entries(shape, unixfs.discard, profile))
        ours |= {f"all/{shape.name}/{path}": cid.to_text(entry.cid) for path, entry in found}
        root = unixfs.build_tree(found, unixfs.discard, profile)
        roots.append((shape.name.encode(), root))
        ours[f"all/{shape.name}"] = cid.to_text(root.cid)
    whole = unixfs.directory(roots, unixfs.discard, profile)
    ours["all"] = cid.to_text(whole.cid)

    compared = [path for path in ours if not set('"\\') & set(path)]  # Kubo prints those names escaped
    assert {path: (ours[path], theirs[path]) for path in compared if ours[path] != theirs[path]} == {}
    assert len(compared) > 40_000
    _record(profile, {shape.name: theirs[f"all/{shape.name}"] for shape in SHAPES})


def _record(profile: Profile, roots: dict[str, str]) -> None:
    if os.environ.get("AF_RECORD_VECTORS"):
        recorded = json.loads(VECTORS.read_text()) if VECTORS.exists() else {}
        VECTORS.write_text(json.dumps({**recorded, profile.name: roots}, indent=1) + "\n")
        vectors.cache_clear()
    assert roots == vectors()[profile.name]


@pytest.mark.kubo
@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
@by_profile
def test_trees_of_every_height_are_kubos(kubo: KuboRepository, tmp_path: Path, profile: Profile) -> None:
    """Tiny chunks and 8 links a node, so that four levels fit in a few kilobytes, with every boundary between them."""
    small = replace(profile, chunk_bytes=256, max_links=8)
    sizes = [256 * 8**level + extra for level in range(4) for extra in (-1, 0, 1, 256)]
    (tmp_path / "files").mkdir()
    for size in sizes:
        (tmp_path / "files" / str(size)).write_bytes(File(size).open().read())
    theirs = kubo_add(kubo, tmp_path / "files", small)

    for size in sizes:
        entry = unixfs.import_file(File(size).open().read, unixfs.discard, small)
        assert cid.to_text(entry.cid) == theirs[f"files/{size}"], size


@pytest.mark.slow
@pytest.mark.kubo
@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
@by_profile
@pytest.mark.parametrize("extra", [0, 1])
def test_a_file_around_1_gib_has_kubos_cid(kubo: KuboRepository, tmp_path: Path, profile: Profile, extra: int) -> None:
    """1,024 chunks of 1 MiB fill one node of the 2025 profile; one byte more makes a third level."""
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(0, io.SEEK_END)
        file.write(b"x" * extra)
    theirs = kubo_add(kubo, path, profile)

    with path.open("rb", buffering=0) as file:
        entry = unixfs.import_file(file.read, unixfs.discard, profile)
    assert cid.to_text(entry.cid) == theirs["big"]


@pytest.mark.kubo
@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
@by_profile
async def test_a_car_we_write_goes_into_kubo_and_comes_back_byte_for_byte(
    kubo: KuboRepository, tmp_path: Path, profile: Profile
) -> None:
    blocks: dict[CID, bytes] = {}
    shapes = [
        shape for shape in SHAPES if shape.name in ("site", "unicode", "symlinks", "nested-empty", "entries-20000")
    ]
    roots = [(shape.name.encode(), import_shape(shape, blocks.__setitem__, profile)) for shape in shapes]
    root = unixfs.directory(roots, blocks.__setitem__, profile).cid
    archive = car.header([root]) + b"".join([car.frame(*found) async for found in export.walk(getter(blocks), root)])
    (tmp_path / "ours.car").write_bytes(archive)

    kubo.run("dag", "import", "--pin-roots=true", str(tmp_path / "ours.car"))
    assert kubo.run("dag", "export", "--progress=false", cid.to_text(root)) == archive


@pytest.mark.kubo
@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
async def test_what_kubo_made_reads_back_the_same(kubo: KuboRepository, folder: Path) -> None:
    root = kubo.run("add", "-r", "-Q", "--hidden", "--cid-version=1", str(folder / "site")).decode().strip()
    reader = car.CarReader()
    blocks = dict(reader.feed(kubo.run("dag", "export", "--progress=false", root)))
    reader.finish()

    assert reader.roots == (cid.parse(root),)
    assert all(cid.verify(found, block) for found, block in blocks.items())
    files = [path for path in (folder / "site").rglob("*") if path.is_file()]
    assert len(files) > 100
    for path in files:
        segments = str(path.relative_to(folder / "site")).split("/")
        found = await export.resolve(getter(blocks), cid.parse(root), segments)
        content = b"".join([part async for part in export.read_file(getter(blocks), found.cid)])
        assert content == path.read_bytes()


@pytest.mark.kubo
@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
async def test_mode_and_time_written_by_kubo_are_read(kubo: KuboRepository, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    path.chmod(0o640)
    os.utime(path, ns=(0, 1_600_000_000_123_456_789))
    root = kubo.run("add", "-Q", "--preserve-mode", "--preserve-mtime", str(path)).decode().strip()
    block = kubo.run("block", "get", root)

    found = await export.stat(getter({cid.parse(root): block}), cid.parse(root))
    assert (found.mode, found.mtime, found.size_bytes) == (0o640, (1_600_000_000, 123_456_789), 5)


@pytest.mark.kubo
@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
def test_the_daemon_answers_on_its_own_ports() -> None:
    with KuboDaemon(kubo_or_skip()) as daemon:
        assert json.loads(daemon.call("/api/v0/version"))["Version"] == "0.40.1"
        assert daemon.gateway_url.startswith("http://127.0.0.1:")


def getter(blocks: dict[CID, bytes]) -> export.Get:
    async def get(found: CID) -> bytes:
        return blocks[found]

    return get
