"""The Kubo node beside the platform (`af up --kubo`): its program found, its repository made and configured, itself
started as one of the keeper's parts.

The node gets what is public and nothing else, so whatever it has it may announce and give away. Its RPC API listens on
loopback, behind a secret made anew at each start; other processes of this machine cannot use it. It has no gateway.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from af.core.setting_kinds import peer_addresses
from af.core.settings import InvalidSetting, Settings, load
from af.server import locks
from af.server.errors import KuboAbsent, KuboUnusable, PortTaken

LOCK = "kubo"
"""Its lock among those of the targets (`af.server.locks`)."""
_OURS = "platform"
OLDEST = (0, 38)
"""The first release with the section ``Provide`` in its configuration."""
_COMMAND_SECONDS = 60.0
_PRIVATE_NETWORKS = (
    "/ip4/10.0.0.0/ipcidr/8",
    "/ip4/100.64.0.0/ipcidr/10",
    "/ip4/169.254.0.0/ipcidr/16",
    "/ip4/172.16.0.0/ipcidr/12",
    "/ip4/192.0.0.0/ipcidr/24",
    "/ip4/192.0.2.0/ipcidr/24",
    "/ip4/192.168.0.0/ipcidr/16",
    "/ip4/198.18.0.0/ipcidr/15",
    "/ip4/198.51.100.0/ipcidr/24",
    "/ip4/203.0.113.0/ipcidr/24",
    "/ip4/240.0.0.0/ipcidr/4",
    "/ip6/100::/ipcidr/64",
    "/ip6/2001:2::/ipcidr/48",
    "/ip6/2001:db8::/ipcidr/32",
    "/ip6/fc00::/ipcidr/7",
    "/ip6/fe80::/ipcidr/10",
)
"""What Kubo's profile ``server`` neither dials nor announces: hosting companies take that for a scan of networks."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is ready to be started. ``settings`` name it to all parts of the platform. ``reserved`` is bound to
    its RPC port, and keeps it from being given to others while nobody listens there."""

    settings: Settings
    reserved: socket.socket


def folder(settings: Settings) -> Path:
    """Its repository (``IPFS_PATH``)."""
    return settings.data / "kubo"


def program(settings: Settings) -> str:
    """The path of ``ipfs``. :raises KuboAbsent:"""
    wanted = settings.kubo_binary or "ipfs"
    found = shutil.which(wanted)
    if found is None:
        where = f"at {settings.kubo_binary} (AF_KUBO_BINARY)" if settings.kubo_binary else "on PATH"
        raise KuboAbsent(
            f"There is no Kubo program {where}.",
            hint="Install Kubo (https://docs.ipfs.tech/install/command-line/), or set AF_KUBO_BINARY to its ipfs "
            "program; without --kubo the platform needs none.",
        )
    return os.path.abspath(found)


def check_settings(settings: Settings) -> None:
    """:raises InvalidSetting: settings that contradict a node beside the platform."""
    if settings.kubo_rpc_url:
        raise InvalidSetting(
            "AF_KUBO_RPC_URL names a Kubo node elsewhere, and --kubo (AF_KUBO) starts another.",
            hint="Unset one of the two.",
            field="AF_KUBO",
        )
    if settings.block_backend == "kubo":
        raise InvalidSetting(
            "The node of --kubo gives everything it has to other nodes, so it cannot be the block store "
            "(AF_BLOCK_BACKEND=kubo), which holds private content.",
            hint="Unset AF_BLOCK_BACKEND: public content is copied to the node.",
            field="AF_BLOCK_BACKEND",
        )


def prepare(settings: Settings) -> Node:
    """Find the program, make the repository at the first start, write its configuration. The lock is the caller's.

    :raises KuboAbsent, KuboUnusable, PortTaken, InvalidSetting: nothing was started
    """
    examine(settings)
    ipfs = program(settings)
    _check_swarm_port(settings.kubo_swarm_host, settings.kubo_swarm_port)
    repository = folder(settings)
    if not (repository / "config").exists():
        _make(ipfs, repository)
    reserved = _reserve_port()
    port = int(reserved.getsockname()[1])
    token = secrets.token_urlsafe(32)
    try:
        _configure(repository / "config", settings, port=port, token=token)
    except BaseException:
        reserved.close()
        raise
    ready = replace(settings, kubo_binary=ipfs, kubo_rpc_url=f"http://127.0.0.1:{port}", kubo_rpc_token=token)
    return Node(ready, reserved)


def examine(settings: Settings) -> str:
    """The version of the program, for `af doctor`. :raises KuboAbsent, KuboUnusable, InvalidSetting:"""
    check_settings(settings)
    version = _said(program(settings), folder(settings), "version", "--number").strip()
    check_version(version)
    return version


def running(settings: Settings) -> Settings | None:
    """The settings that name the node that runs beside a platform on this data folder now, if one does."""
    if locks.holder(settings.data, LOCK) is None:
        return None
    try:
        config = json.loads((folder(settings) / "config").read_text("utf-8"))
        _, _, host, _, port = config["Addresses"]["API"].split("/")
        token = config["API"]["Authorizations"][_OURS]["AuthSecret"].removeprefix("bearer:")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # it is just being made
    return replace(settings, kubo_rpc_url=f"http://{host}:{port}", kubo_rpc_token=token)


def check_version(text: str) -> None:
    """:raises KuboUnusable: too old, or no version at all"""
    found = re.match(r"(\d+)\.(\d+)", text)
    if found is None or (int(found[1]), int(found[2])) < OLDEST:
        raise KuboUnusable(
            f"The Kubo program is version {text.strip()[:40] or 'unknown'}; {OLDEST[0]}.{OLDEST[1]} is needed.",
            hint="Install a newer Kubo, or set AF_KUBO_BINARY to one.",
        )


def become(environment: Mapping[str, str]) -> NoReturn:
    """Replace this process by the node. It dies with its keeper, as the process did."""
    settings = load(environment)
    arguments = [settings.kubo_binary, "daemon", "--migrate=true", "--enable-gc"]
    os.execve(arguments[0], arguments, _environment(folder(settings)))  # noqa: S606 - there is no shell to want


def configured(config: Mapping[str, Any], settings: Settings, *, port: int, token: str) -> dict[str, Any]:
    """The node's configuration with what is ours to say; the rest, such as limits of connections, stays as it is."""
    result = dict(config)

    def put(section: str, **values: Any) -> None:
        result[section] = {**(config.get(section) or {}), **values}

    public = settings.kubo_network == "public"
    private = list(_PRIVATE_NETWORKS) if public else []
    auto = ["auto"] if public else []
    put(
        "Addresses",
        API=f"/ip4/127.0.0.1/tcp/{port}",
        Gateway=[],
        Swarm=swarm_addresses(settings.kubo_swarm_host, settings.kubo_swarm_port),
        NoAnnounce=private,
    )
    put("API", Authorizations={_OURS: {"AuthSecret": f"bearer:{token}", "AllowedPaths": ["/api/v0"]}})
    put("Swarm", AddrFilters=private)
    put("Peering", Peers=[{"ID": one, "Addrs": at} for one, at in peer_addresses(settings.kubo_peers).items()])
    put("Discovery", MDNS={"Enabled": False})
    put("Provide", Strategy="pinned")  # what was fetched for somebody is not announced
    put("Plugins", Plugins={"telemetry": {"Disabled": True}})
    put("AutoConf", Enabled=public)
    put("Routing", Type="auto" if public else "none", DelegatedRouters=auto)
    put("Ipns", DelegatedPublishers=auto)
    put("DNS", Resolvers={".": "auto"} if public else {})
    result["Bootstrap"] = auto
    for mount in result["Datastore"]["Spec"].get("mounts", ()):
        if mount["type"] == "flatfs":
            mount["sync"] = True  # a pinned root whose blocks were lost with the power would never be noticed
    return result


