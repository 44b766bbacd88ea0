"""A warmed-up process that forks once per sync, so that a crash costs a fork and not a Python.

Its standard input has one JSON order per line: environment, table, and the boundary (name, moment, occurrence) to die or to stop at.
Its answer is one JSON line: the exit code, and every boundary that was passed. A sync that stops is told by a line before that, and
somebody else has to wake it. Nothing is opened before the fork.
"""

import json
import os
import signal
import sys
import tempfile
from collections import Counter
from typing import Any

DIED = 77


def main() -> None:
    import adbc_driver_postgresql.dbapi  # noqa: F401
    import duckdb  # noqa: F401

    import pipelines.gates.great_expectations
    import pipelines.sources.postgres
    import pipelines.wiring  # noqa: F401

    for line in sys.stdin:
        order = json.loads(line)
        with (
            tempfile.NamedTemporaryFile("r", delete_on_close=False)
            if sys.version_info >= (3, 12)
            else tempfile.NamedTemporaryFile("r") as record
        ):
            child = os.fork()
            if child == 0:
                _sync(order, record.name)
            while os.WIFSTOPPED(status := os.waitpid(child, os.WUNTRACED)[1]):
                print(json.dumps({"stopped": child}), flush=True)
            passed = [json.loads(text) for text in record.read().splitlines()]
        print(json.dumps({"code": os.waitstatus_to_exitcode(status), "passed": passed}), flush=True)


def _sync(order: dict[str, Any], record: str) -> None:
    from pipelines.settings import load_settings
    from pipelines.sync.engine import sync_table
    from pipelines.sync.steps import set_hook
    from pipelines.wiring import SyncRequest, open_engine

    seen: Counter[tuple[str, str]] = Counter()
    deadly = tuple(order["die_at"]) if order["die_at"] else None
    drowsy = tuple(order["stop_at"]) if order.get("stop_at") else None
    out = os.open(record, os.O_WRONLY | os.O_APPEND)

    def hook(name: str, moment: str) -> None:
        seen[name, moment] += 1
        boundary = (name, moment, seen[name, moment])
        os.write(out, json.dumps(boundary).encode() + b"\n")
        if boundary == deadly:
            os._exit(DIED)
        if boundary == drowsy:
            os.kill(os.getpid(), signal.SIGSTOP)

    code = 1
    try:
        set_hook(hook)
        settings = load_settings(order["environment"])
        source = settings.sources()[0]
        spec = source.table(order["table"])
        with open_engine(settings, SyncRequest(source, (spec,))) as engine:
            code = {"committed": 0, "unchanged": 0, "held": 2}[sync_table(engine, spec).outcome]
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
