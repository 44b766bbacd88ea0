"""What must be true while processes are killed and after: P0, the balance, one truth in three places, whole read copies, no chunk lost."""

import json
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from tests.conftest import Project

POLL_SECONDS = 0.005
CATCH_UP_SECONDS = 30
COPY = "warehouse.read.duckdb"
SAME_ROWS = "source and warehouse have the same rows"
BALANCED = "every load balances"
ONCE = "no load stands in the ledger twice"
AGREED = "ledger, watermark, mirror and table tell the same"
WHOLE_COPY = "a reader of the copy sees whole states only"
NO_CHUNK_AGAIN = "no landed chunk is read again without a reason"
ENDS_WELL = "an undisturbed run ends well"
PROOFS = (SAME_ROWS, BALANCED, ONCE, AGREED, WHOLE_COPY, NO_CHUNK_AGAIN, ENDS_WELL)
Problem = tuple[str, str]  # which proof failed, and what differs
TOTALS = "select source_name || '.' || table_name, load_id, total_rows from daybreak.ledger"


def differences(project: Project) -> list[Problem]:
    """Return what is wrong in a project whose source is at rest and that was just synced; nothing if all is right."""
    found = [*_unbalanced(project)]
    loaded = "select 1 from daybreak.ledger join duckdb_tables() t using (table_name) where t.schema_name = 'raw_shop' and table_name = "
    for table in project.tables:
        if not project.ask(f"{loaded} '{table['name']}'"):
            found.append((SAME_ROWS, f"{table['name']}: it was never loaded"))
            continue
        try:
            project.check(table["name"])
        except (AssertionError, KeyError) as error:  # KeyError: a column that the warehouse does not have
            found.append((SAME_ROWS, f"{table['name']}: {str(error)[:300]}"))
        found += _disagreements(project, table["name"])
    return found


def _unbalanced(project: Project) -> list[Problem]:
    """Return the ledger's rows whose counts do not add up, and loads that stand in it twice."""
    balance = "rows_inserted + rows_updated + rows_unchanged + rows_superseded + rows_quarantined"
    wrong = project.ask(f"select load_id, table_name from daybreak.ledger where rows_read <> {balance}")
    twice = project.ask("select load_id, any_value(table_name) from daybreak.ledger group by load_id having count(*) > 1")
    return [(BALANCED, f"{name}: load {load}") for load, name in wrong] + [(ONCE, f"{name}: load {load}") for load, name in twice]


def _disagreements(project: Project, name: str) -> list[Problem]:
    """Return where ledger, watermark, mirror and table do not tell the same."""
    from pipelines.state.mirror import Mirror

    ((ledger, total, version, aside),) = project.ask(
        "select load_id, total_rows, schema_version, quarantined_open from daybreak.ledger "
        f"where table_name = '{name}' order by committed_at desc, load_id desc limit 1"
    )
    ((rows,),) = project.ask(f"select count(*) from raw_shop.{name}")
    ((watermark,),) = project.ask(f"select load_id from daybreak.watermarks where table_name = '{name}'")
    ((is_open,),) = project.ask(f"select count(*) from daybreak.quarantine where table_name = '{name}' and state = 'open'")
    mirror = Mirror(project.settings.state_url)
    status = mirror.status(f"shop.{name}")
    mirror.engine.dispose()
    told = {
        "rows": {total, rows, status.total_rows},
        "loads": {ledger, watermark, status.load_id},
        "schema versions": {version, status.schema_version},
        "rows in quarantine": {aside, is_open, status.quarantined_open},
    }
    return [(AGREED, f"{name}: {what}: {sorted(map(str, values))}") for what, values in told.items() if len(values) > 1]


class ReadCopyPoller:
    """Looks at the read copy every 5 ms: each file that ever stands there must be one committed state, whole."""

    def __init__(self, home: Path, mart: str | None = None) -> None:
        self.looks, self.copies = 0, 0
        self.problems: list[Problem] = []
        self._file, self._mart = home / COPY, mart
        self._seen: tuple[int, int, int] | None = None
        self._newest: Any = None
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="poller", daemon=True)

    def __enter__(self) -> "ReadCopyPoller":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def catch_up(self) -> None:
        """Return once the copy that stands there now has been looked at: a busy machine may need longer for a look than for a load."""
        ends_at = time.monotonic() + CATCH_UP_SECONDS
        while self._seen != _identify(self._file) and time.monotonic() < ends_at:
            time.sleep(POLL_SECONDS)

    def _work(self) -> None:
        while not self._is_over.wait(POLL_SECONDS):
            try:
                self._look()
            except Exception as error:
                self._complain(f"it could not be read: {type(error).__name__}: {error}")

    def _complain(self, what: str) -> None:
        self.problems.append((WHOLE_COPY, what))

    def _look(self) -> None:
        try:
            found = _identify(self._file)
        except FileNotFoundError:
            if self._seen:
                self._complain("it was gone for a moment")
            return
        self.looks += 1
        if found == self._seen:
            return
        self.copies += 1
        with duckdb.connect(str(self._file), read_only=True) as connection:
            self.problems += torn(connection, self._mart)
            ((newest,),) = connection.execute("select max(committed_at) from daybreak.ledger").fetchall()
        if self._newest is not None and newest < self._newest:
            self._complain("it went back to an older state")
        self._newest = newest
        if self._file.with_name(f"{COPY}.wal").exists():
            self._complain("it has a write-ahead log")
        self._seen = found


