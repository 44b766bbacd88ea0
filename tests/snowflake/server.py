"""The double as a process: ``python -m tests.snowflake.server --port 20000 [--folder …]``.

It speaks what the real connector sends. On top of that, for tests only, ``/daybreak/statements`` tells what sessions have sent and
``/daybreak/faults`` makes the next COMMIT or the next connections fail.
"""

import argparse
import gzip
import json
import secrets
import socket
import sys
import threading
import time
import traceback
import warnings
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

from tests.snowflake.double.errors import NotEmulated, SqlError, translate_error
from tests.snowflake.double.names import decode, parse_name
from tests.snowflake.double.session import Session, wakes_warehouse
from tests.snowflake.double.settings import set_place
from tests.snowflake.double.store import Store, open_store
from tests.snowflake.double.wire import decode_binding, encode_result

PASSWORDS = {"DAYBREAK": "secret"}
ACCOUNT = "DOUBLE"


class Dropped(Exception):
    """The connection ends without an answer."""


@dataclass
class Door:
    """Sessions by their token, answers by their request, and the faults that tests have asked for."""

    store: Store
    sessions: dict[str, Session] = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)  # tokens whose connection is gone
    running: dict[str, tuple[Session, threading.Event]] = field(default_factory=dict)
    idle_seconds: float = 300  # as Snowflake's documentation has it
    mutex: threading.Lock = field(default_factory=threading.Lock)

    def take_fault(self, name: str) -> bool:
        with self.mutex:
            left = self.faults.get(name, 0)
            self.faults[name] = max(left - 1, 0)
        return left > 0

    def log_in(self, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        data = body["data"]
        user = str(data.get("LOGIN_NAME", "")).upper()
        if self.take_fault("refuse"):
            raise Dropped
        if str(data.get("AUTHENTICATOR") or "SNOWFLAKE").upper() != "SNOWFLAKE":
            return _failed("390190", f"The double signs nobody in by {data['AUTHENTICATOR']}: it does not emulate this.")
        if user not in PASSWORDS or PASSWORDS[user] != data.get("PASSWORD"):
            return _failed("390100", "Incorrect username or password was specified.")
        parameters = {name.upper(): str(value) for name, value in (data.get("SESSION_PARAMETERS") or {}).items()}
        session = Session(next(self.store.numbers), self.store, self.store.duck.cursor(), parameters=parameters)
        session.place.facts |= {"USER": user, "ACCOUNT": ACCOUNT, "REGION": "DOUBLE_LOCAL", "SESSION": str(session.number)}
        session.place.facts["VERSION"] = "9.0.0"
        for name, fact in (("roleName", "ROLE"), ("warehouse", "WAREHOUSE")):
            if query.get(name):
                session.place.facts[fact] = decode(parse_name(query[name])[0])
        session.place.facts.setdefault("ROLE", "PUBLIC")
        database = parse_name(query["databaseName"])[0] if query.get("databaseName") else None
        if database in self.store.databases:  # an unknown one is no error, as on Snowflake
            set_place(session, database, parse_name(query.get("schemaName") or "PUBLIC")[0])
        token = secrets.token_urlsafe(24)
        self.sessions[token] = session
        facts = session.place.facts
        info = {name: facts.get(fact) for name, fact in _INFO}
        answer = {"token": token, "masterToken": token, "serverVersion": "9.0.0", "parameters": _told(session), "sessionInfo": info}
        return {"data": {**answer, "sessionId": session.number, "validityInSeconds": 36000}, "success": True, "code": None, "message": None}

    def query(self, token: str, request: str, body: dict[str, Any]) -> dict[str, Any]:
        """Run a statement, once: a request that the connector repeats waits for the first answer, and gets it."""
        session = self._session(token)
        with self.mutex:
            first = self.running.get(request)
            if not first and request not in self.answers:
                self.running[request] = session, threading.Event()
        if first:
            first[1].wait()
        if request in self.answers:
            return self.answers[request]
        try:
            answer = self._run(session, body)
        finally:
            with self.mutex:
                self.answers[request] = answer
                while len(self.answers) > 100:
                    self.answers.pop(next(iter(self.answers)))
                self.running.pop(request)[1].set()
        if body["sqlText"].strip().upper().startswith("COMMIT") and answer["success"] and self.take_fault("after_commit"):
            self.cut.add(token)
            raise Dropped
        return answer

    def _run(self, session: Session, body: dict[str, Any]) -> dict[str, Any]:
        text = body["sqlText"]
        query_id = secrets.token_hex(16)
        entry = {
            "number": len(self.store.statements) + 1,
            "session": session.number,
            "user": session.place.facts["USER"],
            "database": session.place.facts.get("DATABASE"),
            "query_tag": (body.get("parameters") or {}).get("QUERY_TAG", session.parameters["QUERY_TAG"]),
            "sql": text,
            "wakes_warehouse": wakes_warehouse(text),
            "error": None,
        }
        self.store.statements.append(entry)
        try:
            if body.get("describeOnly") or body.get("asyncExec"):
                raise NotEmulated("to describe a statement, or to run it, without waiting for its rows")
            result = session.execute(text, _rows(body.get("bindings") or {}))
            answer = {"data": {**self._about(session, query_id), **_data(result)}, "success": True, "code": None, "message": None}
        except Exception as error:
            failure = translate_error(error)
            if failure.number >= 999000:
                traceback.print_exc(file=sys.stderr)
            entry["error"] = failure.number
            answer = _failed(f"{failure.number:06d}", failure.message, failure.state, query_id)
        session.place.facts["LAST_QUERY_ID"] = query_id
        return answer

    def close(self, token: str) -> dict[str, Any]:
        session = self.sessions.pop(token, None)
        if session:
            session.close()
        return {"data": None, "success": True, "code": None, "message": None}

    def abort(self, request: str) -> dict[str, Any]:
        if running := self.running.get(request):
            session = running[0]
            self.store.locks.cancel(session.number)
            session.duck.interrupt()
        return {"data": None, "success": True, "code": None, "message": None}

    def watch(self) -> None:
        """Roll back, again and again, what clients have left behind."""
        while True:
            time.sleep(0.2)
            for session in list(self.sessions.values()):
                session.abandon_if_idle(self.idle_seconds)

    def _session(self, token: str) -> Session:
        if token in self.cut:
            raise Dropped
        session = self.sessions.get(token)
        if session is None:
            raise SqlError(390104, "08001", "User must login again to access the service.")
        return session

    def _about(self, session: Session, query_id: str) -> dict[str, Any]:
        facts = session.place.facts
        finals = {f"final{name[0].upper()}{name[1:]}": facts.get(fact) for name, fact in _INFO}
        return {"queryId": query_id, "parameters": _told(session), **finals}


_INFO = (("databaseName", "DATABASE"), ("schemaName", "SCHEMA"), ("warehouseName", "WAREHOUSE"), ("roleName", "ROLE"))


def _told(session: Session) -> list[dict[str, Any]]:
    return [
        {"name": "AUTOCOMMIT", "value": session.autocommit},
        {"name": "TIMEZONE", "value": session.parameters["TIMEZONE"]},
        {"name": "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD", "value": 0},
    ]


def _data(result: Any) -> dict[str, Any]:
    if "command" in result.extra:
        return dict(result.extra)
    return {**encode_result(result), "statementTypeId": result.statement_type}


def _failed(code: str, message: str, state: str = "08001", query_id: str = "") -> dict[str, Any]:
    data = {"errorCode": code, "sqlState": state, "queryId": query_id}
    return {"data": data, "code": code, "message": message, "success": False}


def _rows(bindings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the bound values by DuckDB's names, once for each row of an array."""
    if not any(isinstance(binding["value"], list) for binding in bindings.values()):
        return [{f"p{place}": decode_binding(binding) for place, binding in bindings.items()}]
    length = len(next(iter(bindings.values()))["value"])
    return [
        {f"p{place}": decode_binding({**binding, "value": binding["value"][row]}) for place, binding in bindings.items()}
        for row in range(length)
    ]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each answer waits 40 ms for an acknowledgement
    door: Door

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *args: Any) -> None:
        pass

    def _answer(self) -> None:
        url = urlparse(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        try:
            answer = self._route(url.path, query, json.loads(body) if body else {})
        except Dropped:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        except Exception as found:
            error = translate_error(found)
            answer = _failed(f"{error.number:06d}", error.message, error.state)
        text = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _route(self, path: str, query: dict[str, str], body: dict[str, Any]) -> Any:
        token = (self.headers.get("Authorization") or "")[17:-1]  # Snowflake Token="…"
        match path:
            case "/session/v1/login-request":
                return self.door.log_in(query, body)
            case "/queries/v1/query-request":
                return self.door.query(token, query.get("requestId") or secrets.token_hex(8), body)
            case "/queries/v1/abort-request":
                return self.door.abort(body.get("requestId", ""))
            case "/session" if query.get("delete"):
                return self.door.close(token)
            case "/daybreak/statements":
                return self.door.store.statements[int(query.get("after", 0)) :]
            case "/daybreak/faults":
                self.door.faults |= body
                return self.door.faults
            case "/daybreak/idle":
                self.door.idle_seconds = float(body["seconds"])
                return {}
            case "/daybreak/alive":
                return {}
        return {"data": None, "success": True, "code": None, "message": None}  # heartbeats and telemetry


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, help="keep databases and stages here; without it, in memory")
    options = parser.parse_args()
    warnings.filterwarnings("ignore", message="Arrow output on a DB-API result")
    door = Door(open_store(options.folder))
    threading.Thread(target=door.watch, daemon=True).start()
    handler = type("DoorHandler", (Handler,), {"door": door})
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer(("127.0.0.1", options.port), handler)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
