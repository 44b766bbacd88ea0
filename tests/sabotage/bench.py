"""Tries one mutation after the other, each on a copy of the same loaded project, and finds out who catches it.

The defect stays in while the comparison looks, as it would at night. Only what is not caught so is compared once more without it.
"""

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import psycopg

from pipelines.errors import DaybreakError, LandingCorrupt
from pipelines.sync.reconcile import compare_table
from pipelines.sync.sides import ParityResult
from pipelines.wiring import SyncRequest, open_engine
from tests.conftest import Project, _normal
from tests.sabotage.mutation import Mutation
from tests.sabotage.scenarios import SCENARIOS, Scenario, sync

BALANCE, LANDING, GATE, SCHEMA, WAREHOUSE, PARITY, MENDED = (
    "balance",
    "landing",
    "gate",
    "schema",
    "warehouse",
    "parity",
    "parity, once it is mended",
)
NOBODY = "nobody"
MAX_TOLD = 120
CONFIG: dict[str, Any] = {"preserve_insertion_order": False}  # the engine's own; DuckDB shares a file among connections of one
REFUSED = (BALANCE, LANDING, GATE, SCHEMA, WAREHOUSE)
COUNTED = (BALANCE, PARITY)  # what the issue asks for; all else is told apart

Keys = Counter[tuple[str | None, ...]]


@dataclass(frozen=True)
class Trial:
    """What came of one mutation: who caught it, in which words, and how many rows are wrong (or missing) because of it.

    ``misnamed``: keys that the comparison names and that are right, or the other way round.
    """

    mutation: Mutation
    mode: str
    effect: int
    caught_by: str
    told: str
    misnamed: int = 0


class Bench:
    """One database with all scenarios, each loaded once, when it is first needed."""

    def __init__(self, url: str, folder: Path) -> None:
        """Keep where the source is, and where the projects go."""
        self._url, self._folder, self._numbers = url, folder, count()
        self._begun: dict[str, Project] = {}
        self._loads: dict[str, int] = {}

    def try_out(self, mutation: Mutation) -> Trial:
        """Let the pipeline work with the defect in it, and see who catches it."""
        scenario = SCENARIOS[mutation.scenario]
        with self._copy(scenario) as project:
            with warm(project):
                caught_by, told, result = _work(project, scenario, mutation)
            with warm(project, read_only=True):
                if caught_by in REFUSED and scenario.story is sync:
                    assert project.loads() == self._loads[scenario.table], "what was refused must not be committed"
                wrong = wrong_rows(project, scenario.table)
        misnamed = _misnamed(result, wrong) if result else 0
        return Trial(mutation, scenario.mode, wrong.total(), caught_by, told, misnamed)

    def control(self, name: str) -> tuple[str, int]:
        """Do the same without any defect: what the comparison says then, and how many rows are wrong."""
        scenario = SCENARIOS[name]
        with self._copy(scenario) as project:
            with warm(project):
                scenario.story(project, scenario.table)
                outcome = compare(project, scenario.table).outcome
            return outcome, wrong_rows(project, scenario.table).total()

    @contextlib.contextmanager
    def _copy(self, scenario: Scenario) -> Iterator[Project]:
        if scenario.table not in self._begun:
            project = Project(self._url, self._folder / scenario.table, {"DAYBREAK_CHUNK_ROWS": "12"})
            scenario.begin(project)
            self._begun[scenario.table], self._loads[scenario.table] = project, project.loads()
        home = self._folder / f"{scenario.table}-{next(self._numbers)}"
        try:
            yield self._begun[scenario.table].copy_to(home)
        finally:
            if scenario.undo:
                self._begun[scenario.table].run(*scenario.undo)
            shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def open_bench(server: str, folder: Path) -> Iterator[Bench]:
    """Yield a bench on a database of its own. No autovacuum: its transactions would make the newest rows look unsettled."""
    name = "sabotage"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("alter system set autovacuum = off")
        connection.execute("select pg_reload_conf()")
        connection.execute(f"create database {name} strategy file_copy")  # type: ignore[arg-type]
        try:
            yield Bench(server.replace("/shop?", f"/{name}?"), folder)
        finally:
            connection.execute(f"drop database {name} with (force)")  # type: ignore[arg-type]
            connection.execute("alter system reset autovacuum")
            connection.execute("select pg_reload_conf()")


