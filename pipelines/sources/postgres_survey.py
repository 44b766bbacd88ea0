"""A whole PostgreSQL schema at a glance: one question a kind (relations, columns, indexes, partitions), never one a table.

Only the system catalog and its statistics are read, no table. Not here: what is made of it (``discovery.guess``).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.discovery.survey import Activity, Kind, Partitioning, Survey, SurveyedColumn, SurveyedTable, UniqueIndex
from pipelines.errors import PrerequisiteError
from pipelines.sources import open_source
from pipelines.sources.postgres_connection import Connection
from pipelines.sources.postgres_sql import literal

_KINDS: Mapping[str, Kind] = {"r": "table", "p": "partitioned", "v": "view", "m": "materialized view", "f": "foreign table"}

_SCHEMAS = """
select n.nspname::text as name, has_schema_privilege(n.oid, 'usage') as may_use, current_database()::text as database,
    (select count(*) from pg_class c where c.relnamespace = n.oid and c.relkind in ('r', 'p') and not c.relispartition) as tables
from pg_namespace n
where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
order by n.nspname
"""

# A partitioned or inherited table's numbers are those of everything under it; its own row in pg_class mostly knows none.
_RELATIONS = """
with recursive relations as (
    select c.* from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = {schema} and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
), members(root, oid) as (
    select oid, oid from relations where relkind in ('r', 'p')
    union
    select m.root, i.inhrelid from members m join pg_inherits i on i.inhparent = m.oid
), numbers as (
    select m.root, count(*) as members,
        max(case when c.reltuples > 0 or c.relpages > 0 or pg_stat_get_live_tuples(c.oid) > 0 then 1 end) as is_known,
        sum(greatest(c.reltuples::float8, pg_stat_get_live_tuples(c.oid), 0)) as estimate,
        sum(pg_stat_get_live_tuples(c.oid)) as live, sum(pg_stat_get_tuples_inserted(c.oid)) as inserted,
        sum(pg_stat_get_tuples_updated(c.oid)) as updated, sum(pg_stat_get_tuples_deleted(c.oid)) as deleted
    from members m join pg_class c on c.oid = m.oid
    where c.relkind = 'r'
    group by m.root
)
select r.oid::bigint as oid, r.relname::text as name, r.relkind::text as kind,
    r.relpersistence = 'u' and pg_is_in_recovery() as is_out_of_reach,
    r.relkind in ('r', 'p') and row_security_active(r.oid) as is_row_secured,
    exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = r.oid and d.deptype = 'e') as is_of_extension,
    n.members::bigint as members, case when n.is_known = 1 then n.estimate::bigint end as estimate,
    n.live::bigint as live, n.inserted::bigint as inserted, n.updated::bigint as updated, n.deleted::bigint as deleted
from relations r left join numbers n on n.root = r.oid
order by r.relname::text collate "C"
"""

_COLUMNS = """
with recursive wanted as (
    select a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull
    from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = {schema} and c.relkind in ('r', 'p') and not c.relispartition and a.attnum > 0 and not a.attisdropped
), resolved(attrelid, attnum, typ) as (
    select attrelid, attnum, atttypid from wanted
    union all
    select r.attrelid, r.attnum, t.typbasetype from resolved r join pg_type t on t.oid = r.typ where t.typtype = 'd'
)
select w.attrelid::bigint as oid, w.attname::text as name, format_type(w.atttypid, w.atttypmod)::text as type,
    t.typname::text as base_type, not w.attnotnull as is_nullable,
    has_column_privilege(w.attrelid, w.attnum, 'select') as is_readable
from wanted w
join resolved r on (r.attrelid, r.attnum) = (w.attrelid, w.attnum)
join pg_type t on t.oid = r.typ and t.typtype <> 'd'
order by w.attrelid, w.attnum
"""

_INDEXES = """
select i.indrelid::bigint as oid, x.relname::text as name, i.indisprimary as is_primary,
    i.indisunique and i.indimmediate and i.indexprs is null and i.indnkeyatts = i.indnatts as is_key,
    array(select a.attname::text from unnest(i.indkey::int2[]) with ordinality k(number, place)
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
          where k.place <= i.indnkeyatts order by k.place)::text[] as columns,
    i.indkey[0] <> 0 and am.amname = 'btree' as leads
