"""The tables of schema ``daybreak`` outside of a load: who may load, what is approved, what was forgotten."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from pipelines.sync.model import SchemaVersion
from pipelines.sync.protocols import Traces, WarehouseState
from pipelines.sync.shape import TableSchema
from pipelines.sync.spec import TableSpec
from pipelines.warehouses.dialect import INSTANT, OF_TABLE, Dialect, Run, names_of
from pipelines.warehouses.load_shape import comment_on, create_raw_table, record_version
from pipelines.warehouses.state_ledger import read_approvals, read_days, read_entries, read_versions, read_watermarks
from pipelines.warehouses.state_parity import read_results

STATE = Path(__file__).parent / "state.sql"


def state_ddl(to: Dialect) -> list[str]:
    """Return the statements that make the tables, and give a file of an earlier release what it lacks. Each can be repeated."""
    text = STATE.read_text(encoding="utf-8").format(create=to.create, instant=to.types[INSTANT], json=to.json, new_id=to.new_id)
    return [statement for statement in text.split(";\n") if statement.strip()]


def read_state(run: Run, place: str, tables: Sequence[str]) -> WarehouseState:
    """Return the truth about ``tables`` (ids), with their newest ledger entries."""
    ((warehouse_id,),) = run("select warehouse_id from daybreak.warehouse")
    return WarehouseState(
        warehouse_id=warehouse_id,
        place=place,
        watermarks=read_watermarks(run, tables),
        entries=read_entries(run, tables),
        days=read_days(run, tables),
        versions=read_versions(run, tables),
        approvals=read_approvals(run, tables),
        compared=read_results(run, tables),
    )


def claim(run: Run, spec: TableSpec) -> int:
    """Take the table's next fencing token; the caller's transaction makes it one step."""
    names = names_of(spec)
    advance = f"update daybreak.watermarks set token = token + 1 where {OF_TABLE}"
    if run(advance, **names)[0][0] == 0:
        # Of several who are the first, one goes on after the other. An INSERT waits for nobody, and whether others wait for an UPDATE
        # that finds no row is not said, so each changes a row that there is.
        run("update daybreak.warehouse set created_at = created_at")
        if run(advance, **names)[0][0] == 0:
            run("insert into daybreak.watermarks (source_name, table_name, token) values ($source, $table, 1)", **names)
    ((token,),) = run(f"select token from daybreak.watermarks where {OF_TABLE}", **names)
    return int(token)


def ensure_table(run: Run, spec: TableSpec, schema: TableSchema, told: Sequence[str]) -> int:
    """Make the empty raw table and its first schema version, unless they are there; see ``Warehouse.ensure_table``."""
    versions = read_versions(run, [spec.id]).get(spec.id, ())
    known = versions[-1] if versions else None
    if known and (known.schema == schema or known.schema.shape != schema.shape):
        return known.version
    if not known:
        create_raw_table(run, spec, schema)
    version = SchemaVersion(known.version + 1 if known else 1, schema, tuple(told), datetime.now(UTC))
    comment_on(run, spec, schema)
    record_version(run, spec, version, "held")
    return version.version


def record_approval(run: Run, spec: TableSpec, approval: str, told: Sequence[str], approved_by: str) -> None:
    """Keep an approval on record."""
    run(
        "insert into daybreak.approvals (source_name, table_name, approval, changes, approved_by, approved_at) "
        "values ($source, $table, $approval, $changes, $approved_by, $now)",
        source=spec.source,
        table=spec.name,
        approval=approval,
        changes=json.dumps(list(told), ensure_ascii=False),
        approved_by=approved_by,
        now=datetime.now(UTC),
    )


def drop_closed(run: Run, before: datetime) -> int:
    """Delete quarantine entries that were closed before an instant."""
    ((gone, *_),) = run("delete from daybreak.quarantine where closed_at < $before", before=before)
    return int(gone)


def read_traces(run: Run) -> Traces:
    """Return whether values that must not stay may be readable in the store's files still."""
    ((noted, erased),) = run("select count(*), count(erased_at) from daybreak.traces")
    return "none" if not noted else "erased" if noted == erased else "fresh"


def last_forgotten_at(run: Run) -> datetime | None:
    """Return when rows were forgotten last, in any table."""
    ((found,),) = run("select max(forgotten_at) from daybreak.forgotten")
    return found  # type: ignore[no-any-return]
