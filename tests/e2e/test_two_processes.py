"""Sign-in with several API processes on one PostgreSQL database: what one of them is told counts at the others."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.hostile import part_pids
from tests.e2e.intruder import SESSION, Client, letter, letters, tokens
from tests.e2e.platform import Running, running
from tests.support.processes import wait_until

pytestmark = pytest.mark.postgres
SEEN_SECONDS = 6.0
MANY: dict[str, Any] = {"AF_RATE_PER_MINUTE_ANONYMOUS": "1000000", "AF_RATE_PER_MINUTE": "1000000"}


@pytest.fixture(scope="module")
def pair(postgres_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, Running]]:
    """`af up` with two HTTP processes, and beside it another instance that serves the API only."""
    url = postgres_server.url(postgres_server.create_database())
    shared = {**MANY, "AF_MASTER_KEY": b64encode(secrets.token_bytes(32)).decode(), "AF_DATABASE_URL": url}
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(running(tmp_path_factory.mktemp("first"), "--workers", "2", **shared))
        second = stack.enter_context(running(tmp_path_factory.mktemp("second"), verb=("serve", "api"), **shared))
        yield first, second


def statuses(port: int, *, times: int = 12, **credentials: Any) -> set[int]:
    """What several connections get, as any process behind the port may take each."""
    return {Client(port, "127.5.0.1", **credentials).get("/auth/me").status for _ in range(times)}


def until_refused(ports: tuple[int, int], **credentials: Any) -> None:
    began = time.monotonic()
    for port in ports:
        wait_until(
            lambda port=port: statuses(port, **credentials) == {401},  # type: ignore[misc]
            seconds=SEEN_SECONDS - (time.monotonic() - began),
            what=f"the end at port {port}",
        )


def ports_of(pair: tuple[Running, Running]) -> tuple[int, int]:
    return pair[0].port, pair[1].port


def test_a_sign_in_begun_at_one_process_is_finished_at_another(pair: tuple[Running, Running]) -> None:
    first, second = pair
    client = Client(first.port, "127.5.1.1")
    assert client.post("/auth/email/request", {"email": "across@example.org"}).status == 200
    there = Client(second.port, "127.5.1.1", cookies=client.cookies)
    done = there.post("/auth/email/verify", {"code": letter(first, "across@example.org").code})
    assert done.status == 200, done
    for port in ports_of(pair):
        assert statuses(port, token=done.json()["accessToken"]) == {200}
    assert client.post("/auth/email/verify", {"code": "000000"}).status == 401  # it is used up here, too


def test_a_session_that_is_ended_at_one_process_ends_at_all(pair: tuple[Running, Running]) -> None:
    first, second = pair
    client = Client(first.port, "127.5.1.2")
    assert client.post("/auth/email/request", {"email": "ends@example.org"}).status == 200
    code = letter(first, "ends@example.org").code
    assert client.post("/auth/email/verify", {"code": code, "session": "cookie"}).status == 200
    stolen = dict(client.cookies)
    access, refresh = tokens(first, "ends@example.org", "127.5.1.3")
    for port in ports_of(pair):
        assert statuses(port, token=access) == statuses(port, cookies=stolen) == {200}
    assert Client(second.port, "127.5.1.3", token=access).post("/auth/logout", {}).status == 200
    until_refused(ports_of(pair), token=access)
    assert Client(first.port, "127.5.1.3").post("/auth/refresh", {"refreshToken": refresh}).status == 401
    assert client.delete("/account/sessions?all=true").status == 200
    until_refused(ports_of(pair), cookies={SESSION: stolen[SESSION]})


def test_a_revoked_access_token_ends_at_all_processes(pair: tuple[Running, Running]) -> None:
    access, _ = tokens(pair[0], "revokes@example.org", "127.5.1.4")
    client = Client(pair[0].port, "127.5.1.4", token=access)
    made = client.post("/tokens", {"name": "to revoke"}).json()["token"]
    for port in ports_of(pair):
        assert statuses(port, token=made["token"]) == {200}
    assert Client(pair[1].port, token=access).delete(f"/tokens/{made['id']}").status == 200
    until_refused(ports_of(pair), token=made["token"])


def test_refreshing_everywhere_at_once_gives_one_successor(pair: tuple[Running, Running]) -> None:
    _, refresh = tokens(pair[0], "races@example.org", "127.5.1.5")

    def ask(number: int) -> Any:
        client = Client(ports_of(pair)[number % 2], f"127.5.2.{number + 1}")
        return client.post("/auth/refresh", {"refreshToken": refresh})

    for _ in range(3):
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(ask, range(12)))
        assert {answer.status for answer in answers} == {200}
        assert len({answer.json()["refreshToken"] for answer in answers}) == 1
        assert len({answer.json()["accessToken"] for answer in answers}) == 1
        refresh = answers[0].json()["refreshToken"]


def test_a_thief_at_another_process_ends_the_family_everywhere(pair: tuple[Running, Running]) -> None:
    access, first = tokens(pair[0], "stolen@example.org", "127.5.1.6")
    owner, thief = Client(pair[0].port, "127.5.1.6"), Client(pair[1].port, "127.5.1.7")
    newest = owner.post("/auth/refresh", {"refreshToken": first}).json()
    wait_until(
        lambda: thief.post("/auth/refresh", {"refreshToken": first}).status == 401, seconds=25, what="the end of grace"
    )
    until_refused(ports_of(pair), token=newest["accessToken"])
    until_refused(ports_of(pair), token=access)
    for client in (owner, thief):
        assert client.post("/auth/refresh", {"refreshToken": newest["refreshToken"]}).status == 401


def test_guesses_are_counted_for_all_processes_together(pair: tuple[Running, Running]) -> None:
    def ask(number: int) -> int:
        client = Client(ports_of(pair)[number % 2], f"127.5.3.{number + 1}")
        return client.post("/auth/email/request", {"email": "limit@example.org"}).status

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, range(24)))
    assert answers.count(200) == 5, answers
    assert set(answers) == {200, 429}
    letter(pair[0], "limit@example.org", 5)
    assert len(letters(pair[0], "limit@example.org")) == 5
    client = Client(pair[0].port, "127.5.4.1")
    assert client.post("/auth/email/request", {"email": "attempts@example.org"}).status == 200

    def guess(number: int) -> str:
        own = Client(ports_of(pair)[number % 2], f"127.5.5.{number + 1}", cookies=dict(client.cookies))
        return own.post("/auth/email/verify", {"code": "abcdef"}).code

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(guess, range(24))).count("wrong_proof") == 5


def test_of_two_processes_one_takes_a_code(pair: tuple[Running, Running]) -> None:
    for turn in range(4):
        client = Client(pair[0].port, f"127.5.6.{turn + 1}")
        email = f"once{turn}@example.org"
        assert client.post("/auth/email/request", {"email": email}).status == 200
        code = letter(pair[0], email).code

        def answer(port: int, client: Client = client, code: str = code) -> int:
            own = Client(port, client.address, cookies=dict(client.cookies))
            return own.post("/auth/email/verify", {"code": code}).status

        with ThreadPoolExecutor(4) as pool:
            assert sorted(pool.map(answer, ports_of(pair) * 2)) == [200, 401, 401, 401]


def test_two_sign_ups_with_one_address_make_one_account(pair: tuple[Running, Running]) -> None:
    clients = []
    for number in range(4):
        client = Client(ports_of(pair)[number % 2], f"127.5.7.{number + 1}")
        assert client.post("/auth/email/request", {"email": "twin@example.org"}).status == 200
        clients.append((client, letter(pair[0], "twin@example.org", number + 1).code))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda each: each[0].post("/auth/email/verify", {"code": each[1]}), clients))
    users = {answer.json()["user"]["id"] for answer in answers if answer.status == 200}
    assert len(users) == 1, answers
    assert {answer.status for answer in answers} <= {200, 401, 409}, answers


def test_an_edge_that_is_killed_in_the_middle_of_a_sign_in_loses_nothing(pair: tuple[Running, Running]) -> None:
    first = pair[0]
    client = Client(first.port, "127.5.1.8")
    assert client.post("/auth/email/request", {"email": "killed@example.org"}).status == 200
    code = letter(first, "killed@example.org").code
    edges = {name: pid for name, pid in part_pids(first).items() if name.startswith("edge-")}
    assert len(edges) == 2
    for pid in edges.values():
        os.kill(pid, signal.SIGKILL)
    wait_until(
        lambda: not set(part_pids(first).values()) & set(edges.values()), seconds=20, what="edges that took their place"
    )
    done = client.post("/auth/email/verify", {"code": code})
    assert done.status == 200, done
    assert statuses(first.port, token=done.json()["accessToken"]) == {200}
    assert client.post("/auth/email/verify", {"code": code}).status == 401


def test_the_audit_chains_hold_after_all_of_it(pair: tuple[Running, Running]) -> None:
    access, _ = tokens(pair[0], "chain@example.org", "127.5.1.9")
    owner = Client(pair[0].port, "127.5.1.9", token=access)
    team = owner.post("/organizations", {"name": "Chained"}).json()["organization"]["id"]

    def change(number: int) -> int:
        client = Client(ports_of(pair)[number % 2], "127.5.1.9", token=access)
        invited = client.post(
            f"/organizations/{team}/invitations", {"email": f"g{number}@example.org", "role": "VIEWER"}
        )
        return invited.status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(change, range(16))) == {201}
    query = "query($o:ID!){organization(where:{id:$o}){auditVerification{entries brokenAt complete}}}"
    found = owner.graphql(query, o=team)
    assert "errors" not in found, found
    verdict = found["data"]["organization"]["auditVerification"]
    assert verdict["brokenAt"] is None
    assert verdict["complete"]
    assert verdict["entries"] >= 17
