"""Ports for the servers that tests start."""

import os
import socket


def find_free_port(first: int) -> int:
    """A free port below 32768, near ``first``: above, the kernel lends them to outgoing connections."""
    for port in range(first + os.getpid() % 5000, 32700):
        with socket.socket() as candidate:
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port")
