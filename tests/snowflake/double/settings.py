"""What changes a session: ALTER SESSION and USE."""

import re
from typing import TYPE_CHECKING

from tests.snowflake.double.errors import SqlError, unparsed
from tests.snowflake.double.names import decode, literal, parse_name
from tests.snowflake.double.wire import OTHER, Result, done

if TYPE_CHECKING:
    from tests.snowflake.double.session import Session

_PAIR = re.compile(r"(\w+)\s*=\s*('(?:[^'\\]|''|\\.)*'|[^\s,]+)")


# As Snowflake has them: Los Angeles, and twelve hours.
DEFAULTS = {"TIMEZONE": "America/Los_Angeles", "LOCK_TIMEOUT": "43200", "AUTOCOMMIT": "true", "QUERY_TAG": ""}


def run(session: "Session", sql: str, words: list[str]) -> Result:
    if words[:2] == ["ALTER", "SESSION"]:
        return _alter_session(session, sql)
    return _use(session, sql)


def set_parameter(session: "Session", name: str, value: str) -> None:
    """Set a parameter of the session, with its effect where it has one here."""
    if name == "AUTOCOMMIT" and value.lower() == "true" and session.transaction.is_open:
        session.transaction.commit()
    session.parameters[name] = value
    if name == "LOCK_TIMEOUT":
        session.transaction.lock_timeout_seconds = float(value)
    if name == "TIMEZONE":
        session.duck.execute(f"set TimeZone = {literal(value)}")


def _alter_session(session: "Session", sql: str) -> Result:
    if found := re.match(r"alter\s+session\s+unset\s+(.*)", sql, re.I | re.S):
        for name in re.findall(r"\w+", found[1].upper()):
            session.parameters.pop(name, None)
            if name in DEFAULTS:
                set_parameter(session, name, DEFAULTS[name])
        return done(statement_type=OTHER)
    pairs = _PAIR.findall(re.sub(r"^alter\s+session\s+set\s+", "", sql, flags=re.I))
    if not pairs:
        raise unparsed(f"syntax error in {sql}")
    for name, value in pairs:
        text = value[1:-1].replace("''", "'").replace("\\'", "'") if value.startswith("'") else value
        set_parameter(session, name.upper(), text)
    return done(statement_type=OTHER)


def _use(session: "Session", sql: str) -> Result:
    found = re.match(r"use\s+(?:(role|warehouse|database|schema|secondary\s+roles)\s+)?(\S+)$", sql, re.I)
    if not found:
        raise unparsed(f"syntax error in {sql}")
    kind, parts = (found[1] or "database").lower(), parse_name(found[2])
    if kind == "database":
        if parts[0] not in session.store.databases:
            raise SqlError(2043, "02000", f"SQL compilation error:\nObject does not exist: {decode(parts[0])}")
        set_place(session, parts[0], parts[1] if len(parts) > 1 else "PUBLIC")
    elif kind == "schema":
        database = parts[0] if len(parts) == 2 else session.place.database
        known = "select 1 from duckdb_schemas() where database_name = ? and schema_name = ?"
        if not session.duck.execute(known, [database, parts[-1]]).fetchone():
            raise SqlError(2043, "02000", f"SQL compilation error:\nObject does not exist: {decode(parts[-1])}")
        set_place(session, str(database), parts[-1])
    elif kind in ("role", "warehouse"):
        session.place.facts[kind.upper()] = decode(parts[0])
    return done(statement_type=OTHER)


def set_place(session: "Session", database: str | None, schema: str | None) -> None:
    session.place.database, session.place.schema = database, schema
    for name, value in (("DATABASE", database), ("SCHEMA", schema)):
        session.place.facts.pop(name, None)
        if value:
            session.place.facts[name] = decode(value)