def swarm_addresses(host: str, port: int) -> list[str]:
    """Where other nodes reach it: TCP and the transports over UDP, on ``host`` or on all addresses."""
    hosts = [f"/ip{6 if ':' in host else 4}/{host}"] if host else ["/ip4/0.0.0.0", "/ip6/::"]
    over = (f"tcp/{port}", f"udp/{port}/quic-v1", f"udp/{port}/quic-v1/webtransport", f"udp/{port}/webrtc-direct")
    return [f"{start}/{transport}" for start in hosts for transport in over]


def _make(ipfs: str, repository: Path) -> None:
    """Made beside its place and moved there, so that one half made is never used."""
    half = repository.with_name("kubo.new")
    shutil.rmtree(half, ignore_errors=True)
    _said(ipfs, half, "init", "--empty-repo", "--profile=server")
    half.rename(repository)


def _configure(file: Path, settings: Settings, *, port: int, token: str) -> None:
    try:
        config = configured(json.loads(file.read_text("utf-8")), settings, port=port, token=token)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KuboUnusable(
            f"The configuration of the Kubo node, {file}, cannot be read.",
            hint=f"Mend it, or move {file.parent} away: it is then made anew.",
            detail=repr(error),
        ) from error
    temporary = file.with_name("config.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as written:
        json.dump(config, written, indent=2)
    temporary.replace(file)


def _said(ipfs: str, repository: Path, *arguments: str) -> str:
    """What a command of ``ipfs`` prints. :raises KuboUnusable: it failed"""
    try:
        done = subprocess.run(
            [ipfs, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=_environment(repository),
            timeout=_COMMAND_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KuboUnusable(
            f"{ipfs} cannot be run.", hint="Set AF_KUBO_BINARY to another.", detail=str(error)
        ) from error
    if done.returncode != 0:
        raise KuboUnusable(
            f"`ipfs {arguments[0]}` failed.",
            hint=f"Mend what it says, or move {repository} away: it is then made anew.",
            detail=done.stderr[-500:].decode("utf-8", "replace").strip(),
        )
    return done.stdout.decode("utf-8", "replace")


def _environment(repository: Path) -> dict[str, str]:
    """Nothing of ours but the way to its folder: our settings hold secrets."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "TZ", "GOLOG_LOG_LEVEL")}
    return {**kept, "HOME": str(repository), "IPFS_PATH": str(repository), "IPFS_TELEMETRY": "off", "DO_NOT_TRACK": "1"}


def _reserve_port() -> socket.socket:
    """A socket on a free loopback port that does not listen: the system gives the port to nobody who did not ask for
    it, and the node, which does, may listen there."""
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    return reserved


def _check_swarm_port(host: str, port: int) -> None:
    """:raises PortTaken: another node has it, most likely"""
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise PortTaken(
                    f"The Kubo node cannot have port {port}: {error.strerror}.",
                    hint="Stop the other IPFS node on this machine, or set AF_KUBO_SWARM_PORT (0: any free one).",
                ) from error
