"""The SQL that reads PostgreSQL: catalog queries, and the SELECT of a chunk generated from the schema. Pure text, no connection."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.sources.postgres_types import ENDLESS, PgType, unfit_expression, value_expression
from pipelines.sync.model import Bound, Window
from pipelines.sync.protocols import UNFIT_COLUMN, ReadRequest
from pipelines.sync.schema import read_columns
from pipelines.sync.spec import TableSpec

_IDENTITY = """(select system_identifier::text from pg_control_system()) || '/'
        || (select d.oid::text from pg_database d where d.datname = current_database()) || '/' || c.oid::text"""
RELATION = """
select c.oid::bigint as oid, c.relname::text as name, c.relkind::text as kind, obj_description(c.oid, 'pg_class') as comment,
    {identity} as identity,
    has_table_privilege(c.oid, 'select') or has_any_column_privilege(c.oid, 'select') as readable
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = {schema} and {which} and c.relkind in ('r', 'p', 'v', 'm', 'f')
"""

OUTLINES = """
select n.nspname::text as schema, c.relname::text as name, {identity} as identity, a.attnum::int4 as number, a.attname::text as column_name,
    format_type(a.atttypid, a.atttypmod)::text as sql_name, a.attnotnull as not_null
from pg_class c join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
where (n.nspname::text, c.relname::text) in ({names}) and c.relkind in ('r', 'p', 'v', 'm', 'f')
order by 1, 2, a.attnum
"""

TABLES = """
select c.relname::text as name from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = {schema} and c.relkind in ('r', 'p', 'f') and not c.relispartition order by 1
"""

COLUMNS = """
with recursive resolved(attnum, typ, modifier) as (
    select a.attnum, a.atttypid, a.atttypmod from pg_attribute a
    where a.attrelid = {oid} and a.attnum > 0 and not a.attisdropped
    union all
    select r.attnum, t.typbasetype, case when t.typtypmod >= 0 then t.typtypmod else r.modifier end
    from resolved r join pg_type t on t.oid = r.typ where t.typtype = 'd'
)
select a.attnum::int4 as number, a.attname::text as name, format_type(a.atttypid, a.atttypmod)::text as sql_name,
    t.typname::text as base, case when t.typnamespace <> 'pg_catalog'::regnamespace then 'user' else 'system' end as owner,
    r.modifier::int4 as modifier, a.attnotnull as not_null, col_description(a.attrelid, a.attnum)::text as comment,
    pg_get_expr(d.adbin, d.adrelid)::text as default_text, has_column_privilege(a.attrelid, a.attnum, 'select') as readable
from pg_attribute a
join resolved r on r.attnum = a.attnum
join pg_type t on t.oid = r.typ and t.typtype <> 'd'
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum and a.attgenerated = ''
where a.attrelid = {oid} and a.attnum > 0 and not a.attisdropped
order by a.attnum
"""

# A unique index proves a key only if it is valid, total and checked at once, and covers exactly the key's columns.
UNIQUE_KEYS = """
select (select string_agg(a.attname::text, chr(1) order by a.attname::text collate "C") from pg_attribute a
        where a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])) as columns
from pg_index i
where i.indrelid = {oid} and i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
    and i.indnkeyatts = i.indnatts
    -- a table that others inherit from is read with their rows, which its index does not cover
    and not exists (select from pg_inherits h join pg_class c on c.oid = h.inhparent where h.inhparent = i.indrelid and c.relkind <> 'p')
"""

# The clock is read after the open transactions: one that begins in between is later than every row it can hide.
OBSERVE = """
with sessions as materialized (
    -- Of others' sessions all is NULL without the privilege. Without track_activities the state is `disabled`; where that was set
    -- again since the transaction began, the state is known and the start is not.
    select xact_start, pid, application_name::text as name, usename::text as username,
        xact_start is null and (state is null and backend_type is null or state = 'disabled' or state like 'idle in transaction%'
            or state = 'active' and backend_type = 'client backend') as is_hidden
    from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type is distinct from 'autovacuum worker'
), open as (
    select min(xact_start) as oldest_at from sessions -- not `prepared`: that is when it was prepared, not when it began
), ids as (
    select string_agg(id, ',' order by id) as ids from (
        select virtualtransaction::text as id from pg_locks
        where locktype = 'virtualxid' and pid is distinct from pg_backend_pid()
        union select 'prepared ' || gid::text from pg_prepared_xacts where database = current_database()
    ) every_id
)
select clock_timestamp() as observed_at, open.oldest_at, ids.ids,
    (select coalesce(bool_or(is_hidden), false) from sessions) as is_blind,
    (select name || ' (pid ' || pid || ', user ' || coalesce(username, '?') || ')' from sessions
     where xact_start = open.oldest_at limit 1) as oldest_session,
    coalesce((select reset_val from pg_settings where name = 'TimeZone'), 'UTC')::text as default_zone, pg_is_in_recovery() as is_standby