from pg_index i
join pg_class c on c.oid = i.indrelid join pg_namespace n on n.oid = c.relnamespace
join pg_class x on x.oid = i.indexrelid join pg_am am on am.oid = x.relam
where n.nspname = {schema} and not c.relispartition and i.indisvalid and i.indpred is null
order by i.indrelid, not i.indisprimary, i.indnkeyatts, x.relname::text collate "C"
"""

_PARTITIONS = """
select p.partrelid::bigint as oid, case when p.partstrat = 'r' then a.attname::text end as column,
    pg_get_expr(child.relpartbound, child.oid)::text as bound,
    (select count(*) from pg_partition_tree(p.partrelid) t where t.isleaf and t.relid <> p.partrelid)::bigint as leaves
from pg_partitioned_table p
join pg_class c on c.oid = p.partrelid join pg_namespace n on n.oid = c.relnamespace
left join pg_attribute a on a.attrelid = p.partrelid and a.attnum = p.partattrs[0] and a.attnum > 0
left join pg_inherits i on i.inhparent = p.partrelid
left join pg_class child on child.oid = i.inhrelid
where n.nspname = {schema} and not c.relispartition
"""

# Of a parent's two rows the one over its children is meant.
_STATISTICS = """
select tablename::text as table_name, attname::text as column_name, bool_or(inherited) as inherited,
    array_agg(value order by value)::text[] as values
from (
    select s.tablename, s.attname, s.inherited, unnest(s.histogram_bounds::text::text[] || s.most_common_vals::text::text[]) as value
    from pg_stats s
    join pg_class c on c.relname = s.tablename and not c.relispartition join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attname = s.attname
    where s.schemaname = {schema} and n.nspname = {schema}
        and a.atttypid in ('date'::regtype, 'timestamp'::regtype, 'timestamptz'::regtype)
) seen
group by tablename, attname
"""


def survey_database(name: str, url: str, schema: str, time_zone: str = "UTC") -> Survey:
    """Return what the database behind ``url`` says of ``schema``; days are cut in ``time_zone``.

    Raises ``ConfigError`` for a URL that cannot be read, ``PrerequisiteError`` for a schema that is not there or may not be
    used, and ``SourceUnavailable`` if the server does not answer. No message has the URL.
    """
    with open_source(name, url):  # refuses what is no URL of PostgreSQL; connects nothing
        connection = Connection(name, url)
    try:
        with connection.transaction("begin isolation level repeatable read"):
            database = _check_schema(connection.rows(_SCHEMAS), schema)
            text = {"schema": literal(schema)}
            relations = connection.rows(_RELATIONS.format(**text))
            columns = _by_relation(connection.rows(_COLUMNS.format(**text)))
            indexes = _by_relation(connection.rows(_INDEXES.format(**text)))
            partitions = _by_relation(connection.rows(_PARTITIONS.format(**text)))
            oldest = _oldest(connection.rows(_STATISTICS.format(**text)), time_zone)
    finally:
        connection.close()
    tables = [
        _table(row, _columns(row, columns[row["oid"]], oldest), indexes[row["oid"]], _partitioning(partitions[row["oid"]], time_zone))
        for row in relations
    ]
    return Survey(database, schema, tuple(tables))


def _check_schema(found: Sequence[Mapping[str, Any]], schema: str) -> str:
    """Return the database's name. Raises ``PrerequisiteError`` that names the schemas with tables."""
    mine = next((row for row in found if row["name"] == schema), None)
    others = ", ".join(f"`{row['name']}` ({row['tables']})" for row in found if row["tables"] and row is not mine)
    if mine is None:
        problem, remedy = (
            f"There is no schema `{schema}` in the database.",
            f"Schemas with tables: {others or 'none'}. Choose one with --schema.",
        )
    elif not mine["may_use"]:
        problem, remedy = f"The schema `{schema}` may not be used by this user.", "GRANT USAGE ON SCHEMA, and SELECT on its tables."
    elif not mine["tables"]:
        problem, remedy = f"The schema `{schema}` has no table.", f"Schemas with tables: {others or 'none'}. Choose one with --schema."
    else:
        return str(mine["database"])
    raise PrerequisiteError([problem], safe="Nothing was read or written.", remedy=remedy)


