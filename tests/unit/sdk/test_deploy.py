"""Sending content: what is asked, what goes out, and what a failure leaves. The other side is a store in memory."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from af.protocols.ipfs import car
from af.protocols.ipfs import cid as cids
from af.protocols.ipfs.cid import CID
from af.protocols.ipfs.unixfs import PROFILES
from alternatefutures import Client, deploy
from alternatefutures import folder as folders
from alternatefutures.errors import ApiError, DeploymentFailed, FolderChanged, NotFoundHere, UsageError
from alternatefutures.transport import Transport
from tests.support.answering import Asked, Handler, Server, drop, json_reply, reply, running


class Store:
    """Answers the two content routes and the GraphQL operations of a deployment, for one project with no site."""

    def __init__(self) -> None:
        self.blocks: dict[CID, bytes] = {}
        self.lock = threading.Lock()
        self.cars: list[int] = []
        self.questions: list[int] = []
        self.site: dict[str, object] | None = None
        self.forgets = 0
        self.status = "SUCCESS"

    def __call__(self, handler: Handler, asked: Asked) -> None:
        with self.lock:
            if asked.path.endswith("/missing"):
                answer: dict[str, object] = {"missing": self._missing(json.loads(asked.body)["cids"])}
            elif asked.path.endswith("/car"):
                answer = self._receive(asked.body)
            else:
                document = json.loads(asked.body)
                answer = self._graphql(document["query"].split()[1].partition("(")[0], document["variables"])
        json_reply(answer)(handler, asked)

    def _missing(self, wanted: list[str]) -> list[str]:
        self.questions.append(len(wanted))
        return [text for text in wanted if cids.parse(text) not in self.blocks]

    def _receive(self, body: bytes) -> dict[str, object]:
        reader = car.CarReader()
        received = list(reader.feed(body))
        reader.finish()
        for cid, data in received:
            assert cids.verify(cid, data)
            assert cid not in self.blocks, "a block was sent twice"
            self.blocks[cid] = bytes(data)
        self.cars.append(len(body))
        return {}

    def _graphql(self, name: str, variables: dict[str, object]) -> dict[str, object]:
        if name == "SiteBySlug":
            return {"data": {"siteBySlug": self.site}}
        if name == "CreateSite":
            self.site = {"id": "sit_1", "url": "http://x", "createdAt": "", "currentDeployment": None, **variables}
            return {"data": {"createSite": self.site}}
        assert name == "CreateDeployment", name
        wanted = variables["data"]
        assert isinstance(wanted, dict)
        if self.forgets:
            self.forgets -= 1
            self.blocks.clear()
        if cids.parse(wanted["cid"]) not in self.blocks:
            extensions = {"code": "MISSING_BLOCKS", "kind": "conflict"}
            return {"data": None, "errors": [{"message": "Blocks are missing.", "extensions": extensions}]}
        made = {"id": "dep_1", "status": self.status, "files": 1.0, "bytes": 2.0, "url": "", "current": True}
        rest: dict[str, object] = {"createdAt": "", "error": None, "rejectedRules": []}
        return {"data": {"createDeployment": {**made, **rest, **wanted}}}


@pytest.fixture
def server() -> Iterator[Server]:
    with running() as made:
        yield made


@pytest.fixture
def store(server: Server) -> Store:
    made = Store()
    server.answers = [made]
    return made


def _transport(server: Server) -> Transport:
    return Transport(server.url, "t", "prj_1", give_up_seconds=2.0)


def _client(server: Server) -> Client:
    return Client(url=server.url, token="t", project_id="prj_1")


def _site(folder: Path, **files: bytes) -> Path:
    for name, data in (files or {"index": b"hello", "about": b"about"}).items():
        (folder / f"{name}.html").write_bytes(data)
    return folder


def _plan(folder: Path) -> folders.Plan:
    return folders.plan(folder, profile=PROFILES["unixfs-v1-2025"])


def _quiet(_progress: deploy.Progress) -> None: ...


# --- blocks ---------------------------------------------------------------------------------------------------------


def test_a_long_list_of_blocks_is_asked_in_questions_of_bounded_size(server: Server, store: Store) -> None:
    wanted = [cids.of(0x55, str(number).encode()) for number in range(deploy.QUESTION_CIDS_MAX + 5)]
    store.blocks[wanted[3]] = b"3"
    answer = deploy.missing(_transport(server), "prj_1", wanted)
    assert answer == set(wanted) - {wanted[3]}
    assert store.questions == [deploy.QUESTION_CIDS_MAX, 5]


def test_only_missing_blocks_are_sent_and_counted(tmp_path: Path, server: Server, store: Store) -> None:
    plan = _plan(_site(tmp_path))
    deploy.upload(_transport(server), "prj_1", plan, set(plan.blocks()), _quiet)
    (tmp_path / "index.html").write_bytes(b"hello again")
    changed = _plan(tmp_path)
    before = dict(store.blocks)
    wanted = deploy.missing(_transport(server), "prj_1", changed.blocks())
    sent = deploy.upload(_transport(server), "prj_1", changed, wanted, _quiet)
    new = {cid: data for cid, data in store.blocks.items() if cid not in before}
    assert changed.root in new
    assert sent == deploy.Uploaded(files=1, bytes=sum(map(len, new.values())))


def test_large_content_goes_in_several_archives_of_bounded_size(tmp_path: Path, server: Server, store: Store) -> None:
    size = 3 * deploy.CAR_BYTES + 100
    (tmp_path / "video.bin").write_bytes(b"".join(number.to_bytes(4, "big") for number in range(size // 4)))
    plan = _plan(tmp_path)
    seen: list[deploy.Progress] = []
    deploy.upload(_transport(server), "prj_1", plan, set(plan.blocks()), seen.append)
    assert set(store.blocks) == set(plan.blocks())
    assert len(store.cars) == 4
    assert max(store.cars) <= deploy.CAR_BYTES + 2 * car.MAX_BLOCK_BYTES
    assert max(progress.bytes for progress in seen) == sum(map(len, store.blocks.values()))
    assert all(progress.bytes <= progress.bytes_total for progress in seen)


def test_a_dropped_archive_is_sent_again(tmp_path: Path, server: Server, store: Store) -> None:
    server.answers = [drop, reply(503), store]
    plan = _plan(_site(tmp_path))
    deploy.upload(_transport(server), "prj_1", plan, set(plan.blocks()), _quiet)
    assert set(store.blocks) == set(plan.blocks())


def test_a_refused_archive_ends_the_upload_with_the_platforms_words(tmp_path: Path, server: Server) -> None:
    (tmp_path / "video.bin").write_bytes(b"".join(n.to_bytes(4, "big") for n in range(6 * deploy.CAR_BYTES // 4)))
    server.answers = [json_reply({"title": "quota_exceeded", "detail": "No space is left."}, 402)]
    plan = _plan(tmp_path)
    with pytest.raises(ApiError, match="No space is left") as caught:
        deploy.upload(_transport(server), "prj_1", plan, set(plan.blocks()), _quiet)
    assert caught.value.exit_code == 7
    assert len(server.requests) <= 1 + deploy.PARALLEL, "it goes no further after the first refusal"


def test_a_file_that_changes_meanwhile_ends_the_upload(tmp_path: Path, server: Server, store: Store) -> None:
    plan = _plan(_site(tmp_path))
    (tmp_path / "index.html").write_bytes(b"changed")
    with pytest.raises(FolderChanged):
        deploy.upload(_transport(server), "prj_1", plan, set(plan.blocks()), _quiet)
    assert plan.root not in store.blocks


# --- Client.deploy --------------------------------------------------------------------------------------------------


def test_a_deployment_makes_the_site_and_reports_what_was_sent(tmp_path: Path, server: Server, store: Store) -> None:
    phases: list[str] = []
    made = _client(server).deploy(_site(tmp_path), "My Blog", report=lambda progress: phases.append(progress.phase))
    assert store.site is not None
    assert (store.site["name"], store.site["slug"]) == ("My Blog", "my-blog")
    assert made.root == made.deployment.cid == cids.to_text(_plan(tmp_path).root)
    assert (made.files, made.bytes, made.uploaded.files) == (2, 10, 2)
    assert made.case_clashes == []
    assert list(dict.fromkeys(phases)) == ["hash", "upload", "publish"]


def test_the_same_folder_again_sends_nothing(tmp_path: Path, server: Server, store: Store) -> None:
    _client(server).deploy(_site(tmp_path), "blog")
    again = _client(server).deploy(tmp_path, "blog")
    assert again.uploaded == deploy.Uploaded()
    assert len(store.cars) == 1


def test_blocks_that_were_collected_meanwhile_are_sent_again(tmp_path: Path, server: Server, store: Store) -> None:
    store.forgets = 1
    made = _client(server).deploy(_site(tmp_path), "blog")
    assert made.deployment.status == "ready"
    assert len(store.cars) == 2


def test_a_platform_that_keeps_losing_blocks_is_not_asked_for_ever(
    tmp_path: Path, server: Server, store: Store
) -> None:
    store.forgets = 100
    with pytest.raises(ApiError, match="missing"):
        _client(server).deploy(_site(tmp_path), "blog")
    assert len(store.cars) == 3


def test_a_deployment_that_ends_otherwise_than_ready_is_a_failure(tmp_path: Path, server: Server, store: Store) -> None:
    store.status = "FAILED"
    with pytest.raises(DeploymentFailed, match="failed"):
        _client(server).deploy(_site(tmp_path), "blog")


def test_a_name_without_letters_and_an_unknown_id_make_no_site(tmp_path: Path, server: Server, store: Store) -> None:
    with pytest.raises(UsageError):
        _client(server).deploy(_site(tmp_path), "…")
    server.answers = [json_reply({"data": {"site": None}})]
    with pytest.raises(NotFoundHere):
        _client(server).deploy(tmp_path, "sit_unknown")
    assert store.site is None


def test_names_that_clash_by_case_are_in_the_result(tmp_path: Path, server: Server, store: Store) -> None:
    made = _client(server).deploy(_site(tmp_path, index=b"1", Index=b"2"), "blog")
    assert made.case_clashes == [("Index.html", "index.html")]
