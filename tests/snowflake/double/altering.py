"""ALTER TABLE."""

import re
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from tests.snowflake.double.creating import declare
from tests.snowflake.double.errors import SqlError, existing, missing, missing_column, unparsed
from tests.snowflake.double.metadata import comment_sql, read_columns, read_metadata
from tests.snowflake.double.names import TEXT, Table, decode, parse_name, quote, quote_all, unquote_text
from tests.snowflake.double.translate import parse
from tests.snowflake.double.types import ColumnType, column_type, refuse_change, stored_type
from tests.snowflake.double.wire import Result, done

if TYPE_CHECKING:
    from tests.snowflake.double.session import Session

_PART = r'(?:"(?:[^"]|"")*"|[\w$]+)'
_HEAD = re.compile(rf"alter\s+table\s+(if\s+exists\s+)?({_PART}(?:\.{_PART})*)\s+(.*)$", re.I | re.S)
_RENAME = re.compile(rf"rename\s+to\s+({_PART}(?:\.{_PART})*)$", re.I)
_SWAP = re.compile(rf"swap\s+with\s+({_PART}(?:\.{_PART})*)$", re.I)
_RENAME_COLUMN = re.compile(rf"rename\s+column\s+({_PART})\s+to\s+({_PART})$", re.I)
_DROP = re.compile(rf"drop\s+(?:column\s+)?(if\s+exists\s+)?({_PART}(?:\s*,\s*{_PART})*)$", re.I)
_ADD = re.compile(r"add\s+(?:column\s+)?(if\s+not\s+exists\s+)?(.*)$", re.I | re.S)
_CHANGE = re.compile(r"(?:alter|modify)\s+(\(.*\)|[^(].*)$", re.I | re.S)
_TYPE = re.compile(rf"(?:column\s+)?({_PART})\s+(?:set\s+data\s+)?(?:type\s+)?([\w ]+(?:\([\d, ]+\))?)$", re.I)
_NULLS = re.compile(rf"(?:column\s+)?({_PART})\s+(drop|set)\s+not\s+null$", re.I)
_COMMENT = re.compile(rf"(?:column\s+)?({_PART})\s+comment\s+({TEXT})$", re.I | re.S)
_SET_COMMENT = re.compile(rf"set\s+comment\s*=\s*({TEXT})$", re.I | re.S)
# Storage and cost, not rows.
_IGNORED = re.compile(r"(set\s+(data_retention_time_in_days|change_tracking)\b|cluster\s+by\b|drop\s+clustering\b)", re.I)
_COMMA = re.compile(rf"""({TEXT})|"(?:[^"]|"")*"|(?:\([^)]*\))|,""", re.S)


def run(session: "Session", sql: str) -> Result:
    found = _HEAD.match(sql)
    if not found:
        raise unparsed(f"syntax error in {sql}")
    table, action = session.place.complete(parse_name(found[2])), found[3].strip()
    stored = session.place.stored(table)
    tables = {stored}
    if other := _SWAP.match(action) or _RENAME.match(action):
        tables.add(_complete_beside(session, table, parse_name(other[1])))

    def alter() -> None:
        from tests.snowflake.double.tables import find_kind

        if find_kind(session, stored) != "TABLE":
            if found[1]:
                return
            raise missing("Table", ".".join(map(decode, table)))
        _alter(session, stored, action)

    session.transaction.define({each for each in tables if each[0] != "temp"}, alter)
    return done()


def _complete_beside(session: "Session", table: Table, parts: list[str]) -> Table:
    """Return the whole name of ``parts``; one without a schema is in the session's, as on Snowflake."""
    del table
    return session.place.stored(session.place.complete(parts))


def _alter(session: "Session", table: Table, action: str) -> None:
    duck, name = session.duck, quote_all(table)
    if found := _RENAME.match(action):
        _rename(session, table, session.place.complete(parse_name(found[1])))
    elif found := _SWAP.match(action):
        _swap(session, table, _complete_beside(session, table, parse_name(found[1])))
    elif found := _RENAME_COLUMN.match(action):
        old, new = parse_name(found[1])[0], parse_name(found[2])[0]
        _column(session, table, old)
        if new in read_columns(duck, table):
            raise SqlError(1430, "42601", f"SQL compilation error:\ncolumn '{decode(new)}' already exists")
        duck.execute(f"alter table {name} rename column {quote(old)} to {quote(new)}")
    elif found := _SET_COMMENT.match(action):
        known = read_metadata(duck, table)
        duck.execute(comment_sql("TABLE", table, None, {**known, "comment": unquote_text(found[1])}))
    elif _IGNORED.match(action):
        pass
    elif found := _DROP.match(action):
        for column in (parse_name(part)[0] for part in re.findall(_PART, found[2])):
            if not found[1] or column in read_columns(duck, table):
                _column(session, table, column)
                duck.execute(f"alter table {name} drop column {quote(column)}")
    elif found := _ADD.match(action):
        _add(session, table, found[2], lenient=bool(found[1]))
    elif found := _CHANGE.match(action):
        changes = found[1][1:-1] if found[1].startswith("(") else found[1]
        for change in _split(changes):
            _change(session, table, change)
    else:
        raise unparsed(f"unexpected '{action.split()[0]}'")


