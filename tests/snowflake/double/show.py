"""SHOW and DESCRIBE, in the few columns that dbt and people read."""

import re
from fnmatch import fnmatch
from typing import TYPE_CHECKING

from tests.snowflake.double.errors import SqlError, missing, unparsed
from tests.snowflake.double.names import DECODED, decode, literal, parse_name
from tests.snowflake.double.session_rows import fetch
from tests.snowflake.double.store import TYPE
from tests.snowflake.double.transactions import EVERYTHING, Statement
from tests.snowflake.double.wire import OTHER, Result, make_result

if TYPE_CHECKING:
    from tests.snowflake.double.session import Session

_SHOW = re.compile(
    r"show\s+(?:terse\s+)?(user\s+functions|\w+(?:\s+keys)?)(?:\s+history)?(?:\s+like\s+'([^']*)')?(?:\s+in\s+((?:(?!starts\b|limit\b)\S+\s*)+?))?"
    r"(?:\s+starts\s+with\s+'([^']*)')?(?:\s+limit\s+(\d+)(?:\s+from\s+'([^']*)')?)?$",
    re.I,
)
_MOST_ROWS = 10_000
_DESCRIBE = re.compile(r"desc(?:ribe)?\s+(table|view)\s+(\S+)(?:\s+type\s*=.*)?$", re.I)
_RELATIONS = """
    select now() as created_on, table_name as name, {kind} as kind, table_catalog as database_name, table_schema as schema_name,
        coalesce(comment, '') as comment, row_count as rows, table_owner as owner, '' as text, 'OFF' as is_dynamic, 'N' as is_iceberg
    from memory.main._tables where {where} order by 4, 5, 2
"""


def run(session: "Session", sql: str) -> Result:
    if found := _DESCRIBE.match(sql):
        return _describe(session, found[2])
    found = _SHOW.match(sql)
    if not found:
        raise unparsed(f"syntax error in {sql}")
    kind, like, scope, start, limit, after = found.groups()
    kind = " ".join(kind.upper().split())
    where = _where(session, scope)
    match kind:
        case "TABLES" | "VIEWS" | "OBJECTS":
            wanted = {"TABLES": " and table_type = 'BASE TABLE'", "VIEWS": " and table_type = 'VIEW'"}.get(kind, "")
            name = "case when table_type = 'VIEW' then 'VIEW' else 'TABLE' end"
            query = _RELATIONS.format(kind=name, where=where + wanted)
        case "SCHEMAS":
            of = where.partition(" and ")[0].replace("table_catalog", "catalog_name")
            query = (
                "select now() as created_on, schema_name as name, 'N' as is_default, 'N' as is_current, catalog_name as database_name,"
                f" schema_owner as owner, '' as comment from memory.main._information_schemata where {of} order by 2"
            )
        case "DATABASES":
            names = ", ".join(f"({literal(decode(name))})" for name in sorted(session.store.databases)) or "(null)"
            query = f"select now() as created_on, name, 'N' as is_default, 'LOADER' as owner from (values {names}) as d (name)"
        case "PARAMETERS":
            known = sorted(session.parameters.items())
            rows = [(key, value, "", "SESSION") for key, value in known if like is None or fnmatch(key, like.upper().replace("%", "*"))]
            return make_result({"key": "text", "value": "text", "default": "text", "level": "text"}, rows, OTHER)
        case "COLUMNS":
            query = (
                'select table_name, table_schema as schema_name, column_name, full_type as data_type, is_nullable as "null?",'
                f" comment, table_catalog as database_name from memory.main._columns where {where} order by 2, 1, ordinal_position"
            )
        case "USER FUNCTIONS" | "FUNCTIONS":
            return make_result(dict.fromkeys(("created_on", "name", "schema_name", "is_builtin", "catalog_name"), "text"), [], OTHER)
        case _:
            return make_result({"created_on": "text", "name": "text"}, [], OTHER)
    name = "column_name" if kind == "COLUMNS" else "name"
    conditions = [
        *([f"{name} ilike {literal(like)}"] if like is not None else []),
        *([f"starts_with({name}, {literal(start)})"] if start else []),
        *([f"{name} > {literal(after)}"] if after else []),
    ]
    most = min(int(limit or _MOST_ROWS), _MOST_ROWS)
    query = f"select * from ({query}) where {' and '.join(conditions) or 'true'} limit {most}"
    return fetch(session.transaction.query(Statement(query, reads=frozenset({EVERYTHING}))))


def _where(session: "Session", scope: str | None) -> str:
    """SQL for what ``IN …`` names; without it, the session's place."""
    words = re.match(r"(?:(account|database|schema|table|view)\b)?\s*(\S+)?", scope or "", re.I)
    kind = (words[1] or "").lower() if words else ""
    parts = [decode(part) for part in parse_name(words[2])] if words and words[2] else []
    if kind == "account":
        return "true"
    here = [decode(part) for part in (session.place.database, session.place.schema) if part]
    if not scope:
        parts, kind = here, "schema"
    if kind == "database":
        parts = parts or here[:1]
    elif kind in ("table", "view"):
        parts = [*here[: 3 - len(parts)], *parts]
    elif len(parts) == 1 and scope and here:
        parts = [here[0], *parts]
    _refuse_missing(session, parts[:2])
    names = ("table_catalog", "table_schema", "table_name")
    return " and ".join(f"{name} = {literal(part)}" for name, part in zip(names, parts, strict=False)) or "true"


def _refuse_missing(session: "Session", parts: list[str]) -> None:
    sql = f"select count(*) from duckdb_schemas() where {DECODED.format('database_name')} = ? and {DECODED.format('schema_name')} = ?"
    if parts and session.duck.execute(sql, [*parts, "main"][:2]).fetchall() == [(0,)]:
        raise SqlError(2043, "02000", f"SQL compilation error:\nObject does not exist: {'.'.join(parts)}")


def _describe(session: "Session", name: str) -> Result:
    stored = session.place.stored(session.place.complete(parse_name(name)))
    # A temporary table is in no catalog that others see.
    where = f"database_name = {literal(stored[0])} and schema_name = {literal(stored[1])} and relation = {literal(stored[2])}"
    source = "memory.main._columns" if stored[0] != "temp" else f"({_TEMPORARY})"
    query = (
        "select column_name as name, full_type as type, 'COLUMN' as kind, if(is_nullable = 'YES', 'Y', 'N') as \"null?\","
        f' column_default as "default", comment from {source} where {where} order by ordinal_position'
    )
    result = fetch(session.transaction.query(Statement(query, reads=frozenset({EVERYTHING}))))
    if not result.table.num_rows:
        raise missing("Object", name)
    return result


_TEMPORARY = f"""
    select {DECODED.format("column_name")} as column_name, {TYPE} as full_type,
        if(is_nullable, 'YES', 'NO') as is_nullable, column_default, comment::json->>'$.comment' as comment,
        database_name, schema_name, table_name as relation, column_index as ordinal_position
    from duckdb_columns()
"""
