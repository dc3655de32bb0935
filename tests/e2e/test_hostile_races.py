"""Many at once: deploys of one site, renames, deletions, hammering readers, streams that come and go."""

from __future__ import annotations

import collections
import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from af.protocols.ipfs import cid as cids
from tests.e2e import hostile
from tests.e2e.hostile import af, car_of, dag, deploy, graphql, host_of, post, write
from tests.e2e.platform import Running, running
from tests.support.processes import wait_until

CREATE = "mutation($s:ID!,$c:String!){createDeployment(data:{siteId:$s,cid:$c}){id cid status}}"


@pytest.fixture(scope="module", params=["1", "2"], ids=["one edge", "two edges"])
def platform(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    limits = {"AF_RATE_PER_MINUTE": "100000"}
    with running(tmp_path_factory.mktemp("races"), "--workers", request.param, **limits) as started:
        yield started


def uploaded(platform: Running, text: bytes) -> str:
    """The CID of a page that is in the store."""
    root, blocks = dag({"index.html": text})
    assert post(platform, "/v1/projects/default/content/car", car_of(root, blocks.items())).status == 200
    return cids.to_text(root)


def new_site(platform: Running, name: str) -> str:
    made = platform.graphql("mutation($n:String!){createSite(data:{name:$n}){id}}", n=name)
    return str(made["createSite"]["id"])


def at_once(*actions: Callable[[], Any]) -> list[Any]:
    """What they return, having started together."""
    together = threading.Barrier(len(actions))

    def run(action: Callable[[], Any]) -> Any:
        together.wait(20)
        return action()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(run, actions))


def test_deploys_of_one_site_at_once_end_with_one_of_them_current(platform: Running) -> None:
    site = new_site(platform, "contended")
    texts = [f"version {number}".encode() for number in range(12)]
    roots = [uploaded(platform, text) for text in texts]
    answers = at_once(*(lambda root=root: graphql(platform, CREATE, s=site, c=root) for root in roots))
    assert not [answer for answer in answers if "errors" in answer], answers
    shown = platform.graphql("query($s:ID){site(where:{id:$s}){currentDeployment{cid current}}}", s=site)
    current = shown["site"]["currentDeployment"]["cid"]
    for _ in range(10):
        assert platform.request("/", host="contended.localhost").body == texts[roots.index(current)]


def test_the_same_deploy_many_times_at_once_is_one_deployment(platform: Running) -> None:
    site = new_site(platform, "same")
    root = uploaded(platform, b"the same")
    answers = at_once(*[lambda: graphql(platform, CREATE, s=site, c=root)] * 12)
    assert len({answer["data"]["createDeployment"]["id"] for answer in answers}) == 1, answers
    listed = platform.graphql("query($s:ID!){deployments(siteId:$s){id}}", s=site)["deployments"]
    assert len(listed) == 1


def test_one_slug_goes_to_one_site(platform: Running) -> None:
    make = 'mutation($n:String!){createSite(data:{name:$n,slug:"wanted"}){id}}'
    answers = at_once(*(lambda n=n: graphql(platform, make, n=f"Site {n}") for n in range(12)))
    assert sum("errors" not in answer for answer in answers) == 1, answers
    codes = {answer["errors"][0]["extensions"]["code"] for answer in answers if "errors" in answer}
    assert codes == {"SLUG_TAKEN"}


def test_renames_to_one_slug_leave_every_site_reachable_once(platform: Running) -> None:
    names = [f"mover-{number}" for number in range(6)]
    ids = {name: new_site(platform, name) for name in names}
    for name in names:
        graphql(platform, CREATE, s=ids[name], c=uploaded(platform, name.encode()))
    rename = "mutation($s:ID!,$t:String!){updateSite(where:{id:$s},data:{slug:$t}){slug}}"
    answers = at_once(*(lambda name=name: graphql(platform, rename, s=ids[name], t="goal") for name in names))
    winners = [name for name, answer in zip(names, answers, strict=True) if "errors" not in answer]
    assert len(winners) == 1, answers
    assert platform.request("/", host="goal.localhost").body == winners[0].encode()
    assert platform.request("/", host=f"{winners[0]}.localhost").status == 404
    for name in set(names) - set(winners):
        assert platform.request("/", host=f"{name}.localhost").body == name.encode()


def test_two_sites_can_swap_their_slugs_only_by_a_third(platform: Running) -> None:
    a, b = new_site(platform, "swap-a"), new_site(platform, "swap-b")
    rename = "mutation($s:ID!,$t:String!){updateSite(where:{id:$s},data:{slug:$t}){slug}}"
    at_once(
        *[lambda: graphql(platform, rename, s=a, t="swap-b"), lambda: graphql(platform, rename, s=b, t="swap-a")] * 4
    )
    slugs = {platform.graphql("query($s:ID){site(where:{id:$s}){slug}}", s=site)["site"]["slug"] for site in (a, b)}
    assert slugs == {"swap-a", "swap-b"}


