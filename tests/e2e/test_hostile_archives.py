"""Archives made to hurt. Each must end FAILED with a reason that its sender understands, and its file must be gone."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import hostile
from tests.e2e.hostile import final_deployment, post
from tests.e2e.platform import Running, running
from tests.support.processes import wait_until

SITE = "target"
BYTES_MAX = 64 << 20
FILES_MAX = 2_000


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    limits = {"AF_ARCHIVE_BYTES_MAX": str(BYTES_MAX), "AF_FILES_MAX": str(FILES_MAX)}
    with running(tmp_path_factory.mktemp("archives"), **limits) as started:
        started.graphql('mutation{createSite(data:{name:"target"}){id}}')
        yield started


def submit(platform: Running, body: bytes, kind: str = "application/octet-stream") -> Any:
    """The deployment once it has ended, and the file's end is checked."""
    reply = post(platform, f"/v1/sites/{SITE}/archive", body, kind=kind)
    assert reply.status == 202, reply.body
    deployment_id = reply.json()["deployment"]["id"]
    ended = final_deployment(platform, deployment_id)
    wait_until(lambda: not waiting(platform, deployment_id), seconds=5, what="the upload's file is removed")
    return ended


def waiting(platform: Running, deployment_id: str = "") -> list[Path]:
    """The files of uploads that are not done."""
    return list((Path(platform.ready["data"]) / "uploads").glob(f"{deployment_id}*"))


# --- makers ----------------------------------------------------------------------------------------------------------