def _by_relation(rows: Sequence[dict[str, Any]]) -> Mapping[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["oid"]].append(row)
    return found


def _columns(
    row: Mapping[str, Any], columns: Sequence[Mapping[str, Any]], oldest: Mapping[tuple[str, str], date]
) -> tuple[SurveyedColumn, ...]:
    return tuple(
        SurveyedColumn(c["name"], c["type"], c["base_type"], c["is_nullable"], bool(c["is_readable"]), oldest.get((row["name"], c["name"])))
        for c in columns
    )


def _table(
    row: Mapping[str, Any], columns: tuple[SurveyedColumn, ...], indexes: Sequence[Mapping[str, Any]], partitioning: Partitioning | None
) -> SurveyedTable:
    kind = _KINDS[row["kind"]]
    is_inherited = kind == "table" and (row["members"] or 1) > 1
    keys = () if is_inherited else tuple(UniqueIndex(i["name"], tuple(i["columns"]), i["is_primary"]) for i in indexes if i["is_key"])
    return SurveyedTable(
        name=row["name"],
        kind=kind,
        columns=columns,
        unique=keys,
        # A parent's index does not cover the rows of its children.
        indexed=frozenset() if is_inherited else frozenset(i["columns"][0] for i in indexes if i["leads"]),
        activity=Activity(row["estimate"], *(row[name] or 0 for name in ("live", "inserted", "updated", "deleted"))),
        partitioning=partitioning,
        children=row["members"] - 1 if is_inherited else 0,
        refusal=_refusal(row, kind, columns),
    )


def _refusal(row: Mapping[str, Any], kind: Kind, columns: Sequence[SurveyedColumn]) -> str | None:
    """Return the first thing that keeps a relation from being synced as it is."""
    view = f"a {kind} says neither what identifies a row nor when one changed; sync the tables under it, or declare it with a `key`"
    reasons = (
        (kind in ("view", "materialized view"), view),
        (kind == "foreign table", "a foreign table: its rows live in another database, which is better read itself"),
        (row["is_of_extension"], "it belongs to an extension"),
        (row["is_out_of_reach"], "it is unlogged, and this server is a standby, which does not have its rows"),
        (not columns, "it has no columns"),
        (not any(column.is_readable for column in columns), "this user may read none of its columns; GRANT SELECT ON it"),
        (row["is_row_secured"], "row-level security hides rows of it from this user; give the user BYPASSRLS or a policy for all rows"),
    )
    return next((reason for applies, reason in reasons if applies), None)


def _partitioning(rows: Sequence[Mapping[str, Any]], time_zone: str) -> Partitioning | None:
    if not rows:
        return None
    days = [_lower_bound(row["bound"], time_zone) for row in rows if row["bound"]]
    # In the default partition, and below MINVALUE, a row may have any value.
    known = [day for day in days if day]
    return Partitioning(rows[0]["column"], rows[0]["leaves"], min(known) if known and len(known) == len(days) else None)


def _lower_bound(bound: str, time_zone: str) -> date | None:
    """Return the first value of ``FOR VALUES FROM ('2026-01-01', …) TO (…)`` as a day; None for the default and for MINVALUE."""
    head, _, rest = bound.partition("FOR VALUES FROM ('")
    return _parse_day(rest.partition("'")[0], time_zone) if not head and rest else None


def _parse_day(text: str, time_zone: str) -> date | None:
    """Return the day of a date or timestamp as PostgreSQL writes it in ISO style; None beyond Python's calendar."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:  # infinity, BC, years of five digits
        return None
    return (instant.astimezone(ZoneInfo(time_zone)) if instant.tzinfo else instant).date()


def _oldest(rows: Sequence[Mapping[str, Any]], time_zone: str) -> dict[tuple[str, str], date]:
    found = {}
    for row in rows:
        days = [day for text in row["values"] if (day := _parse_day(text, time_zone))]
        # A value beyond the calendar may be older than all others.
        if days and len(days) == len(row["values"]):
            found[row["table_name"], row["column_name"]] = min(days)
    return found