def _split(text: str) -> list[str]:
    """Return what the commas outside of brackets and quotes divide."""
    places = [found.start() for found in _COMMA.finditer(text) if found[0] == ","]
    return [text[start + 1 : end].strip() for start, end in zip([-1, *places], [*places, len(text)], strict=True)]


def _change(session: "Session", table: Table, change: str) -> None:
    if found := _NULLS.match(change):
        column = parse_name(found[1])[0]
        _column(session, table, column)
        session.duck.execute(f"alter table {quote_all(table)} alter column {quote(column)} {found[2]} not null")
    elif found := _COMMENT.match(change):
        column = parse_name(found[1])[0]
        _column(session, table, column)
        known = read_metadata(session.duck, table, column)
        session.duck.execute(comment_sql("TABLE", table, column, {**known, "comment": unquote_text(found[2])}))
    else:
        _change_type(session, table, change)


def _column(session: "Session", table: Table, column: str) -> None:
    if column not in read_columns(session.duck, table):
        raise missing_column(decode(column))


def _add(session: "Session", table: Table, definitions: str, *, lenient: bool) -> None:
    more = re.compile(r",\s*(?:add\s+)?column\s+(?:if\s+not\s+exists\s+)?", re.I)
    create = parse(f"create table t ({more.sub(', ', definitions)})")
    for definition in create.this.expressions:
        if not isinstance(definition, exp.ColumnDef):
            raise unparsed(f"syntax error in {definitions}")
        if definition.name in read_columns(session.duck, table):
            if lenient:
                continue
            raise SqlError(1430, "42601", f"SQL compilation error:\ncolumn '{decode(definition.name)}' already exists")
        text, metadata = declare(session, definition)
        required = " not null" in text
        session.duck.execute(f"alter table {quote_all(table)} add column {text.replace(' not null', '')}")
        if required:
            session.duck.execute(f"alter table {quote_all(table)} alter column {quote(definition.name)} set not null")
        session.duck.execute(comment_sql("TABLE", table, definition.name, metadata))


def _change_type(session: "Session", table: Table, change: str) -> None:
    found = _TYPE.match(change)
    if not found:
        raise unparsed(f"syntax error in {change}")
    column = parse_name(found[1])[0]
    _column(session, table, column)
    known = read_metadata(session.duck, table, column)
    new = column_type(exp.DataType.build(found[2], dialect="snowflake"))
    sql = "select data_type from duckdb_columns() where database_name = ? and schema_name = ? and table_name = ? and column_name = ?"
    (duck_type,) = session.duck.execute(sql, [*table, column]).fetchall()[0]
    old = ColumnType(duck_type, known["type"]) if "type" in known else stored_type(duck_type)
    refuse_change(decode(column), old, new)
    if new.duck != duck_type:
        session.duck.execute(f"alter table {quote_all(table)} alter column {quote(column)} set data type {new.duck}")
    session.duck.execute(comment_sql("TABLE", table, column, {**known, "type": new.name}))


def _rename(session: "Session", table: Table, new: Table) -> None:
    from tests.snowflake.double.tables import find_kind

    if find_kind(session, new):
        raise existing(decode(new[2]))
    if table[:2] == new[:2]:
        session.duck.execute(f"alter table {quote_all(table)} rename to {quote(new[2])}")
    else:
        _move(session, table, new)


def _swap(session: "Session", table: Table, other: Table) -> None:
    from tests.snowflake.double.tables import find_kind

    if find_kind(session, other) != "TABLE":
        raise missing("Table", ".".join(map(decode, other)))
    between = (table[0], table[1], "between the two")
    _rename(session, table, between)
    _rename(session, other, table)
    _rename(session, between, other)


def _move(session: "Session", table: Table, new: Table) -> None:
    """Bring a table into another schema, which DuckDB does not: with all that is known of it."""
    about, columns = read_metadata(session.duck, table), read_columns(session.duck, table)
    (sql,) = session.duck.execute(
        "select sql from duckdb_tables() where database_name = ? and schema_name = ? and table_name = ?", list(table)
    ).fetchall()[0]
    create = sqlglot.parse_one(sql, read="duckdb")
    for part, name in zip(("catalog", "db", "this"), new, strict=True):
        create.find(exp.Table).set(part, exp.to_identifier(name, quoted=True))  # type: ignore[union-attr]
    session.duck.execute(create.sql("duckdb"))
    session.duck.execute(f"insert into {quote_all(new)} from {quote_all(table)}")
    session.duck.execute(f"drop table {quote_all(table)}")
    session.duck.execute(comment_sql("TABLE", new, None, about))
    for column, metadata in columns.items():
        session.duck.execute(comment_sql("TABLE", new, column, metadata))
