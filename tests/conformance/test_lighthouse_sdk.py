"""Our requests to Lighthouse are those of its own SDK, sent to the same stand-in."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from af.core.http import Client
from af.core.settings import Settings
from af.protocols.ipfs import cid as cids
from af.replication.backends.lighthouse import open_lighthouse
from tests.support import answering, filecoin, node
from tests.support.answering import Asked
from tests.support.copies import source_of
from tests.support.filecoin import TOKEN, LighthouseAccount, car_in

pytestmark = pytest.mark.npm

_SCRIPT = """
const [url, token, file, cid] = process.argv.slice(1)
const { lighthouseConfig } = require('@lighthouse-web3/sdk/dist/lighthouse.config.js')
Object.assign(lighthouseConfig, { lighthouseAPI: url, lighthouseNode: url })
const sdk = require('@lighthouse-web3/sdk').default
const uploadCAR = require('@lighthouse-web3/sdk/dist/Lighthouse/upload/car').default
async function main() {
  await sdk.getUploads(token)
  const uploaded = (await uploadCAR(file, token)).data
  await sdk.getFileInfo(cid)
  const deals = (await sdk.dealStatus(cid)).data
  const files = (await sdk.getUploads(token)).data.fileList
  await sdk.deleteFile(token, files[0].id)
  console.log(JSON.stringify({ uploaded, deals }))
}
main().catch((error) => { console.error(error); process.exit(1) })
"""


async def test_our_requests_are_those_of_the_sdk(tmp_path: Path) -> None:
    source, _ = source_of({"index.html": b"<h1>hello</h1>"})
    text = cids.to_text(source.root)
    file = tmp_path / f"{text}.car"
    file.write_bytes(b"".join([piece async for piece in source.car()]))
    folder = node.npm_install("@lighthouse-web3/sdk@0.4.7")
    with answering.running() as server:
        account = LighthouseAccount(deals=[{"chainDealID": 5, "dealStatus": "Sealing: Proving"}])
        server.answers = [account.answer]
        command = [str(node.node()), "-e", _SCRIPT, server.url, TOKEN, str(file), text]
        done = await asyncio.to_thread(
            subprocess.run, command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert (told["uploaded"]["Hash"], told["deals"][0]["chainDealID"]) == (text, 5)
        theirs = [shape(request) for request in server.requests]

        server.requests.clear()
        settings = Settings(lighthouse_api_key=TOKEN, lighthouse_api_url=server.url, lighthouse_upload_url=server.url)
        provider = open_lighthouse(settings, Client())
        receipt = await provider.store(source)
        await provider.status(source.root, receipt.ref)
        await provider.remove(source.root, receipt.ref)
        ours = [shape(request) for request in server.requests]
    assert set(ours) == set(theirs)
    assert filecoin.TOKEN in dict(theirs)["POST /api/v0/dag/import"]


def shape(request: Asked) -> tuple[str, str]:
    """What matters of a request: where, with which arguments, and what is in it."""
    url = urlsplit(request.path)
    body = str(car_in(request.body)) if request.body else ""
    public = url.path.startswith("/api/lighthouse/")  # asked without the token by the SDK; with it by us is the same
    token = "" if public else request.headers.get("Authorization", "")
    arguments = parse_qs(url.query)
    shown = sorted(arguments.items()) if public else sorted(arguments)  # ids and pages are the stand-in's
    return f"{request.method} {url.path}", f"{shown} {token} {body}"
