"""A TCP proxy in front of PostgreSQL that goes wrong where it is told: it delays, resets or swallows what passes from a byte on.

It listens on a loopback port of its own and speaks to the server's Unix socket. Not here: what a sync makes of it.
"""

import asyncio
import errno
import os
import socket
import struct
import threading
from collections import Counter
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote

Kind = Literal["delay", "reset", "black hole"]
Direction = Literal["to server", "to client"]
PORTS = range(21000 + os.getpid() % 4000, 32700)  # below those that the kernel gives out
PIECE_BYTES = 4096


@dataclass(frozen=True)
class Fault:
    """What happens once ``after_bytes`` have passed in a direction, counted over all connections since it was set."""

    kind: Kind
    direction: Direction
    after_bytes: int
    delay_seconds: float = 0.02  # of each piece


class Proxy:
    """Stands between the engine and the server. ``passed`` counts the bytes of each direction since the last ``set``."""

    def __init__(self, socket_file: str) -> None:
        """Remember the server's socket."""
        self.passed: Counter[Direction] = Counter()
        self.has_struck = False
        self.port = 0
        self._file = socket_file
        self._fault: Fault | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()

    def set(self, fault: Fault | None) -> None:
        """Cut the connections there are and go wrong as ``fault`` says from now on; None is a good network."""
        self._run(self._reset_all())
        self._fault, self.has_struck = fault, False
        self.passed.clear()

    def start(self) -> None:
        """Listen."""
        self._thread = threading.Thread(target=self._work, daemon=True, name="proxy")
        self._thread.start()
        self._server = self._run(self._listen())

    def stop(self) -> None:
        """Cut everything and end."""
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def _work(self) -> None:
        self._loop.run_forever()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> asyncio.Server:
        for port in PORTS:
            try:
                server = await asyncio.start_server(self._serve, "127.0.0.1", port)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            self.port = port
            return server
        raise RuntimeError("no free port")

    async def _end(self) -> None:
        self._server.close()
        await self._reset_all()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        self._writers.add(to_client)
        if self.has_struck and self._fault and self._fault.kind == "black hole":
            return  # it was accepted, and that is all
        from_server, to_server = await asyncio.open_unix_connection(self._file)
        self._writers.add(to_server)
        await asyncio.gather(self._pass(client, to_server, "to server"), self._pass(from_server, to_client, "to client"))
        for writer in (to_client, to_server):
            self._writers.discard(writer)
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction) -> None:
        """Pass pieces on until an end or a fault; the end of one direction is passed on to the other side."""
        with suppress(ConnectionError, OSError):
            while piece := await reader.read(PIECE_BYTES):
                if not await self._pass_piece(piece, writer, direction):
                    return
        with suppress(ConnectionError, OSError, RuntimeError):
            if not self._is_black_hole():
                writer.close()

    async def _pass_piece(self, piece: bytes, writer: asyncio.StreamWriter, direction: Direction) -> bool:
        """Pass on what may pass; whether more may."""
        fault = self._fault
        if self._is_black_hole():
            return True  # read and swallowed: the sender's kernel hears that it arrived
        if fault and fault.direction == direction and self.passed[direction] + len(piece) > fault.after_bytes:
            self.has_struck = True
            if fault.kind == "delay":
                await asyncio.sleep(fault.delay_seconds)
            else:
                piece = piece[: max(0, fault.after_bytes - self.passed[direction])]
        self.passed[direction] += len(piece)
        writer.write(piece)
        await writer.drain()
        if self.has_struck and fault and fault.kind == "reset":
            await self._reset_all()
            return False
        return True

    def _is_black_hole(self) -> bool:
        return self.has_struck and self._fault is not None and self._fault.kind == "black hole"

    async def _reset_all(self) -> None:
        for writer in list(self._writers):
            inner: socket.socket | None = writer.get_extra_info("socket")
            if inner is not None and inner.family == socket.AF_INET and inner.fileno() >= 0:
                inner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # the end is a RST
            writer.transport.abort()
        self._writers.clear()


@contextmanager
def open_proxy(url: str) -> Iterator[tuple[Proxy, str]]:
    """Yield a proxy to the server of ``url`` (of its Unix socket), and the URL that leads through it."""
    start, _, folder = url.partition("?host=")
    proxy = Proxy(f"{unquote(folder)}/.s.PGSQL.5432")
    proxy.start()
    try:
        yield proxy, start.replace("@/", f"@127.0.0.1:{proxy.port}/") + "?sslmode=disable&gssencmode=disable&connect_timeout=2"
    finally:
        proxy.stop()
