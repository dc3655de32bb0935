"""`Client`: the platform as Python values; one method per thing that `af` can do."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

from alternatefutures import operations
from alternatefutures.errors import ApiError, ContentWrong, NotFoundHere, UsageError
from alternatefutures.models import Deployment, Pin, Project, SignedInSession, Site, Token, User, build, whole
from alternatefutures.nouns import Nouns
from alternatefutures.transport import HOURS_SECONDS, PIECE_BYTES, Transport, segment

if TYPE_CHECKING:
    from alternatefutures.credentials import Credential
    from alternatefutures.deploy import DeployResult, Report, Uploaded
    from alternatefutures.models import Collected, DeploymentDiff, ImportReceipt, LogEntry, Scrubbed, StorageStats

DEFAULT_URL = "http://localhost:8787"
SLUG_LENGTH_MAX = 40
_PAGES_MAX = 1000


def slug_of(name: str) -> str:
    """The slug that a name becomes: lower case, runs of other characters to ``-``, at most 40 characters."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:SLUG_LENGTH_MAX].strip("-")


class Client(Nouns):
    """Calls to one platform. Arguments fall back to ``AF_API_URL``, ``AF_TOKEN`` and ``AF_PROJECT_ID``.

    ``refresh`` returns the newest token that is known; it is asked when the present one is no longer taken (say, in a
    long upload). ``credential`` stands in for both: a `credentials.Session` renews its tokens by itself.
    All methods raise `SdkError`: `ApiError` for a refusal, `NetworkError` when the platform is away.
    """

    def __init__(
        self,
        *,
        url: str | None = None,
        token: str | None = None,
        project_id: str | None = None,
        refresh: Callable[[], str] | None = None,
        credential: Credential | None = None,
    ) -> None:
        shown: str | Credential = token if token is not None else os.environ.get("AF_TOKEN", "")
        self.transport = Transport(
            url or os.environ.get("AF_API_URL") or DEFAULT_URL,
            shown if credential is None else credential,
            project_id or os.environ.get("AF_PROJECT_ID", ""),
            refresh=refresh,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    # Who am I, projects, tokens

    def me(self) -> User | None:
        """The signed-in user, or `None` for an anonymous client."""
        document = self.transport.graphql(operations.ME)["me"]
        return build(User, document) if document else None

    def login_link(self) -> str:
        """A link that signs this user in once, in a browser."""
        document = self.transport.graphql(operations.LOGIN_LINK, idempotent=False)
        return str(document["createLoginLink"]["url"])

    def projects(self) -> list[Project]:
        return [build(Project, row) for row in self._pages(operations.PROJECTS, "projects")]

    def project(self) -> Project:
        """The project that calls act on: the selected one, else the only one, else the one called ``default``."""
        found = self.projects()
        wanted = self.transport.project_id
        if wanted:
            chosen = [p for p in found if wanted in (p.id, p.slug)]
        else:
            chosen = found if len(found) == 1 else [p for p in found if p.slug == "default"]
        if not chosen:
            raise NotFoundHere(
                f"No project {wanted!r}." if wanted else "No project is selected.",
                hint="Choose one: set AF_PROJECT_ID to an id from `af projects list`.",
            )
        self.transport.project_id = chosen[0].id
        return chosen[0]

    def create_project(self, name: str) -> Project:
        data = self.transport.graphql(operations.CREATE_PROJECT, {"name": name}, idempotent=False)
        return build(Project, data["createProject"])

    def delete_project(self, project_id: str) -> None:
        self.transport.graphql(operations.DELETE_PROJECT, {"id": project_id})

    def tokens(self) -> list[Token]:
        data = self.transport.graphql(operations.TOKENS)
        return [build(Token, row) for row in data["personalAccessTokens"]["data"]]

    def create_token(
        self,
        name: str,
        *,
        scopes: list[str] | None = None,
        expires_at: str | None = None,
        project_id: str | None = None,
    ) -> Token:
        variables = {"name": name, "scopes": scopes, "expiresAt": expires_at, "projectId": project_id}
        data = self.transport.graphql(operations.CREATE_TOKEN, variables, idempotent=False)
        return build(Token, data["createPersonalAccessToken"])

    def revoke_token(self, token_id: str) -> None:
        self.transport.graphql(operations.DELETE_TOKEN, {"id": token_id})

    def sessions(self) -> list[SignedInSession]:
        """Where the user is signed in, newest first. For a session, not for an access token."""
        answer = self.transport.request("GET", "/account/sessions").json()
        return [build(SignedInSession, row) for row in answer["sessions"]]

    def revoke_session(self, session_id: str) -> None:
        self.transport.request("DELETE", f"/account/sessions/{segment(session_id)}")

    def revoke_sessions(self, *, own_too: bool = False) -> int:
        """End all other sessions, with ``own_too`` this one as well; how many they were."""
        path = "/account/sessions?all=true" if own_too else "/account/sessions"
        return int(self.transport.request("DELETE", path).json()["revoked"])

    # Sites and deployments

    def sites(self) -> list[Site]:
        self._select_project()
        return [build(Site, row) for row in self._pages(operations.SITES, "sites")]

    def site(self, name: str) -> Site | None:
        """The site with this id, slug or name (whose slug it has), or `None`."""
        self._select_project()
        if name.startswith("sit_"):
            document = self._absent_is_none(operations.SITE, {"id": name}, "site")
        else:
            document = self._absent_is_none(operations.SITE_BY_SLUG, {"slug": _slug_or_raise(name)}, "siteBySlug")
        return build(Site, document) if document else None

    def create_site(self, name: str, *, slug: str | None = None) -> Site:
        self._select_project()
        data = self.transport.graphql(operations.CREATE_SITE, {"name": name, "slug": slug}, idempotent=False)
        return build(Site, data["createSite"])

    def rename_site(self, site_id: str, *, name: str | None = None, slug: str | None = None) -> Site:
        variables = {"id": site_id, "name": name, "slug": slug}
        return build(Site, self.transport.graphql(operations.UPDATE_SITE, variables)["updateSite"])

    def delete_site(self, site_id: str) -> None:
        self.transport.graphql(operations.DELETE_SITE, {"id": site_id})

    def deployments(self, site_id: str) -> list[Deployment]:
        rows = self.transport.graphql(operations.DEPLOYMENTS, {"siteId": site_id})["deployments"]
        return [build(Deployment, row) for row in rows]

    def deployment(self, deployment_id: str) -> tuple[Deployment, Site]:
        document = self._absent_is_none(operations.DEPLOYMENT, {"id": deployment_id}, "deployment")
        if not document:
            raise NotFoundHere(f"No deployment {deployment_id}.", hint="`af sites deployments SITE` lists them.")
        return build(Deployment, document), build(Site, document["site"])

    def create_deployment(
        self, site_id: str, cid: str, *, production: bool = True, message: str | None = None
    ) -> Deployment:
        """Make a root that the project already holds the site's new deployment; repeating it changes nothing."""
        wanted = {"siteId": site_id, "cid": cid, "production": production, "message": message}
        data = self.transport.graphql(operations.CREATE_DEPLOYMENT, {"data": wanted})
        return build(Deployment, data["createDeployment"])

    def promote(self, deployment_id: str) -> tuple[Deployment, Site]:
        document = self.transport.graphql(operations.PROMOTE, {"id": deployment_id})["promoteDeployment"]
        return build(Deployment, document), build(Site, document["site"])

    def rollback(self, site_id: str, deployment_id: str | None = None) -> tuple[Deployment, Site]:
        variables = {"siteId": site_id, "deploymentId": deployment_id}
        document = self.transport.graphql(operations.ROLLBACK, variables, idempotent=deployment_id is not None)
        return build(Deployment, document["rollbackSite"]), build(Site, document["rollbackSite"]["site"])

    def diff(self, before: str, after: str) -> DeploymentDiff:
        """What changed between two deployments: files with sizes, redirect and header rules."""
        document = self.transport.graphql(operations.DIFF, {"from": before, "to": after})
        return cast("DeploymentDiff", whole(document["deploymentDiff"]))

    def deployment_logs(self, deployment_id: str, *, follow: bool = False) -> Iterator[LogEntry]:
        """What was recorded about a deployment, oldest first.

        With ``follow`` it goes on with live entries until the deployment is final.
        """
        last = 0
        for entry in self.transport.graphql(operations.DEPLOYMENT_LOGS, {"id": deployment_id})["deployment"]["logs"]:
            last = int(entry.pop("id"))
            yield entry
        if not follow:
            return
        topic = segment(f"deployment:{deployment_id}")
        path = f"/v1/projects/{segment(self._select_project())}/events?topic={topic}"
        for event in self.transport.events(path, after=str(last)):
            if isinstance(event.data, dict) and "message" in event.data:
                yield cast("LogEntry", {key: event.data.get(key) for key in ("timestamp", "level", "message")})
            if isinstance(event.data, dict) and event.data.get("final"):
                return

    def deploy(
        self,
        folder: str | Path,
        site: str,
        *,
        production: bool = True,
        message: str | None = None,
        profile: str = "unixfs-v1-2025",
        hidden: bool = False,
        report: Report | None = None,
    ) -> DeployResult:
        """Publish ``folder`` as the next deployment of ``site`` (id, slug or name; made when it does not exist).

        Only blocks that the project does not hold are sent. ``report`` is told how far it is.
        :raises FolderError: the folder cannot be published as it is.
        :raises FolderChanged: a file changed meanwhile.
        """
        from concurrent.futures import ThreadPoolExecutor

        from af.protocols.ipfs import cid as cids
        from af.protocols.ipfs.unixfs import PROFILES
        from alternatefutures import deploy
        from alternatefutures.folder import plan

        told = report or deploy.silent
        started = time.monotonic()
        with ThreadPoolExecutor(1) as beside:  # the platform answers while files are hashed here
            found = beside.submit(self.site, site)
            planned = plan(
                Path(folder),
                profile=PROFILES[profile],
                hidden=hidden,
                on_file=lambda files, size: told(deploy.Progress("hash", files=files, bytes=size)),
            )
            target = found.result()
        if target is None and site.startswith("sit_"):
            raise NotFoundHere(f"There is no site {site!r}.", hint="`af sites list` shows the sites.")
        if target is None:
            # With its slug, so that a name that is taken or reserved is refused, not changed into another.
            target = self.create_site(site, slug=_slug_or_raise(site))
        site_id, root = target.id, cids.to_text(planned.root)
        deployment, uploaded = deploy.publish(
            self.transport,
            self._select_project(),
            planned,
            lambda: self.create_deployment(site_id, root, production=production, message=message),
            told,
        )
        return deploy.DeployResult(
            site=target,
            deployment=deployment,
            root=root,
            files=planned.files,
            bytes=planned.bytes,
            uploaded=uploaded,
            duration_ms=round((time.monotonic() - started) * 1000),
            hidden_skipped=planned.hidden_skipped,
            case_clashes=planned.case_clashes,
        )

    # Content

    def pins(self) -> list[Pin]:
        self._select_project()
        return [build(Pin, row) for row in self._pages(operations.PINS, "pins")]

    def add(
        self,
        path: str | Path,
        *,
        profile: str = "unixfs-v1-2025",
        hidden: bool = False,
        name: str | None = None,
        wrap: bool = False,
        report: Report | None = None,
    ) -> tuple[Pin, Uploaded]:
        """Store a file or folder and pin its root under ``name`` (by default its own name). With ``wrap`` a file is put
        into a folder. The CID is computed here; a platform that names another one is not believed.

        :raises FolderError, FolderChanged, ContentWrong:
        """
        root, uploaded = self.files.upload(path, profile=profile, hidden=hidden, wrap=wrap, report=report)
        pin = self.files.pin(root, name=name or Path(path).resolve().name)
        if pin.cid != root:
            raise ContentWrong(f"The platform kept {pin.cid}; what was sent is {root}.")
        return pin, uploaded

    def unpin(self, cid: str) -> None:
        self._select_project()
        self.transport.graphql(operations.DELETE_PIN, {"cid": cid})

    def import_car(
        self, path: str | Path, *, public: bool = True, count: Callable[[int], None] = lambda _bytes: None
    ) -> ImportReceipt:
        """Send a CAR file; roots need not be complete: the answer's ``complete`` says whether they are. ``count`` is
        told how many bytes were sent."""
        source = Path(path)

        def body() -> Iterator[bytes | memoryview]:
            with source.open("rb") as file:
                while part := file.read(PIECE_BYTES):
                    yield part
                    count(file.tell())

        project = self._select_project()
        target = f"/v1/projects/{segment(project)}/content/import?public={'true' if public else 'false'}"
        kind = "application/vnd.ipld.car"
        reply = self.transport.request("POST", target, body=body, content_type=kind, read_seconds=HOURS_SECONDS)
        return cast("ImportReceipt", reply.json())

    def export_car(self, cid: str) -> Iterator[bytes]:
        """The DAG under ``cid`` as a CAR."""
        project = self._select_project()
        return self.transport.download(f"/v1/projects/{segment(project)}/content/{segment(cid)}.car")

    def read_file(self, cid: str, path: str = "") -> Iterator[bytes]:
        """The bytes of one file under ``cid``."""
        project = self._select_project()
        inner = "/".join(segment(part) for part in path.split("/") if part)
        return self.transport.download(f"/v1/projects/{segment(project)}/content/{segment(cid)}/file/{inner}")

    def storage_stats(self) -> StorageStats:
        return cast("StorageStats", whole(self.transport.graphql(operations.STORAGE_STATS)["blockStoreStats"]))

    def collect_garbage(self, *, dry_run: bool) -> Collected:
        """Free the blocks that nothing needs, of all projects; for the operator of the platform."""
        answer = self.transport.graphql(operations.COLLECT, {"dryRun": dry_run}, read_seconds=HOURS_SECONDS)
        return cast("Collected", whole(answer["collectGarbage"]))

    def scrub(self) -> Scrubbed:
        """Hash every stored block again; for the operator of the platform."""
        answer = self.transport.graphql(operations.SCRUB, read_seconds=HOURS_SECONDS)
        return cast("Scrubbed", whole(answer["scrubBlocks"]))

    def _select_project(self) -> str:
        return self.transport.project_id or self.project().id

    def _absent_is_none(self, query: str, variables: dict[str, Any], field: str) -> Any:
        try:
            return self.transport.graphql(query, variables)[field]
        except ApiError as error:
            if error.kind == "not_found":
                return None
            raise

    def _pages(self, query: str, field: str) -> Iterator[dict[str, Any]]:
        after: str | None = None
        for _ in range(_PAGES_MAX):
            page = self.transport.graphql(query, {"after": after})[field]
            yield from page["data"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]


def _slug_or_raise(name: str) -> str:
    slug = slug_of(name)
    if not slug:
        raise UsageError(
            f"{name!r} has no letter or digit to make a site's address of.",
            hint="Name the site: af deploy FOLDER --site NAME.",
        )
    return slug
