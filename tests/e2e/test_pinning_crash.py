"""A worker that is killed while it fetches content for a pin request."""

from __future__ import annotations

import io
import os
import signal
import threading
from pathlib import Path

from af.protocols.ipfs import cid as cids
from af.protocols.ipfs import unixfs
from af.protocols.ipfs.cid import CID
from tests.e2e.hostile import part_pids
from tests.e2e.platform import running
from tests.e2e.test_pinning import Pins, served
from tests.support import trustless
from tests.support.answering import Asked, Handler
from tests.support.processes import wait_until

FILES = {"index.html": b"<h1>survives</h1>", "deep/large.bin": os.urandom(3_000_000)}


def content() -> tuple[CID, dict[CID, bytes]]:
    blocks: dict[CID, bytes] = {}
    entries = [(path, unixfs.import_file(io.BytesIO(data).read, blocks.__setitem__)) for path, data in FILES.items()]
    return unixfs.build_tree(entries, blocks.__setitem__).cid, blocks


def test_another_worker_goes_on_where_a_killed_one_was(tmp_path: Path) -> None:
    root, blocks = content()
    last = cids.of(cids.RAW, FILES["deep/large.bin"][2 << 20 :])
    assert last in blocks
    released, reached = threading.Event(), threading.Event()
    with trustless.gateway(blocks) as gateway:

        def hold_back(handler: Handler, asked: Asked) -> None:
            reached.set()
            released.wait(60)
            gateway.broken.pop(last, None)
            gateway.answer(handler, asked)

        gateway.broken[last] = hold_back
        with running(tmp_path, AF_PRIVATE_ORIGINS=gateway.url) as platform:
            pins = Pins(platform)
            asked = pins.add(cids.to_text(root), origins=[gateway.url])
            assert reached.wait(30)
            worker = part_pids(platform)["worker"]
            os.kill(worker, signal.SIGKILL)
            released.set()
            wait_until(lambda: part_pids(platform)["worker"] != worker, seconds=30, what="another worker")
            ended = pins.wait(asked, seconds=60)
            assert ended["status"] == "pinned", ended
            assert served(platform, cids.to_text(root), "deep/large.bin") == FILES["deep/large.bin"]
        assert gateway.asked.count(f"raw {cids.to_text(root)}") == 1
