"""The mirror: does it open, is it this release's, does somebody sit on its lock. It can be rebuilt, so little here is grave."""

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import sqlalchemy as sa

from pipelines.doctor.disk import check_folder
from pipelines.doctor.finding import Finding
from pipelines.doctor.warehouse_checks import EXAMINE, holder
from pipelines.errors import WarehouseUnavailable
from pipelines.settings import Settings
from pipelines.sources.postgres_connection import without_secret
from pipelines.state import tables as t
from pipelines.state.lock import hold_lock

AREA = "mirror"
SECONDS = 2.0  # a writer of the mirror is done in milliseconds
CONNECT_SECONDS = 10
MADE_ANEW = "the next run makes it from the warehouse"


def check_mirror(settings: Settings) -> list[Finding]:
    """Look at the mirror, in SQLite or PostgreSQL."""
    try:
        url = sa.make_url(settings.state_url)
    except sa.exc.ArgumentError:
        remedy = "Set it to sqlite:///path/to/state.db or a postgresql URL."
        return [Finding(AREA, "url", "problem", "DAYBREAK_STATE_URL is not a database's URL", remedy)]
    if url.get_backend_name() == "sqlite" and url.database:
        return _check_file(Path(url.database).absolute())
    return [_check_server(url)]


def _check_file(file: Path) -> list[Finding]:
    findings = [check_folder(AREA, file.parent, "DAYBREAK_STATE_URL")]
    if findings[0].state == "problem":
        return findings
    if not file.exists():
        return [*findings, Finding(AREA, "file", "note", f"{file} is not there; {MADE_ANEW}")]
    try:
        with hold_lock(file.with_name(f"{file.name}.lock"), EXAMINE, SECONDS):
            digests = _ask_file(file)
    except WarehouseUnavailable as error:
        remedy = "End that program if it hangs."
        return [*findings, Finding(AREA, "lock", "problem", f"{file} is being prepared by {holder(error)}", remedy)]
    except sqlite3.OperationalError as error:
        is_locked = "locked" in str(error)
        told = f"{file} has been written to for over {SECONDS:g} s by another program" if is_locked else f"{file} cannot be opened: {error}"
        remedy = "End the program that has it open." if is_locked else "Mend its permissions, or delete it: it can be rebuilt."
        return [*findings, Finding(AREA, "lock" if is_locked else "file", "problem", told, remedy)]
    except sqlite3.DatabaseError as error:
        remedy = f"Delete it with its -wal and -shm: {MADE_ANEW}."
        return [*findings, Finding(AREA, "file", "problem", f"{file} is damaged: {error}", remedy)]
    return [*findings, _judge_layout(str(file), digests)]


def _ask_file(file: Path) -> list[str]:
    """Return the layout's digest, having had the right to write for a moment; a file without one gives nothing."""
    with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=rw", uri=True, timeout=SECONDS, isolation_level=None)) as connection:
        connection.execute("begin immediate")
        if not connection.execute("select 1 from sqlite_master where name = 'layout'").fetchall():
            return []
        return [digest for (digest,) in connection.execute("select digest from layout")]


def _check_server(url: sa.URL) -> Finding:
    shown = url.render_as_string(hide_password=True)
    remedy = "Check DAYBREAK_STATE_URL, and that the server is up."
    try:
        engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"connect_timeout": CONNECT_SECONDS})
        with engine.connect() as connection:
            found = sa.inspect(connection).has_table("layout")
            digests = list(connection.execute(sa.select(t.layout.c.digest)).scalars()) if found else []
    except ImportError as error:
        return Finding(
            AREA, "server", "problem", f"{shown} needs a driver that is not installed: {error.name}", "Install it, or take another."
        )
    except (sa.exc.SQLAlchemyError, TypeError) as error:  # TypeError: a driver that knows no connect_timeout
        told = without_secret(str(getattr(error, "orig", None) or error), url.render_as_string(hide_password=False))
        return Finding(AREA, "server", "problem", f"{shown} did not answer: {told}", remedy)
    return _judge_layout(shown, digests)


def _judge_layout(where: str, digests: list[str]) -> Finding:
    if digests == [t.layout_digest()]:
        return Finding(AREA, "layout", "ok", f"{where}, of this release")
    if not digests:
        return Finding(AREA, "layout", "note", f"{where} is empty; {MADE_ANEW}")
    told = f"{where} is another release's; {MADE_ANEW}, and the history of attempts and verdicts begins again"
    return Finding(AREA, "layout", "note", told)
