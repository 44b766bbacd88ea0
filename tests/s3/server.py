"""moto's S3 in a process of its own, with what a real one does and moto does not: it denies, is slow, loses answers.

Not a test. ``POST /_faults`` with a list of ``Fault``s sets what goes wrong from now on; ``GET /_log`` gives the requests since then.
Writes are made one after the other, because moto looks at a condition and writes in two steps.
"""

import argparse
import json
import re
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import unquote

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

Start = Callable[..., Any]


class Faulty:
    """The application with faults in front.

    A fault is ``{request (regex), skip, times, code, status, is_done, ignores}``: after ``skip`` requests like it, ``times`` are answered
    by ``code``, done before or not; ``dead`` cuts the connection. ``ignores`` takes a header away instead.
    """

    def __init__(self, inner: Any) -> None:
        """Begin without faults."""
        self._inner, self._turn = inner, threading.Lock()
        self._faults: list[dict[str, Any]] = []
        self._log: list[str] = []

    def __call__(self, environ: dict[str, Any], start: Start) -> Iterable[bytes]:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path == "/_faults":
            self._faults = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            self._log = []
            return _answer(start, "200 OK", b"")
        if path == "/_log":
            return _answer(start, "200 OK", json.dumps(self._log).encode())
        with self._turn:
            request = f"{method} {path}?{unquote(environ.get('QUERY_STRING', ''))}"
            self._log.append(request)
            fault = self._strike(request)
            if fault and "ignores" in fault:  # as a store does that does not know the header
                environ.pop(fault["ignores"], None)
                fault = None
            if fault and not fault.get("is_done"):
                return _refuse(environ, start, fault)
            answer = list(self._inner(environ, (lambda *_given: None) if fault else start))
            return _refuse(environ, start, fault) if fault else answer

    def _strike(self, request: str) -> dict[str, Any] | None:
        for fault in self._faults:
            if not re.search(fault["request"], request):
                continue
            fault["skip"] = fault.get("skip", 0) - 1
            if fault["skip"] >= 0:
                continue
            fault["times"] = fault.get("times", 10**9) - 1
            if fault["times"] >= 0:
                return fault
        return None


class Quiet(WSGIRequestHandler):
    """Says nothing, and keeps connections."""

    protocol_version = "HTTP/1.1"

    def log(self, *_: object) -> None:
        """Say nothing."""


def _refuse(environ: dict[str, Any], start: Start, fault: dict[str, Any]) -> list[bytes]:
    if fault["code"] == "dead":
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
    body = f"<?xml version='1.0'?><Error><Code>{fault['code']}</Code><Message>{fault.get('message', 'as told')}</Message></Error>".encode()
    return _answer(start, fault.get("status", "500 Internal Server Error"), body)


def _answer(start: Start, status: str, body: bytes) -> list[bytes]:
    start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
    return [body]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    port = parser.parse_args().port
    run_simple("127.0.0.1", port, Faulty(DomainDispatcherApplication(create_backend_app)), threaded=True, request_handler=Quiet)