def tar(*members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def named(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def zipped(*members: tuple[zipfile.ZipInfo | str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for info, data in members:
            archive.writestr(info, data)
    return out.getvalue()


def zip_of_kind(name: str, mode: int, data: bytes) -> bytes:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return zipped((info, data))


def windows_zip(*names: str) -> bytes:
    """As some writers on Windows make it, with backslashes."""
    members = []
    for name in names:
        info = zipfile.ZipInfo("placeholder")
        info.filename = name
        info.create_system = 0
        members.append((info, b"x"))
    return zipped(*members)


def encrypted_zip() -> bytes:
    body = bytearray(zipped(("a.txt", b"secret")))
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        body[body.index(mark) + at] |= 1
    return bytes(body)


def lying_zip(size: int) -> bytes:
    """Says that its only file has ``size`` bytes; 30 MiB come out."""
    body = bytearray(zipped(("a.txt", bytes(30 << 20))))
    for mark, at in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", body, body.index(mark) + at, size)
    return bytes(body)


def overlapping_zip() -> bytes:
    """A thousand entries that all have the same compressed megabyte."""
    body = zipped(("a", bytes(1 << 20)))
    central = body.index(b"PK\x01\x02")
    end = body.index(b"PK\x05\x06")
    record = bytearray(body[central:end])
    entries = []
    for number in range(1_000):
        name = f"{number:04}".encode()
        changed = bytearray(record)
        struct.pack_into("<H", changed, 28, len(name))
        entries.append(bytes(changed[:46]) + name)
    directory = b"".join(entries)
    count = len(entries)
    return (
        body[:central] + directory + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), central, 0)
    )


def chained_headers(kind: bytes, count: int) -> bytes:
    """``count`` extended headers before one file: readers that recurse run out of stack."""
    info = named("././@LongLink", kind)
    info.size = 512
    payload = b"11 path=abc\n".ljust(512, b"\0") if kind == tarfile.XHDTYPE else b"name\0".ljust(512, b"x")
    return (info.tobuf(tarfile.GNU_FORMAT) + payload) * count + tar((named("a.txt"), b"x"))


def pax(**records: str) -> bytes:
    info = named("a.txt")
    info.pax_headers = records
    return tar((info, b"x"))


def sparse_tar() -> bytes:
    info = named("a", tarfile.GNUTYPE_SPARSE)
    return tar((info, b"x"), form=tarfile.GNU_FORMAT)


def raw_tar_size(field: bytes) -> bytes:
    header = bytearray(named("a.txt").tobuf(tarfile.USTAR_FORMAT))
    header[124:136] = field
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    return bytes(header) + bytes(2048)


def bomb_in_gzip(size: int) -> bytes:
    """A tar of zeros, packed a thousandfold."""
    out, packer = bytearray(), zlib.compressobj(9, wbits=31)
    info = named("zeros")
    info.size = size
    out += packer.compress(info.tobuf(tarfile.GNU_FORMAT))
    block = bytes(1 << 20)
    for _ in range(size >> 20):
        out += packer.compress(block)
    return bytes(out + packer.flush())


BAD: dict[str, Callable[[], bytes]] = {
    "not an archive": lambda: b"<html>hello</html>" * 100,
    "one byte": lambda: b"P",
    "zip magic alone": lambda: b"PK\x03\x04",
    "gzip magic alone": lambda: b"\x1f\x8b\x08\0\0\0\0\0\0\0",
    "zip cut": lambda: zipped(("a.txt", b"x" * 1000))[:-10],
    "zip cut in the middle": lambda: zipped(*((f"{n}", bytes(range(256)) * 40) for n in range(50)))[:3000],
    "zip with a damaged file": lambda: zipped(("a.txt", b"hello"), method=0).replace(b"hello", b"jello"),
    "zip without entries": lambda: zipped(),
    "tar without entries": lambda: bytes(10240),
    "empty folder only": lambda: tar((named("./", tarfile.DIRTYPE), b"")),
    "gzip of nothing": lambda: gzip.compress(b""),
    "tar cut in a file": lambda: tar((named("a"), b"x" * 5000))[:2000],
    "gzip cut": lambda: gzip.compress(tar((named("a"), bytes(range(256)) * 100)))[:-20],
    "gzip with a wrong checksum": lambda: gzip.compress(tar((named("a"), b"x")))[:-8] + bytes(8),
    "zip .. ": lambda: zipped(("../evil.txt", b"x")),
    "zip .. inside": lambda: zipped(("a/../../evil.txt", b"x")),
    "zip absolute": lambda: zipped(("/etc/passwd", b"x")),
    "zip drive": lambda: windows_zip("C:\\windows\\x"),
    "zip backslash ..": lambda: windows_zip("..\\..\\evil.txt"),
    "zip long name": lambda: zipped(("n" * 300, b"x")),
    "zip twice": lambda: zipped(("a.txt", b"1"), ("b.txt", b"2")).replace(b"b.txt", b"a.txt"),
    "zip file and folder": lambda: zipped(("a", b"1"), ("a/b", b"2")),
    "zip encrypted": encrypted_zip,
    "zip with lzma": lambda: zipped(("a.txt", b"x" * 100), method=zipfile.ZIP_LZMA),
    "zip device": lambda: zip_of_kind("dev", stat.S_IFCHR | 0o644, b""),
    "zip link out": lambda: zip_of_kind("link", stat.S_IFLNK | 0o777, b"../../etc/passwd"),
    "zip link absolute": lambda: zip_of_kind("link", stat.S_IFLNK | 0o777, b"/etc/passwd"),
    "zip bomb": lambda: zipped(("zeros", bytes(70 << 20))),
    "zip that lies about its size": lambda: lying_zip(5),
    "zip of overlapping entries": overlapping_zip,
    "zip of many entries": lambda: zipped(*((f"f{n}", b"") for n in range(2 * FILES_MAX + 1)), method=0),
    "tar ..": lambda: tar((named("../evil"), b"x")),
    "tar .. inside": lambda: tar((named("a/../../evil"), b"x")),
    "tar absolute": lambda: tar((named("/etc/passwd"), b"x")),
    "tar link out": lambda: tar((named("l", tarfile.SYMTYPE, "../../etc/passwd"), b"")),
    "tar link absolute": lambda: tar((named("l", tarfile.SYMTYPE, "/etc/passwd"), b"")),
    "tar hard link": lambda: tar((named("a"), b"x"), (named("h", tarfile.LNKTYPE, "a"), b"")),
    "tar hard link out": lambda: tar((named("h", tarfile.LNKTYPE, "/etc/passwd"), b"")),
    "tar device": lambda: tar((named("d", tarfile.CHRTYPE), b"")),
    "tar pipe": lambda: tar((named("p", tarfile.FIFOTYPE), b"")),
    "tar sparse": sparse_tar,
    "tar twice": lambda: tar((named("a"), b"1"), (named("a"), b"2")),
    "tar file under a link": lambda: tar((named("l", tarfile.SYMTYPE, "."), b""), (named("l/x"), b"1")),
    "tar of many entries": lambda: gzip.compress(tar(*((named(f"f{n}"), b"") for n in range(2 * FILES_MAX + 1)))),
    "tar too large": lambda: bomb_in_gzip(200 << 20),
    "tar with a huge header": lambda: _huge_header(),
    "tar of chained long names": lambda: chained_headers(tarfile.GNUTYPE_LONGNAME, 5_000),
    "tar of chained pax headers": lambda: chained_headers(tarfile.XHDTYPE, 5_000),
    "tar size negative": lambda: raw_tar_size(b"\xff" * 12),
    "tar size 2^70": lambda: raw_tar_size(b"\x80\0\0" + b"\xff" * 9),
    "tar size no number": lambda: raw_tar_size(b"zzzzzzzzzzz\0"),
    "pax size negative": lambda: pax(size="-512"),
    "pax path ..": lambda: pax(path="../../evil"),
    "pax path NUL": lambda: pax(path="a\0b"),
    "pax path empty": lambda: pax(path=""),
    "pax path of a megabyte": lambda: pax(path="a/" * 500_000 + "x"),
    "pax sparse": lambda: pax(**{"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "999999999"}),
    "deep": lambda: tar((named("/".join(["d"] * 3_000)), b"x")),
}  # fmt: skip


def _huge_header() -> bytes:
    info = named("x", tarfile.XHDTYPE)
    info.size = 50 << 20
    return gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(50 << 20), 1)


@pytest.mark.parametrize("name", BAD)
def test_a_hostile_archive_fails_with_a_reason(platform: Running, name: str) -> None:
    ended = submit(platform, BAD[name]())
    assert ended["status"] == "FAILED", ended
    assert ended["error"]["code"] in ("invalid_archive", "archive_too_large", "invalid_upload"), ended
    assert len(ended["error"]["message"]) > 20
    for leak in ("Traceback", "/tmp/", "site-packages", "Error("):
        assert leak not in ended["error"]["message"], ended


GOOD: dict[str, tuple[Callable[[], bytes], list[tuple[str, bytes]]]] = {
    "zip from windows": (lambda: windows_zip("a\\b.txt", "o"), [("/a/b.txt", b"x")]),
    "unicode": (lambda: zipped(("ünï/日本.txt", b"x"), ("o", b"")), [("/%C3%BCn%C3%AF/%E6%97%A5%E6%9C%AC.txt", b"x")]),
    "pax long name": (lambda: tar((named("l" * 150 + "/" + "m" * 150), b"x")), [("/" + "m" * 150, b"x")]),
    "gnu long name": (
        lambda: tar((named("k/" + "m" * 150), b"x"), (named("o"), b""), form=tarfile.GNU_FORMAT),
        [("/k/" + "m" * 150, b"x")],
    ),
    "link inside": (
        lambda: tar((named("a/x.txt"), b"y"), (named("b/l", tarfile.SYMTYPE, "../a/x.txt"), b"")),
        [("/a/x.txt", b"y")],
    ),
    "top folder is taken off": (lambda: tar((named("site/index.html"), b"home")), [("/", b"home")]),
    "names differ in case": (lambda: zipped(("A.txt", b"1"), ("a.txt", b"2")), [("/A.txt", b"1"), ("/a.txt", b"2")]),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_an_unusual_archive_that_is_sound_goes_live(platform: Running, name: str) -> None:
    make, expected = GOOD[name]
    ended = submit(platform, make())
    assert ended["status"] == "SUCCESS", ended
    for path, content in expected:
        reply = platform.request(path, host=f"{SITE}.localhost")
        assert (reply.status, reply.body) == (200, content), path


# --- forms -----------------------------------------------------------------------------------------------------------

FORM = "multipart/form-data; boundary=B"
BAD_FORMS = {
    "no boundary": ("multipart/form-data", b"x"),
    "empty": (FORM, b""),
    "cut": (FORM, b'--B\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\nPK'),
    "not a form": (FORM, b"hello"),
    "unknown field": (FORM, b'--B\r\nContent-Disposition: form-data; name="zzz"\r\n\r\nx\r\n--B--\r\n'),
    "no field": (FORM, b"--B--\r\n"),
    "file twice": (
        FORM,
        b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n' * 2 + b"--B--\r\n",
    ),
    "huge part header": (FORM, b"--B\r\nX: " + b"x" * 100_000 + b"\r\n\r\n--B--\r\n"),
    "many part headers": (FORM, b"--B\r\n" + b"X: y\r\n" * 50_000 + b"\r\nx\r\n--B--\r\n"),
    "url-encoded": ("application/x-www-form-urlencoded", b"a=b"),
    "nothing": ("application/zip", b""),
    "boundary of 10,000": ("multipart/form-data; boundary=" + "b" * 10_000, b"x"),
}


@pytest.mark.parametrize("name", BAD_FORMS)
def test_a_broken_form_is_refused_at_once(platform: Running, name: str) -> None:
    kind, body = BAD_FORMS[name]
    reply = post(platform, f"/v1/sites/{SITE}/archive", body, kind=kind)
    assert 400 <= reply.status < 500, reply.body
    assert len(reply.json()["detail"]) > 15
    assert not waiting(platform)


@pytest.mark.parametrize("file_name", ["../../evil.txt", "/etc/passwd", "a\\..\\..\\b", ".."])
def test_a_dropped_file_cannot_leave_the_site(platform: Running, file_name: str) -> None:
    part = f'--B\r\nContent-Disposition: form-data; name="files"; filename="{file_name}"\r\n\r\nx\r\n--B--\r\n'
    reply = post(platform, f"/v1/sites/{SITE}/archive", part.encode(), kind=FORM)
    if reply.status == 202:
        ended = final_deployment(platform, reply.json()["deployment"]["id"])
        assert ended["status"] == "FAILED" or file_name.startswith("a\\"), ended
    assert not (Path(platform.ready["data"]).parent / "evil.txt").exists()


def test_an_upload_over_the_limit_leaves_no_file(platform: Running) -> None:
    reply = post(platform, f"/v1/sites/{SITE}/archive", bytes(BYTES_MAX + (2 << 20)))
    assert reply.status == 413
    assert not waiting(platform)


def test_the_queue_of_one_site_is_bounded_and_drains(platform: Running) -> None:
    small = zipped(("index.html", b"x"))
    replies = [post(platform, f"/v1/sites/{SITE}/archive", small) for _ in range(40)]
    assert {reply.status for reply in replies} <= {202, 409, 429, 503}
    for reply in replies:
        if reply.status == 202:
            assert hostile.final_deployment(platform, reply.json()["deployment"]["id"])["status"] == "SUCCESS"
