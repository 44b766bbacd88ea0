"""DDL: databases, schemas, tables and views. Each statement commits the open transaction, and is one of its own."""

import re
from typing import TYPE_CHECKING

from sqlglot import Expr, exp

from tests.snowflake.double import altering, creating
from tests.snowflake.double.errors import NotEmulated, SqlError, existing, missing, missing_column
from tests.snowflake.double.metadata import Metadata, comment_sql, read_columns, read_metadata
from tests.snowflake.double.names import TEXT, Table, decode, literal, parse_name, quote, quote_all, unquote_text
from tests.snowflake.double.translate import parse, table_parts
from tests.snowflake.double.wire import Result, done

if TYPE_CHECKING:
    from tests.snowflake.double.session import Session

_NAME = r'((?:"(?:[^"]|"")*"|[\w$]+)(?:\.(?:"(?:[^"]|"")*"|[\w$]+))*)'
_COMMENT = re.compile(rf"comment\s+(?:if\s+exists\s+)?on\s+(table|view|column|schema|database)\s+{_NAME}\s+is\s+({TEXT})$", re.I | re.S)
# Objects that no test leans on: to make or drop them is answered, and does nothing.
_IGNORED = re.compile(r"(create|alter|drop)\s+(or\s+replace\s+)?(warehouse|role|user|resource\s+monitor|network\s+policy)\b", re.I)


def run(session: "Session", sql: str) -> Result:
    if _IGNORED.match(sql):
        session.transaction.commit()
        return done()
    if found := _COMMENT.match(sql):
        return _comment(session, found[1].lower(), parse_name(found[2]), unquote_text(found[3]))
    if re.match(r"alter\s+table\b", sql, re.I):
        return altering.run(session, sql)
    expression = parse(sql)
    kind = str(expression.args.get("kind", "")).upper()
    match expression:
        case exp.Create() if kind in ("DATABASE", "SCHEMA"):
            return _create_container(session, expression, kind)
        case exp.Create() if kind in ("TABLE", "VIEW"):
            return creating.run(session, expression, sql)
        case exp.Drop() if kind in ("DATABASE", "SCHEMA"):
            return _drop_container(session, expression, kind)
        case exp.Drop() if kind in ("TABLE", "VIEW"):
            return _drop(session, expression, kind)
        case exp.TruncateTable():
            return _truncate(session, session.place.complete(table_parts(expression.expressions[0])))
    raise NotEmulated(f"{sql.split(maxsplit=2)[:2]}")


def find_kind(session: "Session", table: Table) -> str | None:
    """Return TABLE, VIEW, or None where nothing has that name."""
    for kind in ("table", "view"):
        sql = f"select count(*) from duckdb_{kind}s() where database_name = ? and schema_name = ? and {kind}_name = ?"
        if session.duck.execute(sql, list(table)).fetchall() != [(0,)]:
            return kind.upper()
    return None


def _subject(expression: Expr) -> exp.Table:
    found = expression.this or expression.args["tables"][0]
    return found if isinstance(found, exp.Table) else found.this


def _schema_of(session: "Session", expression: Expr) -> tuple[str, str]:
    parts = table_parts(_subject(expression))
    database = parts[-2] if len(parts) > 1 else session.place.complete(["", ""])[0]
    return database, parts[-1]


def _create_container(session: "Session", expression: Expr, kind: str) -> Result:
    from tests.snowflake.double.settings import set_place

    exists, replace = expression.args.get("exists"), expression.args.get("replace")
    if kind == "DATABASE":
        name = table_parts(_subject(expression))[-1]
        session.transaction.commit()
        if name in session.store.databases and exists:
            return done(f"{decode(name)} already exists, statement succeeded.")
        if name in session.store.databases and replace:
            session.store.drop_database(name)
        session.store.create_database(name)
        session.duck.execute(f'create schema {quote(name)}."PUBLIC"')
        set_place(session, name, "PUBLIC")
        return done(f"Database {decode(name)} successfully created.")
    database, name = _schema_of(session, expression)
    if database not in session.store.databases:
        raise missing("Database", decode(database))

    def create() -> str:
        sql = "select count(*) from duckdb_schemas() where database_name = ? and schema_name = ?"
        if session.duck.execute(sql, [database, name]).fetchall() != [(0,)]:
            if exists:
                return f"{decode(name)} already exists, statement succeeded."
            if not replace:
                raise existing(decode(name))
            session.duck.execute(f"drop schema {quote(database)}.{quote(name)} cascade")
        session.duck.execute(f"create schema {quote(database)}.{quote(name)}")
        return f"Schema {decode(name)} successfully created."

    message = session.transaction.define({(database, name, "")}, create)
    set_place(session, database, name)
    return done(message)