def _identify(file: Path) -> tuple[int, int, int]:
    stat = file.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def torn(connection: duckdb.DuckDBPyConnection, mart: str | None = None) -> list[Problem]:
    """Return what a reader would see of a half-done load: rows of a table that are not those its own ledger tells."""
    found, newest = [], dict[str, tuple[str, int]]()
    known = connection.execute(f"{TOTALS} order by committed_at, load_id").fetchall()
    for table, load, total in known:
        newest[table] = (load, total)
    watermarks = dict(
        connection.execute("select source_name || '.' || table_name, load_id from daybreak.watermarks where load_id is not null").fetchall()
    )
    loads = {load for _, load, _ in known}
    for table, (load, total) in newest.items():
        raw = f"raw_{table}"
        rows = dict(connection.execute(f"select _load_id, count(*) from {raw} group by _load_id").fetchall())
        if sum(rows.values()) != total or watermarks.get(table) != load or not set(rows) <= loads:
            found.append(f"a reader saw {sum(rows.values())} rows in {raw}, whose last load {load} left {total}")
    if mart and connection.execute("select 1 from duckdb_tables() where schema_name = 'marts'").fetchall():
        states = {(load, total) for _, load, total in known}
        found += [f"a reader saw {state} in {mart}" for state in connection.execute(f"from {mart}").fetchall() if state not in states]
    return [(WHOLE_COPY, what) for what in found]


@dataclass
class LandedChunks:
    """Follows the landed chunks of unfinished loads from one process to the next: what was landed must not be read again.

    A chunk counts as read again if its manifest record was there when a process died, and neither the ledger nor the folder
    has that very file later, although nothing called for reading anew: no migration, not one stream, nothing unchanged.
    """

    project: Project
    resumed: int = 0
    again: int = 0
    most_again: int = 0  # of one load
    restarted: Counter[str] = field(default_factory=Counter)
    _before: dict[Path, dict[str, int]] = field(default_factory=dict)
    _migrated: dict[Path, Counter[str]] = field(default_factory=dict)

    def note_death(self, migrated: Counter[str]) -> None:
        """Remember the chunks of each load that is unfinished now; ``migrated`` is as of the start of the process that died.

        A load that was unfinished before is compared with what was migrated then: the process in between may not have looked at it.
        """
        self._before = {folder: chunks for folder in self._unfinished() if (chunks := _chunks(folder))}
        self._migrated = {folder: self._migrated.get(folder, Counter(migrated)) for folder in self._before}

    def compare(self, migrated: Counter[str]) -> list[Problem]:
        """Compare with what the process after it made of them; returns what was read again without need."""
        problems = []
        for folder, chunks in self._before.items():
            table = folder.parent.name
            now = _chunks(folder)
            lost = [name for name, written_at in chunks.items() if now.get(name) != written_at]
            if not lost or self._is_committed(folder.name):
                self.resumed += len(chunks)
            elif why := self._reason(folder, migrated[table] > self._migrated[folder][table]):
                self.restarted[why] += 1
            else:
                self.again += len(lost)
                self.most_again = max(self.most_again, len(lost))
                problems.append((NO_CHUNK_AGAIN, f"{table}: {len(lost)} chunks of the unfinished load {folder.name}"))
        return problems

    def _reason(self, folder: Path, is_migrated: bool) -> str | None:
        if is_migrated:
            return "its table was migrated"
        if _plans.get(folder, {}).get("is_stream"):
            return "a table without a key is one transaction"
        if (outcome := self._outcome(folder.parent.name)) == "unchanged":
            return "nothing in it was new"
        if _plans.get(folder, {}).get("window", {}).get("is_null"):
            return "rows in no day seldom change"
        if outcome is None and not folder.exists():
            return "the next process died too, and nothing in it may have been new"
        return None

    def _outcome(self, table: str) -> str | None:
        import sqlite3

        with sqlite3.connect(f"file:{self.project.home / 'state.db'}?mode=ro", uri=True) as connection:
            row = connection.execute(
                "select outcome from attempts where table_id = ? order by started_at desc limit 1", [f"shop.{table}"]
            ).fetchone()
        connection.close()
        return row[0] if row else None

    def _is_committed(self, load_id: str) -> bool:
        return bool(self.project.ask(f"select 1 from daybreak.ledger where load_id = '{load_id}'"))

    def _unfinished(self) -> list[Path]:
        plans = self.project.home.glob("landing/shop/*/*/plan.json")
        found = [plan.parent for plan in plans if not (plan.parent / "committed").exists() and not (plan.parent / "held.json").exists()]
        for folder in found:
            _plans[folder] = json.loads((folder / "plan.json").read_text())
        return found


_plans: dict[Path, dict[str, Any]] = {}  # a discarded load's plan is gone when we ask why


def _chunks(folder: Path) -> dict[str, int]:
    """Return the chunks that exist: those with a manifest record, and when each file was written."""
    found = {}
    for record in folder.glob("chunk-*.json"):
        with suppress(FileNotFoundError):
            found[record.stem] = record.with_suffix(".parquet").stat().st_mtime_ns
    return found


def wait_for_attempt(home: Path, since: str, deadline: float) -> bool:
    """Return once a process has begun to sync a table after ``since`` (ISO), or False at the deadline."""
    while time.monotonic() < deadline:
        if attempts_since(home, since):
            return True
        time.sleep(0.01)
    return False


def attempts_since(home: Path, since: str) -> list[tuple[str, str, str | None]]:
    """Return (table, phase, outcome) of the attempts that began after ``since`` (ISO)."""
    import sqlite3

    file = home / "state.db"
    if not file.exists():
        return []
    connection = sqlite3.connect(file, timeout=5)
    try:
        return connection.execute("select table_id, phase, outcome from attempts where started_at > ?", [since]).fetchall()
    except sqlite3.OperationalError:  # its tables are being made
        return []
    finally:
        connection.close()
