"""What can be wrong with IPFS data. All are ValueErrors: bytes, a name or a path that is not right."""

from __future__ import annotations


class IpfsError(ValueError):
    """The root of everything this package raises on purpose."""


class InvalidVarint(IpfsError):
    """Not a minimal unsigned varint, or cut short."""


class InvalidCid(IpfsError):
    """Not a CID: bad text, bad base, bad length, trailing bytes."""


class UnsupportedHash(IpfsError):
    """A well-formed CID whose hash function we cannot compute, so cannot verify."""


class UnsupportedCodec(IpfsError):
    """A block whose codec we cannot read links from."""


class InvalidBlock(IpfsError):
    """The block's bytes are not what its codec (dag-pb, UnixFS, dag-cbor) allows."""


class InvalidCar(IpfsError):
    """Not a CAR, or cut short. `offset` is where in the stream (bytes from its start) the trouble begins."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(f"{message} (at byte {offset:,})")
        self.offset = offset


class InvalidName(IpfsError):
    """A file or directory name we do not accept, or a text that is no IPNS name."""


class InvalidKey(IpfsError):
    """Not a libp2p key, or one of a type or size we do not accept. The message never shows the key."""


class InvalidRecord(IpfsError):
    """Not an IPNS record of that name: malformed, too large, forged, or only of version 1."""


class PathConflict(IpfsError):
    """Two entries claim one path, or a path is both a file and a directory."""


class LimitExceeded(IpfsError):
    """The data is well-formed but larger, deeper or wider than the caller allowed."""


class BlockMissing(IpfsError):
    """The block source does not have `cid`. Raised by `get` functions; carried through unchanged by readers."""

    def __init__(self, cid: bytes) -> None:
        super().__init__(f"block not found: {cid.hex()}")
        self.cid = cid


class NotFound(IpfsError):
    """A directory on the path has no entry of that name."""


class NotADirectory(IpfsError):
    """The path goes on below something that is not a directory, or a directory was asked for."""


class NotAFile(IpfsError):
    """A file's bytes were asked for, of something that is not a file."""


class NotASymlink(IpfsError):
    """A symlink's target was asked for, of something that is not a symlink."""
