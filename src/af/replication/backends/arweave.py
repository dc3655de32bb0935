"""Arweave as a place for copies: content as one CAR, or a site whose files each open in a browser.

A copy is public and for ever; nothing can remove it. What it is named here is not sent along, only its CID.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from af.core.http import Client
from af.core.settings import Settings
from af.protocols import ans104
from af.protocols.ans104 import Head
from af.protocols.arweave import manifests
from af.protocols.arweave.encoding import BlobDigest, BlobHasher
from af.protocols.arweave.manifests import InvalidManifest, Manifest
from af.protocols.arweave.transactions import Tag
from af.protocols.arweave.wallets import JWK_BYTES_MAX, InvalidWallet, Wallet
from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.errors import InvalidCar
from af.replication.backends.arweave_errors import KeyUnusable, ManifestImpossible
from af.replication.backends.arweave_network import Gateway, UploadService
from af.replication.backends.arweave_uploads import APP, Body, Uploads
from af.replication.errors import ProviderFailed, ProviderNotConfigured
from af.replication.models import Cost, Receipt, Source

INDEX = "index.html"
NOT_FOUND = "404.html"
CONTENT_TYPE_CHARACTERS_MAX = 200
_INDEXES_KEPT = 4
_BLOCKS_KEPT_MAX = 200_000
_BLOCK_BYTES_MAX = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFile:
    """A file of a site: ``path`` without a leading slash, ``open`` gives its ``size_bytes`` bytes anew each time."""

    path: str
    content_type: str
    size_bytes: int
    open: Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteReceipt:
    """``url`` opens the site, ``manifest_id`` is its address in Arweave, ``paths`` the id of each file; the bundle that
    carries all of it is followed by ``copy.ref``."""

    url: str
    manifest_id: str
    paths: Mapping[str, str]
    copy: Receipt


def open_arweave(settings: Settings, client: Client) -> Arweave:
    """The provider as the settings say. Reads the key file.

    :raises ProviderNotConfigured: no key. :raises KeyUnusable: it is none.
    """
    text = settings.arweave_key.encode()
    if not text and not settings.arweave_key_file:
        raise ProviderNotConfigured(
            "Arweave has no wallet here.", hint="Set AF_ARWEAVE_KEY_FILE to the key file of a wallet with AR or credit."
        )
    try:
        wallet = Wallet.from_jwk(text or _read(Path(settings.arweave_key_file)))
    except OSError as error:
        raise KeyUnusable("AF_ARWEAVE_KEY_FILE cannot be read.", detail=str(error.strerror)) from error
    except InvalidWallet as error:
        raise KeyUnusable(f"The key of the Arweave wallet cannot be used: {error}.") from error
    gateway = Gateway(client, settings.arweave_gateway)
    service = None
    if settings.arweave_upload_url not in ("", "off"):
        service = UploadService(client, settings.arweave_upload_url, settings.arweave_payment_url)
    uploads = Uploads(
        wallet,
        gateway,
        service,
        winston_max=settings.arweave_winston_max,
        confirmations=settings.arweave_confirmations,
    )
    return Arweave(wallet, gateway, uploads)


class Arweave:
    """The `af.replication.backends.Provider` named ``arweave``."""

    name = "arweave"

    def __init__(self, wallet: Wallet, gateway: Gateway, uploads: Uploads) -> None:
        self._wallet = wallet
        self._gateway = gateway
        self._uploads = uploads
        self._indexes: OrderedDict[str, dict[CID, tuple[int, int]]] = OrderedDict()
        self._indexing = asyncio.Lock()

    @property
    def address(self) -> str:
        """Of the wallet that pays."""
        return self._wallet.address

    # --- content as a CAR -------------------------------------------------------------------------------------------

    async def estimate(self, source: Source) -> Cost:
        return await self._uploads.estimate(_body_of(source))

    async def store(self, source: Source) -> Receipt:
        return await self._uploads.store(_body_of(source))

    async def status(self, root: CID, ref: str) -> Receipt:
        return await self._uploads.status(ref)

    async def read(self, root: CID, ref: str, cid: CID) -> bytes:
        """The first block that is asked for costs reading the CAR once; where the others are is kept."""
        id = ref.partition(".")[0]
        async with self._indexing:
            places = self._indexes.get(id)
            if places is None:
                places, block = await self._scan(id, cid)
                self._indexes[id] = places
                if len(self._indexes) > _INDEXES_KEPT:
                    self._indexes.popitem(last=False)
                if block is not None:
                    return block
        if cid in places:
            start, end = places[cid]
            async with self._gateway.open(id, start=start, end=end) as pieces:
                return b"".join([piece async for piece in pieces])
        if len(places) >= _BLOCKS_KEPT_MAX:
            block = (await self._scan(id, cid))[1]
            if block is not None:
                return block
        raise ProviderFailed(f"The copy on Arweave has no block {cids.to_text(cid)}.")

    async def remove(self, root: CID, ref: str) -> None:
        """Nothing: what is on Arweave stays there."""

    async def _scan(self, id: str, wanted: CID) -> tuple[dict[CID, tuple[int, int]], bytes | None]:
        """Where the blocks of a CAR are (of the first `_BLOCKS_KEPT_MAX`), and the wanted one."""
        places: dict[CID, tuple[int, int]] = {}
        found = None
        reader = car.CarReader(max_block_bytes=_BLOCK_BYTES_MAX)
        try:
            async with self._gateway.open(id) as pieces:
                async for piece in pieces:
                    for cid, block in reader.feed(piece):
                        start = reader.offset + len(car.frame_head(cid, len(block)))
                        if len(places) < _BLOCKS_KEPT_MAX:
                            places[cid] = (start, start + len(block))
                        if cid == wanted:
                            found = block
            reader.finish()
        except InvalidCar as error:
            raise ProviderFailed(
                "What Arweave's gateway sent is not the CAR that was stored.", detail=str(error)
            ) from error
        return places, found

    # --- a site, file by file ---------------------------------------------------------------------------------------

    async def estimate_site(self, files: Sequence[SiteFile], *, index: str = INDEX) -> Cost:
        """What `store_site` would cost. :raises ManifestImpossible, ProviderFailed:"""
        return await self._uploads.estimate((await self._bundle(files, index))[0])

    async def store_site(self, files: Sequence[SiteFile], *, index: str = INDEX) -> SiteReceipt:
        """Every file as an item with its content type, and a manifest that finds them by their paths, in one bundle.
        ``index`` opens the root when it is one of the files; a ``404.html`` is shown for what is not there.

        :raises ManifestImpossible, TooExpensive, NotPaid, ProviderRefused, ProviderFailed:
        """
        body, manifest_id, paths = await self._bundle(files, index)
        copy = await self._uploads.store(body)
        return SiteReceipt(url=f"{self._gateway.base}/{manifest_id}/", manifest_id=manifest_id, paths=paths, copy=copy)

    async def _bundle(self, files: Sequence[SiteFile], index: str) -> tuple[Body, str, dict[str, str]]:
        """The bundle of a site, the id of its manifest, and those of its files. Nothing is sent."""
        items: dict[str, tuple[Head, Callable[[], AsyncIterator[bytes]], int]] = {}
        paths: dict[str, str] = {}
        if not 0 < len(files) <= manifests.PATHS_MAX:
            raise ManifestImpossible(f"A site on Arweave has 1 to {manifests.PATHS_MAX} files.")
        for file in files:
            tags = _tags(file.content_type)
            head = await asyncio.to_thread(ans104.sign, self._wallet, await _digest_of(file), tags=tags)
            items[head.id] = (head, file.open, file.size_bytes)  # the same file under two names is sent once
            paths[file.path] = head.id
        written = _manifest(paths, index)
        head = ans104.sign(self._wallet, written, tags=_tags(manifests.CONTENT_TYPE))
        items[head.id] = (head, lambda: _once(written), len(written))
        table = ans104.bundle_head([(h.raw_id, h.size_bytes + size) for h, _, size in items.values()])

        async def parts() -> AsyncIterator[bytes]:
            yield table
            for item, content, _ in items.values():
                yield ans104.encode_head(item)
                async for piece in content():
                    yield piece

        size = len(table) + sum(h.size_bytes + size for h, _, size in items.values())
        key = Tag.of("Manifest-Id", head.id)
        return Body(size_bytes=size, open=parts, tags=ans104.BUNDLE_TAGS, key=key), head.id, paths


def _body_of(source: Source) -> Body:
    return Body(
        size_bytes=source.car_bytes,
        open=source.car,
        tags=(Tag.of("Content-Type", car.CONTENT_TYPE),),
        key=Tag.of("IPFS-CID", cids.to_text(source.root)),
    )


def _tags(content_type: str) -> tuple[Tag, ...]:
    return (Tag.of("Content-Type", content_type), APP)


def _manifest(paths: dict[str, str], index: str) -> bytes:
    manifest = Manifest(paths=paths, index=index if index in paths else "", fallback=paths.get(NOT_FOUND, ""))
    try:
        return manifests.encode(manifest)
    except InvalidManifest as error:
        raise ManifestImpossible(f"The files cannot be a site on Arweave: {error}.") from error


async def _digest_of(file: SiteFile) -> BlobDigest:
    if not 0 < len(file.content_type) <= CONTENT_TYPE_CHARACTERS_MAX or not file.content_type.isascii():
        raise ManifestImpossible(f"The content type of {file.path!r} is none.", field="path")
    hasher = BlobHasher()
    async for piece in file.open():
        hasher.update(piece)
    found = hasher.digest()
    if found.size_bytes != file.size_bytes:
        raise ProviderFailed(f"{file.path!r} has {found.size_bytes} bytes, {file.size_bytes} were said.")
    return found


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def _read(path: Path) -> bytes:
    with path.expanduser().open("rb") as file:
        return file.read(JWK_BYTES_MAX + 1)