from open, ids
"""


# Of others' sessions all is NULL without the privilege; then that they are in a transaction can be seen by anybody, and whether they did
# something lately by nobody: they are taken for being at work. The work is what the server's processor needs half a millisecond for.
ACTIVITY = """
with began as materialized (select clock_timestamp() as at),
work as materialized (select count(*) as n from generate_series(1, 5000 + (select 0 from began where at is not null))),
ended as materialized (select clock_timestamp() as at from work where n > 0),
others as materialized (
    select pid, state, state is null and backend_type is null as is_hidden, greatest(query_start, state_change) as last_at
    from pg_stat_activity
    where pid not in (pg_backend_pid(), {reader}) and coalesce(backend_type, 'client backend') = 'client backend'
)
select extract(epoch from ended.at - began.at)::float8 as seconds, (
    (select count(*) from others where state = 'active')
    + (select count(*) from pg_locks l join others o on o.pid = l.pid and o.is_hidden
       where l.locktype = 'virtualxid' and l.mode = 'ExclusiveLock')
)::int4 as sessions,
(select coalesce(bool_or(is_hidden or last_at > began.at - interval '1 second'), false) from others) as has_others
from began, ended
"""

RENDERED_ALIKE = frozenset({"int2", "int4", "int8", "text", "varchar", "uuid"})


@dataclass(frozen=True)
class PgColumn:
    """A column as the catalog has it, with its type resolved."""

    name: str
    type: PgType
    is_nullable: bool


@dataclass(frozen=True)
class ChunkQuery:
    """The text of one chunk's SELECT, and the result's columns whose last values are the next chunk's bound."""

    sql: str
    bound_columns: tuple[str, ...]


def quote(name: str) -> str:
    """Return ``name`` as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return ``text`` as a string literal that reads the same whatever standard_conforming_strings says."""
    escaped = text.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in text else f"'{escaped}'"


def relation(spec: TableSpec) -> str:
    """Return the table's quoted, schema-qualified name."""
    return f"{quote(spec.schema)}.{quote(spec.source_table)}"


def named_relation(spec: TableSpec) -> str:
    """Return the query of the relation that has the table's name."""
    return RELATION.format(identity=_IDENTITY, schema=literal(spec.schema), which=f"c.relname = {literal(spec.source_table)}")


def identified_relation(spec: TableSpec, identity: str) -> str:
    """Return the query of the relation that has the table's identity: the system, the database and the number in it."""
    which = f"c.oid::text = {literal(identity.rpartition('/')[2])}"
    known = RELATION.format(identity=_IDENTITY, schema=literal(spec.schema), which=which)
    return f"select * from ({known}) known where identity = {literal(identity)}"


def outlines(specs: Sequence[TableSpec]) -> str:
    """Return the query of all columns of several tables."""
    names = ", ".join(f"({literal(spec.schema)}, {literal(spec.source_table)})" for spec in specs)
    return OUTLINES.format(identity=_IDENTITY, names=names)


def chunk_order(request: ReadRequest) -> tuple[str, ...]:
    """Return the columns that order the part: the cursor only where a lower bound makes its index worth it."""
    if request.part == "stream":
        return ()
    spec, by_cursor = request.spec, request.part == "window" and request.window.lower is not None
    if by_cursor and spec.cursor and request.window.column == spec.cursor and spec.cursor not in spec.key:
        return (spec.cursor, *spec.key)
    return spec.key


def chunk_query(request: ReadRequest, columns: dict[str, PgColumn]) -> ChunkQuery:
    """Return the SELECT of the next chunk: the schema's columns as they land, ``UNFIT_COLUMN``, then bound columns."""
    landed = [columns[column.name] for column in read_columns(request.spec, request.schema, request.window)]
    order = chunk_order(request)
    select = [f"{value_expression(quote(column.name), column.type)} as {quote(column.name)}" for column in landed]
    unfit = unfit_expression([(quote(column.name), literal(column.name), column.type) for column in landed])
    select.append(f"{unfit} as {UNFIT_COLUMN}")
    # A bound is the source's own text; where Arrow's value reads the same, the server is spared a second rendering.
    extra = tuple((name, f"_daybreak_bound_{n}") for n, name in enumerate(order) if columns[name].type.name not in RENDERED_ALIKE)
    select += [f"{quote(name)}::text as {bound}" for name, bound in extra]
    conditions = [*_window_conditions(request, columns), *_keyset(request.after, order, columns)]
    where = f" where {' and '.join(conditions)}" if conditions else ""
    # A bare name would mean the result's column first, which is text for many types and sorts otherwise than the bounds compare.
    order_by = f" order by {', '.join(f'src.{quote(name)}' for name in order)}" if order else ""
    limit = f" limit {request.max_rows}" if order else ""
    bounds = tuple(dict(extra).get(name, name) for name in order)
    return ChunkQuery(f"select {', '.join(select)} from {relation(request.spec)} src{where}{order_by}{limit}", bounds)


