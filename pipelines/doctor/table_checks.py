"""What the facts about a source's tables mean for their entries in the catalog. Pure, like ``server_checks``."""

from collections.abc import Iterator, Sequence

from pipelines.doctor.finding import Finding, State
from pipelines.gates.classes import check_expectations
from pipelines.sources.postgres_health import ColumnFacts, SourceFacts, TableFacts
from pipelines.sources.postgres_refusals import CURSOR_TYPES, PARTITION_TYPES
from pipelines.sources.postgres_sql import quote, relation
from pipelines.sources.postgres_types import arrow_type
from pipelines.sync.spec import SourceSpec, TableSpec

INDEX_ROWS = 100_000  # below, a full scan is quicker than anybody notices
STREAM_ROWS = 1_000_000  # what one transaction reads in the seconds that a chunk may take
NAMED_COLUMNS = 5
UTC_ZONES = ("UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "Etc/Zulu", "Universal", "Etc/Universal")


def check_tables(spec: SourceSpec, facts: SourceFacts) -> list[Finding]:
    """Judge every table of the catalog: is it there, may it be read, and do key, cursor and partition fit."""
    by_name = {(table.schema, table.name): table for table in facts.tables}
    return [
        finding
        for table in spec.tables
        if (found := by_name.get((table.schema, table.source_table)))
        for finding in _check_table(table, found, facts)
    ]


def _check_table(spec: TableSpec, table: TableFacts, facts: SourceFacts) -> list[Finding]:
    area, user = f"source {spec.source}", quote(facts.server.username)
    if obstacle := _obstacle(spec, table, user):
        return [Finding(area, spec.name, *obstacle)]
    checks = [*_privileges(spec, table, user), *_declared(spec, table), *_key(spec, table)]
    for name, allowed in ((spec.cursor, CURSOR_TYPES), (spec.partition and spec.partition.column, PARTITION_TYPES)):
        column = next((column for column in table.columns if column.name == name), None)
        if column:
            checks += _ordering(spec, table, column, allowed)
            checks += _clock_of(column, facts.server.default_zone)
    column = next((column for column in table.columns if column.name == spec.cursor), None)
    if column:
        checks += _source_of_cursor(table, column)
    findings = [Finding(area, spec.name, *check) for check in checks]
    if all(finding.state == "note" for finding in findings):
        size = "not analysed yet" if table.rows is None else f"about {table.rows:,} rows"
        findings.insert(0, Finding(area, spec.name, "ok", f"{len(table.columns)} columns, {size}"))
    return findings


Check = tuple[State, str, str]


def _obstacle(spec: TableSpec, table: TableFacts, user: str) -> Check | None:
    """Return what keeps the table from being looked at."""
    entry = f"Mend the entry `{spec.name}` of the catalog"
    if not table.has_schema:
        return "problem", f"there is no schema `{spec.schema}`", f"{entry} (`schema`), or the source."
    if not table.may_enter:
        return "problem", f"no USAGE on schema `{spec.schema}`", f"GRANT USAGE ON SCHEMA {quote(spec.schema)} TO {user};"
    if table.oid is None:
        return "problem", f"there is no table or view `{spec.schema}.{spec.source_table}`", f"{entry}, or the source."
    if table.locked_by:
        locked = f"{table.locked_by} holds it, or waits, with an ACCESS EXCLUSIVE lock: nobody can read it, and it was not looked at"
        return "warning", locked, "Let that transaction end, and ask again."
    return None


def _privileges(spec: TableSpec, table: TableFacts, user: str) -> Iterator[Check]:
    landed = [column for column in table.columns if spec.masks.get(column.name) != "drop"]
    if not landed:
        yield (
            "problem",
            "it has no column that could land",
            f"Take the entry `{spec.name}` out of the catalog, or give a column no `mask: drop`.",
        )
    hidden = [column.name for column in landed if not column.is_readable]
    if hidden and len(hidden) == len(landed):
        yield "problem", "no SELECT on it", f"GRANT SELECT ON {relation(spec)} TO {user};"
    elif hidden:
        told = f"no SELECT on {_list(hidden)}"
        grant = f"GRANT SELECT ({', '.join(map(quote, hidden))}) ON {relation(spec)} TO {user}; or leave them out with `mask: drop`."
        yield "problem", told, grant
    if table.is_row_secured:
        secured = "row-level security applies to this user: whatever its policies allow, the sync stops instead of missing rows in silence"
        yield "problem", secured, f"ALTER ROLE {user} BYPASSRLS; or sync a view of it that belongs to its owner."


def _declared(spec: TableSpec, table: TableFacts) -> Iterator[Check]:
    known = {column.name for column in table.columns}
    places = {
        "key": spec.key,
        "cursor": (spec.cursor,) if spec.cursor else (),
        "partition.column": (spec.partition.column,) if spec.partition else (),
        "columns": tuple(spec.masks),
    }
    for place, names in places.items():
        if missing := [name for name in names if name not in known]:
            yield (
                "problem",
                f"`{place}` names {_list(missing)}, which the table does not have",
                f"Mend the entry `{spec.name}` of the catalog.",
            )
    types = {column.name: arrow_type(column.type_) for column in table.columns}
    for problem in check_expectations(spec, types):
        yield "problem", problem, f"Mend the expectations of `{spec.name}` in the catalog."


def _key(spec: TableSpec, table: TableFacts) -> Iterator[Check]:
    if nullable := [column.name for column in table.columns if column.name in spec.key and column.is_nullable]:
        told = f"key column {_list(nullable)} may be NULL: such rows are swept up by themselves and go to quarantine"
        yield "note", told, f"ALTER TABLE {relation(spec)} ALTER … SET NOT NULL, if none is." if table.kind in ("r", "p") else ""
    if frozenset(spec.key) in table.unique_keys:
        return
    is_big = (table.rows or 0) >= STREAM_ROWS
    size = f" ({table.rows:,} rows)" if table.rows else ""
    what = f"no unique index proves the key {_list(spec.key)}" if spec.key else "no key is declared"
    told = f"{what}: the table is read in one transaction{size}, and from its start again if that breaks off"
    columns = ", ".join(map(quote, spec.key))
    index = f"CREATE UNIQUE INDEX CONCURRENTLY ON {relation(spec)} ({columns});" if spec.key and table.kind == "r" else ""
    yield "warning" if is_big else "note", told, index if spec.key else "Declare a `key` that has a unique index."


def _ordering(spec: TableSpec, table: TableFacts, column: ColumnFacts, allowed: Sequence[str]) -> Iterator[Check]:
    word = "cursor" if column.name == spec.cursor else "partition column"
    if column.type_.name not in allowed:
        unfit = f"{word} `{column.name}` is {column.type_.sql_name}; it must be one of {', '.join(allowed)}"
        yield "problem", unfit, "Choose another column, or mode snapshot."
        return
    if column.is_nullable:
        yield "note", f"{word} `{column.name}` may be NULL: such rows are read anew by each load", ""
    if column.name not in table.ordered_by and (table.rows or 0) >= INDEX_ROWS:
        slow = f"no index begins with {word} `{column.name}`: each load reads all of about {table.rows:,} rows"
        index = f"CREATE INDEX CONCURRENTLY ON {relation(spec)} ({quote(column.name)});" if table.kind == "r" else ""
        yield "warning", slow, index or "Index the table that it stands on."


def _clock_of(column: ColumnFacts, default_zone: str) -> Iterator[Check]:
    if column.type_.name == "timestamp" and default_zone not in UTC_ZONES:
        told = f"`{column.name}` has no time zone and the server's is {default_zone}, so either may have been written"
        yield "note", f"{told}: loads reach back by the difference", "timestamp with time zone would be exact."


def _source_of_cursor(table: TableFacts, column: ColumnFacts) -> Iterator[Check]:
    """Say who writes the cursor where it is not the database's clock: the horizon of open transactions does not cover that."""
    if column.sequence_cache and column.sequence_cache > 1:
        told = (
            f"cursor `{column.name}` comes from a sequence with CACHE {column.sequence_cache}: sessions hand out numbers below what was "
            "read already, and no observation sees that; a row that commits late is missed, unless the whole table is read again"
        )
        yield "warning", told, "ALTER SEQUENCE … CACHE 1, or take a timestamp as the cursor."
    if column.type_.name not in ("timestamp", "timestamptz", "date"):
        return
    written = ["new rows"] if column.default is None and not table.has_insert_trigger else []
    written += [] if table.has_update_trigger else ["updates"]
    if written:
        told = f"the application sets cursor `{column.name}` of {' and '.join(written)}, not the database"
        risk = "a row that is dated before the last load, or changed without a new date, goes unseen"
        yield "note", f"{told}: {risk}", "A trigger that sets it to now() leaves no doubt; nor does mode snapshot."


def _list(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:NAMED_COLUMNS])
    return f"{shown} and {len(names) - NAMED_COLUMNS} more" if len(names) > NAMED_COLUMNS else shown