def test_a_site_deleted_during_deploys_is_gone_and_nothing_serves_it(platform: Running) -> None:
    for round_number in range(6):
        site = new_site(platform, f"doomed-{round_number}")
        roots = [uploaded(platform, f"{round_number}-{number}".encode()) for number in range(4)]
        delete = f'mutation{{deleteSite(where:{{id:"{site}"}}){{id}}}}'
        answers = at_once(
            *(lambda root=root, site=site: graphql(platform, CREATE, s=site, c=root) for root in roots),
            lambda delete=delete: graphql(platform, delete),
        )
        assert "errors" not in answers[-1]
        for answer in answers[:-1]:
            if "errors" in answer:
                assert answer["errors"][0]["extensions"]["code"] in ("SITE_NOT_FOUND", "NOT_FOUND"), answer
            else:
                label = answer["data"]["createDeployment"]["id"]
                assert graphql(platform, f'{{deployment(where:{{id:"{label}"}}){{id}}}}').get("errors")
        assert platform.request("/", host=f"doomed-{round_number}.localhost").status == 404


def test_200_readers_see_no_failure_during_deploys_and_rollbacks(platform: Running) -> None:
    site = new_site(platform, "flip")
    texts = [b"A" * 2_000, b"B" * 2_000]
    roots = [uploaded(platform, text) for text in texts]
    for root in roots:
        graphql(platform, CREATE, s=site, c=root)
    outcomes: collections.Counter[str] = collections.Counter()
    stop = threading.Event()

    def read() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", platform.port, timeout=20)
        while not stop.is_set():
            try:
                connection.request("GET", "/", headers={"Host": "flip.localhost"})
                response = connection.getresponse()
                body = response.read()
                outcomes["ok" if response.status == 200 and body in texts else f"{response.status}"] += 1
            except (OSError, http.client.HTTPException) as error:
                outcomes[repr(error)] += 1
                connection.close()
        connection.close()

    readers = [threading.Thread(target=read) for _ in range(200)]
    for reader in readers:
        reader.start()
    try:
        flip = "mutation($s:ID!){rollbackSite(where:{siteId:$s}){id cid}}"
        for _ in range(15):
            answer = graphql(platform, flip, s=site)
            assert "errors" not in answer, answer
            expected = texts[roots.index(answer["data"]["rollbackSite"]["cid"])]
            assert platform.request("/", host="flip.localhost").body == expected, "an answer after it is an older one"
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert set(outcomes) == {"ok"}, outcomes
    assert outcomes["ok"] > 500


def test_50_sites_are_deployed_at_once(platform: Running) -> None:
    roots = {number: uploaded(platform, f"site {number}".encode()) for number in range(50)}

    def publish(number: int) -> Any:
        site = new_site(platform, f"many-{number}")
        return graphql(platform, CREATE, s=site, c=roots[number])

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(publish, range(50)))
    assert not [answer for answer in answers if "errors" in answer]
    for number in range(50):
        assert platform.request("/", host=f"many-{number}.localhost").body == f"site {number}".encode()


def test_streams_that_come_and_go_leave_nothing_open(platform: Running) -> None:
    token = platform.profile()["token"]
    head = (
        f"GET /v1/projects/default/events HTTP/1.1\r\nHost: localhost:{platform.port}\r\n"
        f"Authorization: Bearer {token}\r\nAccept: text/event-stream\r\n\r\n"
    ).encode()
    edges = [pid for name, pid in hostile.part_pids(platform).items() if name.startswith("edge")]

    def sockets() -> int:
        return sum(
            os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
            for pid in edges
            for fd in os.listdir(f"/proc/{pid}/fd")
        )

    before = sockets()
    for _ in range(5):
        streams = []
        for _ in range(15):
            connection = socket.create_connection(("127.0.0.1", platform.port), timeout=10)
            connection.sendall(head)
            streams.append(connection)
        assert all(b" 200 " in connection.recv(200) for connection in streams)
        for connection in streams:
            connection.close()
    new_site(platform, f"event-{before}-{time.monotonic_ns()}")
    wait_until(lambda: sockets() <= before + 3, seconds=20, what="the streams' sockets are closed")


def test_a_command_line_each_at_once_all_succeed(platform: Running, tmp_path: Path) -> None:
    """Ten `af deploy` of ten folders, with the same large file in each, which must not be sent ten times at rest."""
    shared = os.urandom(1 << 20)
    folders = [write(tmp_path / f"cli-{n}", {"index.html": str(n).encode(), "shared.bin": shared}) for n in range(6)]
    done = at_once(*(lambda folder=folder: af(platform, "deploy", folder, "--json") for folder in folders))
    assert [one.code for one in done] == [0] * 6, [one.err for one in done]
    for number, one in enumerate(done):
        assert platform.request("/", host=host_of(one.json["site"]["url"])).body == str(number).encode()


def test_rollback_of_a_fresh_site_says_why_not(platform: Running, tmp_path: Path) -> None:
    site = deploy(platform, write(tmp_path / "lonely", {"index.html": b"x"}))["site"]
    done = af(platform, "rollback", "--site", site["slug"], "--json")
    assert done.code in (5, 6)
    assert json.loads(done.out)["error"]["message"]
