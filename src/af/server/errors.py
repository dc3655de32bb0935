"""What can keep the platform from starting or running. Numbers 70xx."""

from __future__ import annotations

from dataclasses import dataclass

from af.core.errors import Conflict, Error, Internal, InvalidInput, Timeout, Unavailable


class PortTaken(Conflict):
    """Something else listens on the port."""

    code = "port_taken"
    number = 7001
    explain = (
        "Another process already listens on the address. Stop that process, or choose another port with --port "
        "(0 picks a free one)."
    )


class AlreadyRunning(Conflict):
    """Another instance runs this target on the same data folder."""

    code = "already_running"
    number = 7002
    explain = (
        "Each target (gateway, api, worker) runs once per data folder, since two writers would damage it. Use the "
        "running instance, stop it, or choose another folder with --data. The lock frees itself when its process "
        "ends, even by kill -9; lock files never need to be deleted by hand."
    )


class DataFolderUnusable(Unavailable):
    """The data folder cannot be created or written."""

    code = "data_folder_unusable"
    number = 7003
    explain = (
        "Everything that is kept lives in one folder (AF_DATA or --data). It must exist or be creatable, be a folder, "
        "and be writable by the user that runs the platform."
    )


class DiskNearlyFull(Unavailable):
    """Too little free space to accept writes."""

    code = "disk_nearly_full"
    number = 7004
    explain = (
        "The disk that holds the data folder has less free space than AF_DISK_FREE_BYTES_MIN. Free some, move the "
        "folder, or lower the setting. A running platform refuses new writes below that mark and goes on serving."
    )


class SqliteUnsuitable(Unavailable):
    """The SQLite library is too old, or write-ahead logging does not work on this file system."""

    code = "sqlite_unsuitable"
    number = 7005
    explain = (
        "The embedded database needs write-ahead logging (not available on most network file systems) and, on Python "
        "3.12 or newer, SQLite 3.42. Use Python 3.11, a newer SQLite, a local disk, or PostgreSQL by AF_DATABASE_URL."
    )


class DatabaseAbsent(Unavailable):
    """A read-only target was started before anything wrote the database."""

    code = "database_absent"
    number = 7006
    explain = (
        "`af serve gateway` only reads. The database is made by the first start of `af up` or `af serve api` on the "
        "same data folder or AF_DATABASE_URL."
    )


class PortNotAllowed(InvalidInput):
    """The user may not listen on that port."""

    code = "port_not_allowed"
    number = 7007
    explain = (
        "Ports below 1024 need root or the CAP_NET_BIND_SERVICE capability. Choose a higher port and put a TLS front "
        "before it, or grant the capability."
    )


class AddressUnusable(InvalidInput):
    """The address to listen on does not belong to this machine or does not resolve."""

    code = "address_unusable"
    number = 7008
    explain = "AF_HOST (--host) must be an address or name of this machine: 127.0.0.1, ::1, 0.0.0.0, or a LAN address."


class UnknownTarget(InvalidInput):
    """`af serve` was asked for something that is not a target."""

    code = "unknown_target"
    number = 7009
    explain = "`af serve` takes one or more of the targets gateway, api and worker, or `all`."


class PartCrashed(Internal):
    """A part crashed too often, or the keeper itself was lost."""

    code = "part_crashed"
    number = 7010
    explain = (
        "A part of the platform ended by itself five times within a minute, so everything was stopped instead of "
        "restarting forever. The log lines of that part, just before, have the cause."
    )


class NotStartedInTime(Timeout):
    """A part did not become ready before its deadline."""

    code = "not_started_in_time"
    number = 7011
    explain = "A part took too long to start. Look at its log lines; `af doctor` checks the database and the disk."


class ExampleFailed(Unavailable):
    """`--with-example` found no example site, or could not deploy it."""

    code = "example_failed"
    number = 7012
    explain = "`af up --with-example` deploys examples/hello by the public API. The platform itself is not affected."


class KuboAbsent(Unavailable):
    """There is no Kubo program to run."""

    code = "kubo_absent"
    number = 7013
    explain = (
        "`af up --kubo` runs the ipfs program of Kubo (https://docs.ipfs.tech/install/command-line/), 0.38 or newer, "
        "found by AF_KUBO_BINARY or on PATH. Install it, or start without --kubo; AF_KUBO_RPC_URL uses a node that "
        "runs elsewhere."
    )


class KuboUnusable(Unavailable):
    """The Kubo program does not work, is too old, or its repository in the data folder cannot be used."""

    code = "kubo_unusable"
    number = 7014
    explain = (
        "The ipfs program answered something unexpected, or its repository (the folder kubo in AF_DATA) cannot be used "
        "by it. Our store has everything that the node has: a damaged repository can be moved away, and is then made "
        "anew and filled again (the node gets another identity)."
    )


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it crosses process borders: enough to print ``error[AF…]``, ``cause:``, ``fix:`` and exit."""

    reference: str
    code: str
    message: str
    hint: str
    cause: str
    exit_code: int

    @classmethod
    def of(cls, error: Error) -> Failure:
        return cls(error.reference, error.code, error.message, error.hint, error.detail, error.exit_code)


class Stopped(Exception):
    """The platform ended with a failure; carries what the command line shows of any error."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.reference = failure.reference
        self.code = failure.code
        self.message = failure.message
        self.hint = failure.hint
        self.cause = failure.cause
        self.exit_code = failure.exit_code
