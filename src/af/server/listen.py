"""The listening socket: bound once by the front, inherited by every edge, so that a restart refuses no connection."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from af.server.errors import AddressUnusable, PortNotAllowed, PortTaken

BACKLOG = 2048
_LISTEN_STATE = "0A"  # /proc/net/tcp


@dataclass(frozen=True, slots=True)
class Holder:
    """The process that listens on a port."""

    pid: int
    name: str


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 picks a free one.

    :raises PortTaken: naming the process that holds it when /proc tells.
    :raises PortNotAllowed: a port below 1024 without the right to it.
    :raises AddressUnusable: the host is not an address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, UnicodeError) as error:
        raise AddressUnusable(
            f"The address {host!r} does not resolve.",
            hint="Set --host to an address of this machine, such as 127.0.0.1.",
        ) from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # "::" means IPv4 too
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise _bind_error(error, host, port) from error
    return listener


def holder_of(port: int) -> Holder | None:
    """The process that listens on the port, as far as this user may see."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            for descriptor in os.listdir(f"/proc/{entry}/fd"):
                with contextlib.suppress(OSError):
                    if os.readlink(f"/proc/{entry}/fd/{descriptor}") in wanted:
                        return Holder(int(entry), Path(f"/proc/{entry}/comm").read_text().strip())
    return None


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTEN_STATE and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(fields[9])
    return inodes


def _bind_error(error: OSError, host: str, port: int) -> Exception:
    if error.errno == errno.EADDRINUSE:
        holder = holder_of(port)
        who = f"process {holder.pid} ({holder.name})" if holder else "another process"
        return PortTaken(
            f"Port {port} on {host} is taken by {who}.",
            hint="Choose another with --port (0 picks a free one)"
            + (f", or stop process {holder.pid}." if holder else "."),
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return PortNotAllowed(
            f"This user may not listen on port {port}.",
            hint="Choose a port above 1023 with --port, or run with the CAP_NET_BIND_SERVICE capability.",
        )
    if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
        return AddressUnusable(
            f"{host} is not an address of this machine.",
            hint="Set --host to 127.0.0.1 (this machine only) or 0.0.0.0 (every interface).",
        )
    return error
