"""The one transaction of a load on DuckDB: DDL, rows, quarantine, days, ledger, watermark and, last of all, the fence."""

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import duckdb

from pipelines.errors import LandingCorrupt, LoadConflict
from pipelines.landing.scan import quote
from pipelines.sync import codec
from pipelines.sync.model import Counts, LedgerEntry, SchemaVersion, StagedLoad
from pipelines.sync.plan import is_reread
from pipelines.sync.steps import step
from pipelines.warehouses import duckdb_marks
from pipelines.warehouses import duckdb_sql as sql
from pipelines.warehouses.duckdb_days import count_skipped, make_days, record_days, void_days
from pipelines.warehouses.duckdb_masks import redact_table
from pipelines.warehouses.duckdb_quarantine import forget_quarantine, replace_quarantine, stage_aside
from pipelines.warehouses.duckdb_shape import Run, fit_table, record_version


def make_run(connection: duckdb.DuckDBPyConnection) -> Run:
    """Return what runs a statement with those of the named values that it mentions, and returns its rows."""

    def run(statement: str, **parameters: Any) -> list[tuple[Any, ...]]:  # noqa: ANN401 - SQL values
        used = {name: value for name, value in parameters.items() if f"${name}" in statement}
        return connection.execute(statement, used or None).fetchall()

    return run


