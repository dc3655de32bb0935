"""Stand-ins for Lighthouse and a Filecoin Pin daemon, as their published programs speak (@lighthouse-web3/sdk 0.4.7,
filecoin-pin 0.13); what they are asked is kept in the server's ``requests``."""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from tests.support.answering import Asked, Handler, json_reply, reply

TOKEN = "a-token-of-the-test"
PIECE = "bafkzcibcpyb27o24t72nwi4xht5fa2qbxtmudzlwujracfd75mmrcuwseigrelq"
_FORM = re.compile(
    rb"\A--(?P<b>[^\r\n]+)\r\n.*?filename=\"(?P<n>[^\"]*)\".*?\r\n\r\n(?P<car>.*)\r\n--(?P=b)--", re.DOTALL
)


def car_in(form: bytes) -> tuple[list[CID], dict[CID, bytes]]:
    """The roots and blocks of the CAR in a form's file; every block is checked."""
    matched = _FORM.search(form)
    assert matched, form[:300]
    reader = car.CarReader(max_block_bytes=4 << 20)
    blocks = dict(reader.feed(matched["car"]))
    reader.finish()
    assert all(cids.verify(cid, data) for cid, data in blocks.items())
    return list(reader.roots or ()), blocks


@dataclass
class LighthouseAccount:
    """One account; `answer` is for `tests.support.answering`. ``deals`` are given for every file."""

    files: list[dict[str, Any]] = field(default_factory=list)
    blocks: dict[str, bytes] = field(default_factory=dict)
    deals: list[dict[str, Any]] = field(default_factory=list)
    page: int = 2

    def answer(self, handler: Handler, asked: Asked) -> None:
        url = urlsplit(asked.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        public = url.path.startswith(("/ipfs/", "/api/lighthouse/"))
        if not public and asked.headers.get("Authorization") != f"Bearer {TOKEN}":
            json_reply({"error": "Auth Failed"}, 401)(handler, asked)
            return
        route = f"{asked.method} {url.path if not url.path.startswith('/ipfs/') else '/ipfs/'}"
        match route:
            case "POST /api/v0/dag/import":
                answer = self._imported(asked.body)
            case "GET /api/lighthouse/file_info":
                found = [file for file in self.files if file["cid"] == query["cid"]]
                answer = json_reply(found[0]) if found else json_reply({"error": "Not Found"}, 404)
            case "GET /api/lighthouse/deal_status":
                answer = json_reply(self.deals)
            case "GET /api/user/files_uploaded":
                ids = [file["id"] for file in self.files]
                start = ids.index(query["lastKey"]) + 1 if query["lastKey"] in ids else 0
                answer = json_reply({"fileList": self.files[start : start + self.page], "totalFiles": len(self.files)})
            case "DELETE /api/user/delete_file":
                self.files = [file for file in self.files if file["id"] != query["id"]]
                answer = json_reply({"message": "File deleted successfully."})
            case "GET /ipfs/":
                data = self.blocks.get(url.path.removeprefix("/ipfs/"))
                answer = reply(404) if data is None else reply(200, data, "application/vnd.ipld.raw")
            case _:
                answer = json_reply({"error": route}, 404)
        answer(handler, asked)

    def _imported(self, form: bytes) -> Any:
        (root,), blocks = car_in(form)
        self.blocks |= {cids.to_text(cid): data for cid, data in blocks.items()}
        text = cids.to_text(root)
        self.add(text)
        return json_reply({"Name": f"{text}.car", "Hash": text, "Size": str(sum(map(len, blocks.values())))})

    def add(self, text: str) -> None:
        self.files.append({"id": f"file-{len(self.files)}", "cid": text, "fileName": text, "fileSizeInBytes": "1"})


@dataclass
class PinDaemon:
    """A Filecoin Pin daemon, with its peculiarities. `finish` ends what it is doing."""

    pins: dict[str, dict[str, Any]] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def answer(self, handler: Handler, asked: Asked) -> None:
        url = urlsplit(asked.path)
        if not asked.headers.get("Authorization", "").startswith("Bearer "):
            json_reply({"error": "Missing or invalid authorization header"}, 401)(handler, asked)
            return
        pin_id = url.path.removeprefix("/pins").removeprefix("/")
        if asked.method == "POST" and not pin_id:
            body = json.loads(asked.body)
            made = f"pin-1764000000000-{next(self._numbers)}"
            self.pins[made] = {
                "requestid": made, "status": "queued", "created": "2026-01-01T00:00:00.000Z", "delegates": [],
                "pin": {"cid": body["cid"], "name": body["name"]}, "info": {"status": "initializing"},
            }  # fmt: skip
            answer = json_reply(self.pins[made], 202)
        elif asked.method == "GET" and not pin_id:
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            found = [pin for pin in self.pins.values() if pin["pin"]["cid"] == query.get("cid", pin["pin"]["cid"])]
            found = [pin for pin in found if pin["status"] == query.get("status", pin["status"])]
            answer = json_reply({"count": len(found), "results": found})
        elif asked.method == "DELETE":
            self.pins.pop(pin_id, None)
            answer = reply(202, b"")
        elif pin_id in self.pins:
            answer = json_reply(self.pins[pin_id])
        else:
            answer = json_reply({"error": "Pin not found"}, 404)
        answer(handler, asked)

    def finish(self, *, missing: int = 0, error: str = "") -> None:
        for pin in self.pins.values():
            if error:
                pin |= {"status": "failed", "info": {"status": "failed", "error": error}}
            else:
                pin |= {
                    "status": "pinned",
                    "info": {
                        "status": "pinned", "missing_blocks": str(missing), "synapse_piece_cid": PIECE,
                        "synapse_piece_id": "3", "synapse_data_set_id": "17",
                    },
                }  # fmt: skip
