from __future__ import annotations

import os
import socket

import pytest

from af.server import listen
from af.server.errors import PortTaken


def test_port_0_picks_a_free_one_and_its_holder_is_us() -> None:
    with listen.bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        holder = listen.holder_of(port)
        assert holder is not None
        assert holder.pid == os.getpid()
    assert listen.holder_of(port) is None


def test_a_taken_port_names_its_holder() -> None:
    with listen.bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} .* process {os.getpid()} "):
            listen.bind("127.0.0.1", port)


def test_every_interface_includes_both_protocols() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    with listen.bind("::", 0) as listener:
        socket.create_connection(("127.0.0.1", listener.getsockname()[1]), timeout=5).close()