class Commit:
    """The statements of one load, in the order they run; the caller owns BEGIN, COMMIT and ROLLBACK."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, load: StagedLoad) -> None:
        """Keep the connection and the load."""
        self._connection, self._load, self._now = connection, load, datetime.now(UTC)
        self._execute = make_run(connection)
        self._is_reread = self._is_remade = False
        self._names = {"source": load.spec.source, "table": load.spec.name}

    def run(self) -> LedgerEntry:
        """Run every statement. Raises ``LoadConflict`` if the fence does not hold."""
        self._check_base()
        with step("load.schema"):
            self._prepare_table()
        with step("load.rows"):
            self._stage()
            counts = self._move_rows()
        with step("load.quarantine"):
            replace_quarantine(self._execute, self._load, self._now)
            if self._is_remade:
                redact_table(self._execute, self._load, self._now)
            if self._load.forgotten_by:
                forget_quarantine(self._execute, self._load, self._now)
        with step("commit.ledger"):
            entry = self._record(counts)
            record_days(self._execute, self._load, self._now)
        with step("commit.fence"):
            self._advance_watermark()
        self._drop_staging()
        return entry

    def _check_base(self) -> None:
        """Raise ``LoadConflict`` before the first DDL, which would fail on a table that another run has altered since."""
        load = self._load
        stands = "source_name = $source and table_name = $table and token = $token and load_id is not distinct from $base"
        found = self._execute(
            f"select 1 from daybreak.watermarks where {stands}", **self._names, token=load.token, base=load.plan.base_load_id
        )
        if not found:
            raise self._overtaken()

    def _prepare_table(self) -> None:
        load = self._load
        stored = self._execute(
            "select watermark from daybreak.watermarks where source_name = $source and table_name = $table", **self._names
        )
        before = codec.WATERMARK.validate_json(stored[0][0]) if stored and stored[0][0] else None
        self._is_reread = is_reread(load.spec, before, load.changes, load.plan.mask_key_id)
        self._is_remade = is_reread(load.spec, before, (), load.plan.mask_key_id)
        fit_table(self._execute, load, before, is_remade=self._is_remade)
        known = self._execute(
            "select 1 from daybreak.schema_versions where source_name = $source and table_name = $table and version = $version",
            **self._names,
            version=load.plan.schema_version,
        )
        if not known:
            version = SchemaVersion(load.plan.schema_version, load.plan.schema, load.told, self._now)
            record_version(self._execute, load.spec, version, load.plan.load_id)

    def _stage(self) -> None:
        """Make ``landed`` (all rows), ``aside`` and ``excluded``, ``asked``, ``skipped``, ``changed`` and ``staged`` (the rows to load)."""
        load = self._load
        self._drop_staging()
        empty = ", ".join(f"null::{sql.duckdb_type(column.arrow_type)} as {quote(column.name)}" for column in load.columns)
        nothing = f"select {empty}, null::varchar as _daybreak_file, null::bigint as file_row_number where false"
        self._execute(f"create temp view landed as {sql.landed_view(load) if load.files else nothing}")
        stage_aside(self._execute, load)
        make_days(self._execute, "skipped", [day.day for day in load.skipped_days])
        make_days(self._execute, "changed", [day.day for day in load.days])
        # Straight from the files where each row is looked at once; a table where MERGE and the counts look again.
        kind = "table" if load.spec.key and self._has_rows() else "view"
        self._execute(f"create temp {kind} staged as {sql.accepted(load)}")

    def _drop_staging(self) -> None:
        for name in ("staged", "landed"):
            kinds = self._execute("select 'view' from duckdb_views() where view_name = $name and temporary", name=name)
            self._execute(f"drop {'view' if kinds else 'table'} if exists temp.{name}")
        for name in ("aside", "excluded", "asked", "skipped", "changed", "still_bad"):
            self._execute(f"drop table if exists temp.{name}")

    def _move_rows(self) -> Counts:
        load, spec = self._load, self._load.spec
        stamp = {"load_id": load.plan.load_id, "loaded_at": self._now}
        before, is_filled = self._total(), self._has_rows()
        void_days(self._execute, load, self._now, is_filled=is_filled, is_reread=self._is_reread)
        landed = self._count("landed")
        deleted, marked_before = duckdb_marks.delete_vanished(self._execute, load, **stamp) if is_filled else (0, 0)
        if load.plan.window.columns:
            return self._fill_columns(self._count("staged"), before)
        if not load.may_repeat_keys and self._has_repeated_keys():  # told before MERGE, which refuses them in its own words
            raise self._unbalanced("a key stands in two rows of it")
        if spec.key and is_filled:
            back = duckdb_marks.count_back(self._execute, load)
            actions = Counter(str(action) for (action,) in self._execute(sql.merge(load), **stamp))
            inserted, updated = actions["INSERT"] + back, actions["UPDATE"] - back
            unchanged = int(self._execute(sql.count_unchanged(load), **stamp)[0][0])
        else:
            inserted, updated, unchanged = int(self._execute(sql.insert(load), **stamp)[0][0]), 0, 0
        quarantined = self._count("aside")
        skipped = count_skipped(self._execute, load)
        counts = Counts(
            read=load.rows_read,
            inserted=inserted,
            updated=updated,
            # Counted, not what is left over: a row that was dropped on the way makes the load not balance.
            unchanged=unchanged + skipped,
            superseded=self._superseded_rows(),
            quarantined=quarantined,
            deleted=deleted,
        )
        if not self._is_sound(counts, landed) or self._total() != before + inserted - (deleted - marked_before):
            raise self._unbalanced(counts)
        return counts

    def _fill_columns(self, staged: int, total: int) -> Counts:
        """Give rows that stand the values of new columns. Rows that are not there, or changed since, are of a later load."""
        load = self._load
        standing = int(self._execute(sql.count_standing(load))[0][0])
        stamp = {"load_id": load.plan.load_id, "loaded_at": self._now}
        updated = len(self._execute(sql.fill(load), **stamp))
        aside = self._count("aside")
        counts = Counts(load.rows_read, updated=updated, unchanged=standing - updated, superseded=staged - standing, quarantined=aside)
        if not counts.is_balanced or staged + aside != load.rows_read or self._total() != total or self._has_repeated_keys():
            raise self._unbalanced(counts)
        return counts

    def _is_sound(self, counts: Counts, landed: int) -> bool:
        """Whether the counts agree with what landed; nothing but a row that was read twice may be superseded."""
        load = self._load
        # Of a row that was read twice, a version that stepped aside may be superseded too, so not those in quarantine are compared.
        is_told = landed == load.rows_read and self._count("excluded") == load.quarantined
        return is_told and counts.is_balanced and (load.may_repeat_keys or counts.superseded == 0)

    def _has_repeated_keys(self) -> bool:
        """Whether a key stands in two rows to load, which neither the source's index nor the gate should have let through."""
        if not self._load.spec.key:
            return False
        return bool(self._execute(f"select 1 from staged group by {sql.key_list(self._load.spec)} having count(*) > 1 limit 1"))

    def _superseded_rows(self) -> int:
        """Count the versions of rows that were read twice and are not the ones that count, good and bad."""
        if not self._load.may_repeat_keys:
            return 0
        return int(self._execute(sql.count_repeated(self._load))[0][0]) + self._count("excluded") - self._count("aside")

    def _unbalanced(self, counts: Counts | str) -> LandingCorrupt:
        return LandingCorrupt(
            f"the load does not balance: {counts}, manifests say {self._load.rows_read} rows.",
            safe="Nothing was committed; the last load stands.",
            remedy="Run again: the load is read anew. If it happens twice, this is a defect of Daybreak; keep the landing folder.",
            table=self._load.spec.id,
            load_id=self._load.plan.load_id,
        )

    def _record(self, counts: Counts) -> LedgerEntry:
        load, plan = self._load, self._load.plan
        where = "where source_name = $source and table_name = $table and state = 'open'"
        is_open = int(self._execute(f"select count(*) from daybreak.quarantine {where}", **self._names)[0][0])
        window = {
            "column": plan.window.column,
            "lower": plan.window.lower,
            "upper": plan.window.upper,
            "days": [str(day) for day in plan.window.days],
            **({"keys": len(plan.window.keys)} if plan.window.keys else {}),  # how many: a key may be what has to be forgotten
            **({"columns": plan.window.columns} if plan.window.columns else {}),
        }
        files = [{"file": chunk.file_name, "rows": chunk.rows, "sha256": chunk.sha256} for chunk in load.chunks]
        entry = LedgerEntry(
            load_id=plan.load_id,
            source=load.spec.source,
            table=load.spec.name,
            mode=load.spec.mode,
            window=window,
            counts=counts,
            total_rows=self._total(),
            data_as_of=plan.observation.observed_at,
            committed_at=self._now,
            schema_version=plan.schema_version,
            chunks=len(load.chunks),
            bytes=sum(chunk.bytes for chunk in load.chunks),
            quarantined_open=is_open,
            token=load.token,
        )
        numbers = (counts.read, counts.inserted, counts.updated, counts.unchanged, counts.superseded, counts.quarantined, counts.deleted)
        row = [entry.load_id, entry.source, entry.table, entry.mode, json.dumps(window), *numbers, entry.total_rows, is_open, entry.chunks]
        row += [
            entry.bytes,
            json.dumps(files),
            entry.schema_version,
            load.token,
            plan.planned_at,
            entry.data_as_of,
            self._now,
            load.released_by,
        ]
        self._connection.execute(f"insert into daybreak.ledger values ({', '.join('?' * len(row))})", row)
        return entry

    def _advance_watermark(self) -> None:
        """Move the watermark on: the one statement that fails if another run was here since this load was planned."""
        load = self._load
        moved = self._execute(
            "update daybreak.watermarks set load_id = $load_id, watermark = $watermark, committed_at = $now "
            "where source_name = $source and table_name = $table and token = $token and load_id is not distinct from $base returning 1",
            **self._names,
            load_id=load.plan.load_id,
            watermark=codec.dump(codec.WATERMARK, load.watermark),
            now=self._now,
            token=load.token,
            base=load.plan.base_load_id,
        )
        if len(moved) != 1:
            raise self._overtaken()

    def _overtaken(self) -> LoadConflict:
        plan = self._load.plan
        return LoadConflict(
            f"another run claimed or committed this table since the load was planned on {plan.base_load_id}.",
            safe="Nothing of this load was committed; the other run's state stands.",
            remedy="Run again: it is planned anew.",
            table=self._load.spec.id,
            load_id=plan.load_id,
        )

    def _total(self) -> int:
        return self._count(sql.raw_table(self._load.spec)) - duckdb_marks.count_marked(self._execute, self._load)

    def _has_rows(self) -> bool:
        return bool(self._execute(f"select 1 from {sql.raw_table(self._load.spec)} limit 1"))

    def _count(self, relation: str) -> int:
        return int(self._execute(f"select count(*) from {relation}")[0][0])