@contextlib.contextmanager
def warm(project: Project, *, read_only: bool = False) -> Iterator[None]:
    """Keep the warehouse open, so that each of the engine's openings of it, two dozen a trial, takes a millisecond and not thirty."""
    file = str(project.home / "warehouse.duckdb")
    with duckdb.connect(file, read_only=read_only, config={} if read_only else CONFIG):
        yield


def _work(project: Project, scenario: Scenario, mutation: Mutation) -> tuple[str, str, ParityResult | None]:
    with mutation.on():
        if refused := _refusal(project, scenario):
            return *refused, None
        result = compare(project, scenario.table)
    caught_by = PARITY
    if result.outcome == "equal":
        result, caught_by = compare(project, scenario.table), MENDED
    if result.outcome == "equal":
        return NOBODY, mutation.unseen or "the comparison says equal", None
    told = ", ".join(f"{rows} {kind}" for kind in ("missing", "extra", "different") if (rows := getattr(result, kind)))
    return caught_by, told, result


def _refusal(project: Project, scenario: Scenario) -> tuple[str, str] | None:
    """Let the pipeline work; return who stopped it, if anybody did."""
    try:
        scenario.story(project, scenario.table)
    except DaybreakError as error:
        if _who(error) == BALANCE:
            return BALANCE, "the load does not balance"
        told = error.what.replace(str(project.home), "…")
        return _who(error), told if len(told) < MAX_TOLD else f"{told[:MAX_TOLD]}…"
    held = _held_reason(project, scenario.table)
    return (GATE, held) if held else None


def _who(error: DaybreakError) -> str:
    if isinstance(error, LandingCorrupt):
        return BALANCE if "does not balance" in str(error) else LANDING
    is_warehouse = "warehouse" in str(error).lower()
    return WAREHOUSE if is_warehouse else SCHEMA


def _held_reason(project: Project, table: str) -> str | None:
    from pipelines.wiring import open_mirror

    return open_mirror(project.settings.state_url).status(f"shop.{table}").held_reason


def compare(project: Project, table: str) -> ParityResult:
    """Return what the comparison says of a table."""
    source = project.settings.sources()[0]
    with open_engine(project.settings, SyncRequest(source, source.tables)) as engine:
        return compare_table(engine, source.table(table), is_full=True).result


def _misnamed(result: ParityResult, wrong: Keys) -> int:
    """Return how many keys (of a table without one: rows) are wrong and not named, or named and not wrong."""
    if not any(one.row.key for one in result.differences):
        return abs(wrong.total() - result.missing - result.extra)
    named = Counter({one.row.key: 1 for one in result.differences})
    return ((named - wrong) + (wrong - named)).total()


def wrong_rows(project: Project, table: str) -> Keys:
    """Return the keys of rows that are not the source's, as text; rows of a table without a key. Those in quarantine are known."""
    spec, columns = project.spec(table), project.columns(table)
    source, warehouse = (Counter(map(_normal, rows)) for rows in (project.source_rows(table), project.warehouse_rows(table)))
    aside = project.quarantine(table)
    if not spec.key:
        return (source - warehouse) + (warehouse - source)
    positions = [columns.index(name) for name in spec.key]
    known = {tuple(json.loads(row["key"])) for row in aside}
    wrong = {tuple(row[at] for at in positions) for row in ((source - warehouse) + (warehouse - source))}
    return Counter(dict.fromkeys(wrong - known, 1))


def problems_of(trial: Trial) -> list[str]:
    """Return what is not as it should be: no effect, nobody who caught it (or somebody, against what it says), wrong keys named."""
    name = trial.mutation.name
    told = []
    if not trial.effect:
        told.append(f"{name}: changes nothing, so it is no mutation")
    expected = {NOBODY: bool(trial.mutation.unseen), MENDED: bool(trial.mutation.also)}
    if any((trial.caught_by == late) != is_expected for late, is_expected in expected.items()):
        told.append(f"{name}: caught by {trial.caught_by}, which was not expected")
    if trial.misnamed:
        told.append(f"{name}: {trial.misnamed} rows are named and right, or wrong and not named")
    return told
