"""Form uploads: one archive, or the files of a site made into one tar."""

from __future__ import annotations

import io
import tarfile

import pytest

from af.sites.errors import InvalidUpload
from af.sites.multipart import FormReceiver

CONTENT_TYPE = "multipart/form-data; boundary=XX"


class Memory:
    def __init__(self) -> None:
        self.buffer = io.BytesIO()
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        self.buffer.write(data)
        self.size_bytes += len(data)

    def patch(self, position: int, data: bytes) -> None:
        self.buffer.seek(position)
        self.buffer.write(data)
        self.buffer.seek(0, io.SEEK_END)


def part(field: str, name: str | None, content: bytes) -> bytes:
    filename = f'; filename="{name}"' if name is not None else ""
    head = f'--XX\r\nContent-Disposition: form-data; name="{field}"{filename}\r\nContent-Type: text/html\r\n\r\n'
    return head.encode() + content + b"\r\n"


def receive(*parts: bytes, step: int = 7, end: bytes = b"--XX--\r\n", files_max: int = 100) -> bytes:
    sink = Memory()
    form = FormReceiver(sink, CONTENT_TYPE, files_max=files_max)
    body = b"".join(parts) + end
    for start in range(0, len(body), step):
        form.feed(body[start : start + step])
    form.finish()
    return sink.buffer.getvalue()


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_one_archive_is_taken_as_it_is(step: int) -> None:
    content = bytes(range(256)) * 40
    assert receive(part("file", "site.zip", content), step=step) == content


@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_files_become_a_tar_with_their_paths(step: int) -> None:
    long_name = "deep/" * 30 + "é.html"
    files = {"index.html": b"<p>hi", "a/empty": b"", long_name: b"x" * 5000, "b/512": b"y" * 512}
    tar = receive(*(part("files", name, content) for name, content in files.items()), step=step)
    with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
        found = {entry.name: opened.extractfile(entry).read() for entry in opened}  # type: ignore[union-attr]
    assert found == files


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (part("file", None, b"x"),),
        (part("files", None, b"x"),),
        (part("other", None, b"x"),),
        (part("file", "a", b"x"), part("file", "b", b"y")),
        (part("file", "a", b"x"), part("files", "b", b"y")),
        (part("files", "a", b"x"), part("file", "b", b"y")),
        (part("files", "a" * 20_000, b"x"),),
        tuple(part("files", f"{n}", b"x") for n in range(101)),
    ],
)
def test_other_forms_are_refused(parts: tuple[bytes, ...]) -> None:
    with pytest.raises(InvalidUpload):
        receive(*parts)


def test_a_form_that_was_cut_short_is_refused() -> None:
    with pytest.raises(InvalidUpload, match="cut short"):
        receive(part("files", "a", b"xyz"), end=b"")


def test_a_form_without_boundary_or_with_garbage_is_refused() -> None:
    with pytest.raises(InvalidUpload):
        FormReceiver(Memory(), "multipart/form-data", files_max=1)
    with pytest.raises(InvalidUpload):
        receive(b"not a form at all, and long enough to be sure", end=b"")
