"""Form uploads (RFC 7578) from browsers and ``curl -F``, written to disk as they arrive.

Either one field ``file`` with a tar or zip, or many fields ``files`` whose file names are paths inside the site.
The latter become one tar: each entry's header is written when its part begins and corrected when its size is known.
"""

from __future__ import annotations

import tarfile
from typing import Protocol

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from af.sites.errors import InvalidUpload

PART_HEADER_BYTES_MAX = 16 << 10
BOUNDARY_BYTES_MAX = 70  # RFC 2046 §5.1.1
_BLOCK = tarfile.BLOCKSIZE
_ARCHIVE_FIELD = "file"
_FILE_FIELDS = ("files", "files[]")


class Sink(Protocol):
    """What the form is written to. Positions are bytes from its start."""

    size_bytes: int

    def write(self, data: bytes) -> None: ...

    def patch(self, position: int, data: bytes) -> None: ...


class FormReceiver:
    """Feed it the body piece by piece, then call `finish`. Every method raises `InvalidUpload` for a form that is
    malformed, cut short, or not one of the two kinds."""

    def __init__(self, sink: Sink, content_type: str, *, files_max: int) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if not boundary:
            raise InvalidUpload("The form has no boundary.")
        if len(boundary) > BOUNDARY_BYTES_MAX:
            raise InvalidUpload(f"The form's boundary is longer than {BOUNDARY_BYTES_MAX} bytes.")
        self._sink = sink
        self._files_max = files_max
        self._files = 0
        self._kind: str | None = None
        self._ended = False
        self._header_bytes = 0
        self._field = self._value = b""
        self._disposition = b""
        self._entry_start = 0
        self._entry: tarfile.TarInfo | None = None
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_field": self._add_header_name,
                "on_header_value": self._add_header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_content,
                "on_part_data": self._add_content,
                "on_part_end": self._end_part,
                "on_end": self._end,
            },
        )

    def feed(self, data: bytes) -> None:
        try:
            self._parser.write(data)
        except MultipartParseError as error:
            raise InvalidUpload("The form is malformed.", detail=str(error)) from error

    def finish(self) -> None:
        """Check that the form is whole, and end the tar."""
        if not self._ended:
            raise InvalidUpload("The form was cut short.")
        if self._kind is None:
            raise InvalidUpload("The form has no field `file` or `files`.")
        if self._kind == "files":
            self._sink.write(bytes(2 * _BLOCK))

    # --- the parser calls these, in the order of the body ---

    def _begin_part(self) -> None:
        self._header_bytes = 0
        self._field = self._value = self._disposition = b""

    def _add_header_name(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._field += data[start:end]

    def _add_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition = self._value
        self._field = self._value = b""

    def _begin_content(self) -> None:
        _, options = parse_options_header(self._disposition)
        field = options.get(b"name", b"").decode("utf-8", "replace")
        name = options.get(b"filename")
        if field == _ARCHIVE_FIELD and name is not None and self._kind is None:
            self._kind = "file"
        elif field in _FILE_FIELDS and name is not None and self._kind in (None, "files"):
            self._kind = "files"
            self._begin_entry(name)
        elif field in (_ARCHIVE_FIELD, *_FILE_FIELDS):
            raise InvalidUpload("Send one archive as `file`, or the site's files as `files`, each with a file name.")
        else:
            raise InvalidUpload(f"The form field {field[:40]!r} is unknown; options belong into the address.")

    def _add_content(self, data: bytes, start: int, end: int) -> None:
        self._sink.write(data[start:end])

    def _end_part(self) -> None:
        if self._entry is None:
            return
        header_bytes = len(_tar_header(self._entry))
        self._entry.size = self._sink.size_bytes - self._entry_start - header_bytes
        self._sink.write(bytes(-self._entry.size % _BLOCK))
        self._sink.patch(self._entry_start, _tar_header(self._entry))
        self._entry = None

    def _end(self) -> None:
        self._ended = True

    def _begin_entry(self, name: bytes) -> None:
        self._files += 1
        if self._files > self._files_max:
            raise InvalidUpload(f"A deployment may have at most {self._files_max:,} files.")
        if b"\0" in name:
            raise InvalidUpload("A file name contains a NUL character.")
        self._entry = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
        self._entry_start = self._sink.size_bytes
        self._sink.write(_tar_header(self._entry))

    def _count_header(self, size_bytes: int) -> None:
        self._header_bytes += size_bytes
        if self._header_bytes > PART_HEADER_BYTES_MAX:
            raise InvalidUpload("A form part has too long headers.")


def _tar_header(entry: tarfile.TarInfo) -> bytes:
    """One or, for long names, several blocks; as many before as after the size is known."""
    return entry.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
