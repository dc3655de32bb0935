"""Prometheus metrics of all processes of one platform, and how they are read together.

Each process counts in mapped files below the data folder (prometheus_client's multiprocess mode), so ``/metrics`` of
any HTTP process answers for the edge processes and the worker together. Names: ``af_<domain>_<what>_<unit>``.

`setup` or `join` must run before the first import of ``prometheus_client``; metrics are therefore made by `counter` and
`histogram` on first use.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client import Counter, Histogram

_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_FILE_BYTES = 1 << 16  # prometheus_client's own first size; all labels of the catalogue need a quarter of it

CATALOGUE: dict[str, tuple[str, str, tuple[str, ...]]] = {
    # name: (kind, help, labels); docs/reference/metrics.md is generated from it
    "af_http_requests_total": ("counter", "API requests.", ("method", "status")),
    "af_http_seconds": ("histogram", "Time to answer an API request.", ()),
    "af_gateway_requests_total": ("counter", "Requests for content, by outcome class.", ("status",)),
    "af_gateway_bytes_total": ("counter", "Bytes of content sent.", ()),
    "af_graphql_operations_total": ("counter", "GraphQL operations.", ("kind", "outcome")),
    "af_storage_received_bytes_total": ("counter", "Block bytes received in uploads.", ()),
    "af_storage_blocks_total": ("counter", "Blocks received in uploads, by whether they were new.", ("new",)),
    "af_storage_s3_reads_total": ("counter", "Blocks read with the S3 store, by where they were.", ("source",)),
    "af_storage_s3_calls_total": ("counter", "Calls to the S3 server: ok, retried, failed.", ("method", "outcome")),
    "af_storage_pin_requests_total": ("counter", "Pin requests that came to an end: pinned, failed.", ("state",)),
    "af_storage_retrieved_bytes_total": ("counter", "Block bytes fetched for pin requests and stored.", ()),
    "af_storage_kubo_copies_total": (
        "counter",
        "Public roots in the Kubo node, by what became of them: pinned, announced, unpinned, failed.",
        ("outcome",),
    ),
    "af_replication_steps_total": (
        "counter",
        "Steps of copies at other providers: store, poll, prove, failed.",
        ("provider", "step"),
    ),
    "af_sites_deployments_total": ("counter", "Deployments that reached a final state.", ("status",)),
    "af_messages_total": (
        "counter",
        "E-mail and SMS, by what became of them: sent, shown in the outbox, delayed, failed, expired.",
        ("channel", "outcome"),
    ),
    "af_workflows_total": ("counter", "Workflow runs in the worker.", ("workflow", "outcome")),
    "af_storage_blocks": ("gauge", "Blocks stored.", ()),
    "af_storage_bytes": ("gauge", "Bytes of the blocks stored.", ()),
    "af_storage_corrupt_blocks": ("gauge", "Blocks found damaged, which are not served.", ()),
    "af_storage_dead_bytes": ("gauge", "Bytes on the disk that belong to no block any more.", ()),
    "af_disk_free_bytes": ("gauge", "Free bytes on the data folder's disk.", ()),
    "af_storage_pin_requests": ("gauge", "Pin requests, by state.", ("state",)),
    "af_replication_copies": ("gauge", "Wanted copies at other providers, by state.", ("state",)),
    "af_replication_lag_seconds": ("gauge", "How long the oldest copy that is not made yet has been wanted.", ()),
}


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def setup(folder: Path) -> None:
    """Share this process's metrics with its siblings through ``folder``; before any metric is used."""
    os.environ[_FOLDER] = str(folder)
    join()


def join() -> None:
    """`setup` with the folder that the environment names, if it names one. Takes the room on the disk for this
    process's files now: a mapped page for which there is none would end the process (SIGBUS). On a full disk the
    process counts for itself, and its own ``/metrics`` shows its own counts."""
    if _FOLDER not in os.environ:
        return
    folder = Path(os.environ[_FOLDER])
    files = [folder / f"{kind}_{os.getpid()}.db" for kind in ("counter", "histogram")]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in files:
            with path.open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, _FILE_BYTES)
    except OSError:
        for path in files:
            with contextlib.suppress(OSError):
                path.unlink()
        del os.environ[_FOLDER]


def forget(folder: Path) -> None:
    """Remove what processes of an earlier start left in ``folder``."""
    for path in folder.glob("*.db"):
        path.unlink(missing_ok=True)


@cache
def counter(name: str) -> Counter:
    """The counter of this name in `CATALOGUE`."""
    from prometheus_client import Counter

    kind, help, labels = CATALOGUE[name]
    assert kind == "counter"
    return Counter(name.removesuffix("_total"), help, labels)


@cache
def histogram(name: str) -> Histogram:
    """The histogram of this name in `CATALOGUE`."""
    from prometheus_client import Histogram

    kind, help, labels = CATALOGUE[name]
    assert kind == "histogram"
    return Histogram(name, help, labels)


def answered(method: str, status: int, seconds: float) -> None:
    """Count one API request; ``seconds`` until its answer began (event streams never end). About 5 µs."""
    known = method if method in _METHODS else "other"  # a label per made-up method would never go away
    counter("af_http_requests_total").labels(known, str(status)).inc()
    histogram("af_http_seconds").observe(seconds)


Gauges = Mapping[str, Mapping[tuple[str, ...], float]]
"""Values by name and labels, of what is looked up rather than counted."""


def render(gauges: Gauges | None = None) -> bytes:
    """The exposition text of all processes, with ``gauges`` behind it."""
    from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
    from prometheus_client.multiprocess import MultiProcessCollector

    measured = _gauge_text(gauges or {})
    if _FOLDER not in os.environ:
        return generate_latest(REGISTRY) + measured
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry) + measured


def _gauge_text(gauges: Gauges) -> bytes:
    """Not the library's gauges: in multiprocess mode those are files of each process."""
    lines: list[str] = []
    for name, values in gauges.items():
        kind, help, labels = CATALOGUE[name]
        assert kind == "gauge"
        lines += (f"# HELP {name} {help}", f"# TYPE {name} gauge")
        for texts, value in values.items():
            pairs = ",".join(f'{label}="{text}"' for label, text in zip(labels, texts, strict=True))
            lines.append(f"{name}{{{pairs}}} {value}" if pairs else f"{name} {value}")
    return "".join(f"{line}\n" for line in lines).encode()
