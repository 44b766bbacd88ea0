"""Opens the mirror's database and makes its tables. What is in them is ``tables``'s to say."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from pipelines.errors import PrerequisiteError
from pipelines.state import tables as t
from pipelines.state.lock import hold_lock

PREPARE_WAIT_SECONDS = 60


def open_database(url: str) -> sa.Engine:
    """Return an engine on ``url`` (SQLite in WAL mode, or PostgreSQL) whose tables are those of this release.

    Raises ``PrerequisiteError`` if the database cannot be opened or made.
    """
    try:
        return _open(url)
    except (OSError, sa.exc.SQLAlchemyError) as error:
        told = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig else error
        raise PrerequisiteError(
            [f"The mirror {url.rpartition('@')[2]} cannot be opened: {told}"],
            safe="Nothing was lost: the mirror is a copy of what stands in the warehouse.",
            remedy="Mend its place (DAYBREAK_HOME, DAYBREAK_STATE_URL); a damaged file may be deleted, and the next run rebuilds it.",
        ) from error


def _open(url: str) -> sa.Engine:
    engine = sa.create_engine(url)
    if engine.dialect.name != "sqlite":
        _prepare(engine)
        return engine
    sa.event.listen(engine, "connect", _use_wal)
    # Threads and processes open it at the same moment, and SQLite's DDL does not wait for its turn.
    with hold_lock(Path(f"{engine.url.database}.lock"), "prepare the mirror", PREPARE_WAIT_SECONDS):
        _prepare(engine)
    return engine


def _prepare(engine: sa.Engine) -> None:
    """Make the tables; those of another release are thrown away, as the mirror is rebuilt from the warehouse."""
    t.layout.create(engine, checkfirst=True)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(sa.text("lock table layout in access exclusive mode"))
        found = connection.execute(sa.select(t.layout.c.digest)).scalar()
        if found != t.layout_digest():
            t.metadata.drop_all(connection)
            t.metadata.create_all(connection)
            connection.execute(sa.insert(t.layout).values(digest=t.layout_digest()))


def _use_wal(connection: Any, _record: object) -> None:  # noqa: ANN401 - a DBAPI connection
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma busy_timeout = 30000")
    connection.execute("pragma secure_delete = on")  # what was forgotten must not be left in free pages
    connection.execute("pragma synchronous = normal")  # the mirror can be rebuilt
