"""Content types: our own table (the machine's mime.types varies), then a look at the first bytes.

Every response carries ``X-Content-Type-Options: nosniff``, so what this says is what browsers do.
"""

from __future__ import annotations

import json
import re

SNIFF_BYTES = 512
UNKNOWN = "application/octet-stream"

_TYPES = {
    # pages
    "html": "text/html", "htm": "text/html", "xhtml": "application/xhtml+xml", "css": "text/css",
    "js": "text/javascript", "mjs": "text/javascript", "cjs": "text/javascript", "json": "application/json",
    "map": "application/json", "jsonld": "application/ld+json", "geojson": "application/geo+json",
    "webmanifest": "application/manifest+json", "wasm": "application/wasm", "xml": "application/xml",
    "xsl": "application/xml", "rss": "application/rss+xml", "atom": "application/atom+xml",
    # text
    "txt": "text/plain", "text": "text/plain", "log": "text/plain", "md": "text/markdown",
    "markdown": "text/markdown", "csv": "text/csv", "tsv": "text/tab-separated-values", "ics": "text/calendar",
    "vcf": "text/vcard", "vtt": "text/vtt", "srt": "application/x-subrip", "yaml": "application/yaml",
    "yml": "application/yaml", "toml": "application/toml", "ini": "text/plain", "conf": "text/plain",
    "py": "text/x-python", "sh": "text/x-shellscript", "c": "text/x-c", "h": "text/x-c", "rs": "text/x-rust",
    "go": "text/x-go", "ts": "text/x-typescript", "tsx": "text/x-typescript", "jsx": "text/javascript",
    "sql": "application/sql", "graphql": "application/graphql", "gql": "application/graphql",
    # images
    "png": "image/png", "apng": "image/apng", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif",
    "webp": "image/webp", "avif": "image/avif", "svg": "image/svg+xml", "ico": "image/x-icon",
    "bmp": "image/bmp", "tif": "image/tiff", "tiff": "image/tiff", "heic": "image/heic", "jxl": "image/jxl",
    # fonts
    "woff": "font/woff", "woff2": "font/woff2", "ttf": "font/ttf", "otf": "font/otf",
    "eot": "application/vnd.ms-fontobject",
    # sound and film
    "mp3": "audio/mpeg", "m4a": "audio/mp4", "aac": "audio/aac", "oga": "audio/ogg", "ogg": "audio/ogg",
    "opus": "audio/ogg", "wav": "audio/wav", "flac": "audio/flac", "weba": "audio/webm", "mid": "audio/midi",
    "mp4": "video/mp4", "m4v": "video/mp4", "webm": "video/webm", "ogv": "video/ogg", "mov": "video/quicktime",
    "avi": "video/x-msvideo", "mkv": "video/x-matroska", "mpeg": "video/mpeg", "m3u8": "application/vnd.apple.mpegurl",
    # documents and archives
    "pdf": "application/pdf", "rtf": "application/rtf", "epub": "application/epub+zip", "zip": "application/zip",
    "gz": "application/gzip", "tgz": "application/gzip", "tar": "application/x-tar", "bz2": "application/x-bzip2",
    "xz": "application/x-xz", "zst": "application/zstd", "7z": "application/x-7z-compressed",
    "jar": "application/java-archive", "br": UNKNOWN, "car": "application/vnd.ipld.car", "bin": UNKNOWN,
    "doc": "application/msword", "xls": "application/vnd.ms-excel", "ppt": "application/vnd.ms-powerpoint",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text", "ods": "application/vnd.oasis.opendocument.spreadsheet",
    # models
    "glb": "model/gltf-binary", "gltf": "model/gltf+json", "obj": "model/obj", "stl": "model/stl",
    "usdz": "model/vnd.usdz+zip",
    # things with a name of their own
    "asc": "text/plain", "pem": "application/x-pem-file", "apk": "application/vnd.android.package-archive",
}  # fmt: skip

_TEXTUAL = frozenset(
    {
        "application/atom+xml", "application/geo+json", "application/graphql", "application/json",
        "application/ld+json", "application/manifest+json", "application/rss+xml", "application/sql",
        "application/toml", "application/vnd.apple.mpegurl", "application/x-pem-file", "application/x-subrip",
        "application/xhtml+xml", "application/xml", "application/yaml", "image/svg+xml", "model/gltf+json",
    }
)  # fmt: skip
_ALSO_COMPRESSIBLE = frozenset(
    {
        "application/wasm", "application/vnd.ms-fontobject", "font/otf", "font/ttf", "image/bmp", "image/x-icon",
        "application/x-tar", "application/rtf", "model/obj", "model/stl",
    }
)  # fmt: skip

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"\0asm", "application/wasm"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"fLaC", "audio/flac"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
)
_JSON = "application/json"
_JSON_START = re.compile(rb'\s*(?:\{\s*"(?:[^"\\\x00-\x1f]|\\.)*"\s*:|\[\s*[\[{])')
_HTML_STARTS = (b"<!doctype html", b"<html", b"<head", b"<body", b"<title", b"<script", b"<!--")


def type_of(name: str, start: bytes) -> str:
    """The Content-Type for a file called ``name`` whose first bytes are ``start`` (`SNIFF_BYTES` of them suffice)."""
    stem, dot, extension = name.rpartition(".")
    known = _TYPES.get(extension.lower()) if dot and (stem or extension) else None
    found = known or _sniff(start[:SNIFF_BYTES])
    if found == _JSON:
        return found  # has no charset: it is UTF-8 (RFC 8259 §11)
    if found.startswith("text/") or found in _TEXTUAL:
        return f"{found}; charset=utf-8"
    return found


def is_compressible(content_type: str) -> bool:
    """Whether compressing is worth it: text and a few raw binary formats."""
    base = content_type.partition(";")[0]
    return base.startswith("text/") or base in _TEXTUAL or base in _ALSO_COMPRESSIBLE


def _sniff(start: bytes) -> str:
    for magic, found in _MAGIC:
        if start.startswith(magic):
            return found
    if start[:4] == b"RIFF" and start[8:12] in (b"WEBP", b"WAVE"):
        return "image/webp" if start[8:12] == b"WEBP" else "audio/wav"
    if start[4:8] == b"ftyp":
        return "image/avif" if start[8:12] in (b"avif", b"avis") else "video/mp4"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n").lower()
    if text.startswith(_HTML_STARTS):
        return "text/html"
    if text.startswith(b"<svg"):
        return "image/svg+xml"
    if text.startswith(b"<?xml"):
        return "application/xml"
    if _is_json(start):
        return _JSON
    return "text/plain" if _is_text(start) else UNKNOWN


def _is_json(start: bytes) -> bool:
    """Whether it is a map or list in JSON. Where only the beginning is at hand: whether it begins as one."""
    if len(start) >= SNIFF_BYTES:
        return _JSON_START.match(start) is not None and _is_text(start)
    try:
        return start.lstrip()[:1] in (b"{", b"[") and json.loads(start.decode("utf-8")) is not None
    except (ValueError, RecursionError):
        return False


def _is_text(start: bytes) -> bool:
    if any(byte < 0x20 and byte not in (0x09, 0x0A, 0x0C, 0x0D, 0x1B) for byte in start):
        return False
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        return len(start) - error.start < 4 and len(start) == SNIFF_BYTES  # a character cut by our own window
    return True