def _drop_container(session: "Session", expression: Expr, kind: str) -> Result:
    from tests.snowflake.double.settings import set_place

    exists = expression.args.get("exists")
    if kind == "DATABASE":
        name = table_parts(_subject(expression))[-1]
        session.transaction.commit()
        if name not in session.store.databases and exists:
            return done("Drop statement executed successfully.")
        if name == session.place.database:
            set_place(session, None, None)
        session.store.drop_database(name)
        return done(f"{decode(name)} successfully dropped.")
    database, name = _schema_of(session, expression)

    def drop() -> None:
        sql = "select count(*) from duckdb_schemas() where database_name = ? and schema_name = ?"
        if session.duck.execute(sql, [database, name]).fetchall() == [(0,)]:
            if exists:
                return
            raise missing("Schema", decode(name))
        session.duck.execute(f"drop schema {quote(database)}.{quote(name)} cascade")
        session.duck.execute(f"delete from {quote(database)}._daybreak.stages where schema_name = {literal(name)}")

    session.transaction.define({(database, name, "")}, drop)
    if (session.place.database, session.place.schema) == (database, name):
        set_place(session, database, None)
    return done(f"{decode(name)} successfully dropped.")


def _drop(session: "Session", expression: Expr, kind: str) -> Result:
    table = session.place.complete(table_parts(_subject(expression)))
    stored = session.place.stored(table)

    def drop() -> None:
        found = find_kind(session, stored)
        if found is None:
            if expression.args.get("exists"):
                return
            raise missing("Object", ".".join(map(decode, table)))
        if found != kind:
            raise SqlError(2203, "42601", f"SQL compilation error:\nObject '{decode(table[2])}' is not a {kind.lower()}.")
        session.duck.execute(f"drop {kind} {quote_all(stored)}")

    session.transaction.define(_locked(stored), drop)
    session.place.temporary.pop(table, None)
    session.place.temporary_views.pop(table, None)
    return done(f"{decode(table[2])} successfully dropped.")


def _truncate(session: "Session", table: Table) -> Result:
    stored = session.place.stored(table)

    def truncate() -> None:
        if find_kind(session, stored) != "TABLE":
            raise missing("Object", ".".join(map(decode, table)))
        session.duck.execute(f"delete from {quote_all(stored)}")
        if stored[0] != "temp":
            known = read_metadata(session.duck, stored).get("id", "")
            session.duck.execute(f"delete from {quote(stored[0])}._daybreak.loads where table_id = {literal(known)}")

    session.transaction.define(_locked(stored), truncate)
    return done()


def _comment(session: "Session", kind: str, parts: list[str], text: str) -> Result:
    if kind in ("schema", "database"):
        session.transaction.commit()
        return done()  # nothing reads it
    column = parts[-1] if kind == "column" else None
    stored = session.place.stored(session.place.complete(parts[:-1] if column else parts))

    def write() -> None:
        found = find_kind(session, stored)
        if found is None:
            raise missing("Object", ".".join(map(decode, parts)))
        if column and column not in read_columns(session.duck, stored):
            raise missing_column(decode(column))
        known: Metadata = read_metadata(session.duck, stored, column)
        session.duck.execute(comment_sql(found, stored, column, {**known, "comment": text}))

    session.transaction.define(_locked(stored), write)
    return done()


def _locked(stored: Table) -> set[Table]:
    return set() if stored[0] == "temp" else {stored}