def _keyset(after: Bound | None, order: tuple[str, ...], columns: dict[str, PgColumn]) -> list[str]:
    if after is None:
        return []
    values = ", ".join(cast(text, columns[name]) for text, name in zip(after, order, strict=True))
    return [f"({', '.join(map(quote, order))}) > ({values})"]


def cast(text: str, column: PgColumn) -> str:
    """Return ``text`` as a literal of the column's own type."""
    return f"{literal(text)}::{column.type.sql_name}"


def _window_conditions(request: ReadRequest, columns: dict[str, PgColumn]) -> list[str]:
    spec, window = request.spec, request.window
    if window.keys:
        return [_key_condition(request, columns)]
    if request.part == "stream":
        return _stream_conditions(request, columns)
    key_not_null = [f"{quote(name)} is not null" for name in spec.key if columns[name].is_nullable]
    if request.part == "null_key":
        missing = f"({' or '.join(f'{quote(name)} is null' for name in spec.key)})"
        return [missing, *_day_conditions(window, columns)]
    if window.column is None:
        return key_not_null
    column = columns[window.column]
    if request.part == "null_cursor" or window.is_null:
        return [*key_not_null, is_unordered(column)]
    return [*key_not_null, *window_bounds(window, column)]


def _key_condition(request: ReadRequest, columns: dict[str, PgColumn]) -> str:
    key = request.spec.key
    values = ", ".join(
        f"({', '.join(cast(text, columns[name]) for text, name in zip(bound, key, strict=True))})" for bound in request.window.keys
    )
    return f"({', '.join(map(quote, key))}) in ({values})"


def _stream_conditions(request: ReadRequest, columns: dict[str, PgColumn]) -> list[str]:
    """Return the tests of a part that holds everything: the window, and for a cursor also what has no place in it."""
    window = request.window
    if window.column is None or window.days or window.is_null:
        return _day_conditions(window, columns)
    column = columns[window.column]
    keyless = [f"{quote(name)} is null" for name in request.spec.key if columns[name].is_nullable]
    return [f"(({' and '.join(window_bounds(window, column))}) or {' or '.join([is_unordered(column), *keyless])})"]


def _day_conditions(window: Window, columns: dict[str, PgColumn]) -> list[str]:
    """Return the tests of a window of days, or of the values in no day; nothing for other windows."""
    if window.column is None or not (window.days or window.is_null):
        return []
    column = columns[window.column]
    return [is_unordered(column)] if window.is_null else window_bounds(window, column)


def cursor_maximum(spec: TableSpec, column: PgColumn, known: str | None) -> str:
    """Return the query of the cursor's greatest value, as ``top``, and whether it ``fell`` below ``known`` (or is not there any more)."""
    top = f"max({quote(column.name)})"
    fell = f"coalesce({top} < {cast(known, column)}, true)" if known else "false"
    return f"select {top}::text as top, {fell} as fell from {relation(spec)} where {is_ordered(column)}"


def is_ordered(column: PgColumn) -> str:
    """Return the test for values that can be in a window: not NULL, and finite."""
    return f"isfinite({quote(column.name)})" if column.type.name in ENDLESS else f"{quote(column.name)} is not null"


def is_unordered(column: PgColumn) -> str:
    """Return the opposite of ``is_ordered`` in a form that an index on the column answers."""
    tests = [f"{quote(column.name)} is null"] if column.is_nullable else []
    if column.type.name in ENDLESS:
        tests += [f"{quote(column.name)} in ({cast('infinity', column)}, {cast('-infinity', column)})"]
    return f"({' or '.join(tests)})" if tests else "false"


def window_bounds(window: Window, column: PgColumn) -> list[str]:
    """Return the tests of a window's two ends; days end before ``upper``, cursors end with it."""
    less = "<" if window.days else "<="
    tests = [is_ordered(column)]
    if window.lower is not None:
        tests.append(f"{quote(column.name)} >= {cast(window.lower, column)}")
    if window.upper is not None:
        tests.append(f"{quote(column.name)} {less} {cast(window.upper, column)}")
    return tests
