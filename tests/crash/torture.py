"""`make torture N=200`: kill the real process N times at random moments while the source keeps changing, and prove that nothing is lost.

Not here: the source and who changes it (``shaken_source``), and what is proven (``proofs``).
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg

from tests.conftest import Project
from tests.crash.proofs import (
    AGREED,
    BALANCED,
    ENDS_WELL,
    NO_CHUNK_AGAIN,
    ONCE,
    PROOFS,
    SAME_ROWS,
    WHOLE_COPY,
    LandedChunks,
    Problem,
    ReadCopyPoller,
    attempts_since,
    differences,
    torn,
    wait_for_attempt,
)
from tests.crash.shaken_source import TABLES, Writer

if TYPE_CHECKING:
    from rich.console import Console

ROOT = Path(__file__).parents[2]
COMMANDS = {
    "daybreak sync": [sys.executable, "-m", "pipelines.cli", "sync", "shop"],
    "daybreak run": [sys.executable, "-m", "pipelines.cli", "run"],
    "the read copy": [
        sys.executable,
        "-c",
        "from pipelines.settings import load_settings as load; from pipelines.wiring import open_mirror; s = load();"
        "from pipelines.delivery.read_copy import deliver_read_copy; deliver_read_copy(s, open_mirror(s.state_url), {})",
    ],
}
WEIGHTS = {"daybreak sync": 84, "daybreak run": 6, "the read copy": 10}
KILLS_BETWEEN_PROOFS = 6
PATIENCE_SECONDS = 240
PHASES = ("plan", "read", "gate", "load")
DBT = {
    "models/sources.yml": """
sources:
  - name: raw_shop
    schema: raw_shop
    tables: [{name: orders, meta: {dagster: {asset_key: [raw_shop, orders]}}}]
""",
    "models/marts/orders_state.sql": """
{{ config(contract={'enforced': false}) }}
select max(_load_id) as load_id, (select count(*) from {{ source('raw_shop', 'orders') }}) as total
from {{ source('raw_shop', 'orders') }}
""",
}
MART = "marts.orders_state"


@dataclass
class Findings:
    """What came of it."""

    kills: Counter[str] = field(default_factory=Counter)  # by command
    phases: Counter[str] = field(default_factory=Counter)
    proven: Counter[str] = field(default_factory=Counter)  # by proof: how many things were compared
    problems: list[Problem] = field(default_factory=list)
    numbers: dict[str, int] = field(default_factory=dict)


@dataclass
class Victim:
    """One process of ours, and what is known of its kind: how long it works once it has begun."""

    name: str
    process: "subprocess.Popen[bytes]"
    began_at: str


class Torture:
    """A project whose processes are killed. ``kill_one`` and ``prove`` are all that is done to it."""

    def __init__(self, project: Project, writer: Writer, plan: "Plan") -> None:
        self.project, self.writer, self.found = project, writer, Findings()
        self.chunks = LandedChunks(project)
        self._random, self._weights = random.Random(plan.seed + 1), plan.weights
        self._seconds = {"daybreak sync": 3.0, "daybreak run": 20.0, "the read copy": 1.0}
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DAYBREAK_", "DAGSTER_", "SHOP_"))},
            **project.settings.environment,
            "PYTHONPATH": str(ROOT),
        }

    def kill_one(self) -> None:
        """Start a process of a random kind and kill it at a random moment, most often once it works."""
        name = self._random.choices(list(self._weights), list(self._weights.values()))[0]
        migrated = Counter(self.writer.migrated)  # by now: what moves while the process works may be noticed by the next one only
        victim = self._start(name)
        if name != "the read copy" and self._random.random() < 0.9:
            wait_for_attempt(self.project.home, victim.began_at, time.monotonic() + PATIENCE_SECONDS)
        try:
            victim.process.wait(self._random.uniform(0, self._seconds[name]))
        except subprocess.TimeoutExpired:
            self._kill(victim)
            self.found.kills[name] += 1
            self._note_phase(victim)
        self.found.problems += self.chunks.compare(self.writer.migrated)
        self.chunks.note_death(migrated)

    def _start(self, name: str) -> Victim:
        began_at = datetime.now(UTC).isoformat(timespec="microseconds")
        log = (self.project.home / "torture.log").open("ab")
        process = subprocess.Popen(
            COMMANDS[name], env=self._environment, cwd=ROOT, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
        log.close()
        return Victim(name, process, began_at)

    def _kill(self, victim: Victim) -> None:
        """Kill the process alone, which may leave a dbt behind, or all that it started."""
        if self._random.random() < 0.5:
            os.killpg(victim.process.pid, signal.SIGKILL)
        else:
            victim.process.kill()
        victim.process.wait()

    def _note_phase(self, victim: Victim) -> None:
        attempts = attempts_since(self.project.home, victim.began_at)
        living = [phase for _, phase, outcome in attempts if outcome is None]
        if living:
            phase = max(living, key=PHASES.index)
        elif victim.name == "the read copy":
            phase = "copy"
        else:
            phase = "after the tables" if attempts else "start"
        self.found.phases[phase] += 1

    def prove(self) -> None:
        """Let the source come to rest, run normally, make the read copy, and compare everything."""
        self.writer.pause()
        name = "daybreak run" if "daybreak run" in self._weights and self._random.random() < 0.15 else "daybreak sync"
        victim = self._start(name)
        has_worked = wait_for_attempt(self.project.home, victim.began_at, time.monotonic() + PATIENCE_SECONDS)
        since = time.monotonic()
        self._end_well(victim, has_worked=has_worked)
        self._seconds[name] = 0.5 * self._seconds[name] + 0.5 * (time.monotonic() - since)
        self._end_well(self._start("the read copy"), has_worked=True)
        self.found.problems += self.chunks.compare(self.writer.migrated)
        self.found.problems += differences(self.project)
        tables, ((loads,),) = len(self.project.tables), self.project.ask("select count(*) from daybreak.ledger")
        self.found.proven.update({SAME_ROWS: tables, AGREED: tables})
        self.found.proven[BALANCED] = self.found.proven[ONCE] = int(loads)
        self.chunks.note_death(self.writer.migrated)
        self.writer.resume()

    def _end_well(self, victim: Victim, *, has_worked: bool) -> None:
        code = victim.process.wait(PATIENCE_SECONDS)
        self.found.proven[ENDS_WELL] += 1
        if code != 0 or not has_worked:
            log = (self.project.home / "torture.log").read_text(errors="replace")[-2000:]
            self.found.problems.append((ENDS_WELL, f"{victim.name} ended with {code}: {log}"))


def make_project(url: str, home: Path) -> Project:
    tables = [{**table, "max_quarantined": 5000} for table in TABLES]
    project = Project(url, home / "home", {"DAYBREAK_CHUNK_ROWS": "25", "DAYBREAK_DBT_PROJECT": str(home / "dbt")}, tables)
    shutil.copytree(ROOT / "dbt_project", home / "dbt", ignore=shutil.ignore_patterns("models", "seeds", "tests"))
    for name, text in DBT.items():
        (home / "dbt" / name).parent.mkdir(parents=True, exist_ok=True)
        (home / "dbt" / name).write_text(text)
    return project


@contextmanager
def open_source_server(folder: Path) -> Iterator[str]:
    """Yield the URL of a fresh PostgreSQL that does not wait for its disk and lets transactions be prepared."""
    from pipelines.shop.server import open_shop_server

    with open_shop_server(folder / "postgres") as url, psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off", "max_prepared_transactions = 8"):
            connection.execute(f"alter system set {setting}")  # type: ignore[arg-type]
    with open_shop_server(folder / "postgres") as url:
        yield url


@dataclass(frozen=True)
class Plan:
    """How much of what is killed. ``seconds`` is when to stop before that; what was killed by then is proven all the same."""

    kills: int
    seed: int
    seconds: float = float("inf")
    weights: Mapping[str, int] = field(default_factory=lambda: WEIGHTS)


def torture(url: str, home: Path, plan: Plan, advance: Callable[[Findings], None] = lambda _: None) -> Findings:
    """Kill processes, proving now and then and at the end, and return what was found; empty ``problems`` mean that all held."""
    import duckdb

    project, writer = make_project(url, home), Writer(url, plan.seed)
    work = Torture(project, writer, plan)
    found, ends_at = work.found, time.monotonic() + plan.seconds
    writer.start()
    try:
        with ReadCopyPoller(project.home, MART) as poller:
            proven_at = 0
            while not found.problems:
                is_over = found.kills.total() >= plan.kills or time.monotonic() > ends_at
                if is_over or found.kills.total() - proven_at >= KILLS_BETWEEN_PROOFS:
                    work.prove()
                    proven_at = found.kills.total()
                else:
                    work.kill_one()
                advance(found)
                if is_over:
                    break
        found.problems += poller.problems
        if poller.copies:
            with duckdb.connect(str(project.home / "warehouse.read.duckdb"), read_only=True) as connection:
                found.problems += torn(connection, MART)
    finally:
        writer.stop()
    _count(work, poller)
    return found


def _count(work: Torture, poller: ReadCopyPoller) -> None:
    ((loads, rows, chunks),) = work.project.ask("select count(*), sum(rows_read), sum(chunks) from daybreak.ledger")
    tries = Counter(outcome or "died" for _, _, outcome in attempts_since(work.project.home, ""))
    work.found.proven[WHOLE_COPY] = poller.copies
    work.found.proven[NO_CHUNK_AGAIN] = work.chunks.resumed + work.chunks.again
    reasons = work.chunks.restarted
    work.found.numbers = {
        "attempts at a table": tries.total(),
        "… that died": tries["died"],
        "changes of the source": work.writer.done.total(),
        "… migrations": work.writer.migrated.total(),
        "committed loads": int(loads or 0),
        "… chunks in them": int(chunks or 0),
        "… rows read in them": int(rows or 0),
        **{f"loads begun anew, because {why}": n for why, n in reasons.items()},
        "looks at the read copy": poller.looks,
    }


def main() -> int:
    """Run it, show how far it is, and print the table of proofs. Returns the exit code."""
    from rich.console import Console
    from rich.progress import Progress

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=200, help="how many processes are killed")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of what the writer does and when we kill")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after these, with what was killed by then")
    given = parser.parse_args()
    plan = Plan(given.n, given.seed, given.minutes * 60)
    folder = Path(tempfile.mkdtemp(prefix="daybreak-torture-"))
    console, began = Console(), time.monotonic()
    with open_source_server(folder) as url, Progress(console=console) as progress:
        bar = progress.add_task("killing", total=plan.kills)

        def advance(found: Findings) -> None:
            told = f"{found.kills.total()} kills, {found.proven[SAME_ROWS]} tables compared"
            progress.update(bar, completed=found.kills.total(), description=told)

        found = torture(url, folder, plan, advance)
    show(console, found, f"Torture, seed {plan.seed}, {time.monotonic() - began:,.0f} seconds")
    if found.problems:
        console.print(f"What was written is kept in {folder}. The same again, as far as time allows: --seed {plan.seed}", highlight=False)
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def show(console: "Console", found: Findings, title: str) -> None:
    """Print what was done, each proof with how much was compared and how much differed, and every difference."""
    from rich.table import Table

    done = {
        "kills": found.kills.total(),
        **{f"… of {name}": n for name, n in found.kills.most_common()},
        **{f"… in phase {name}": n for name, n in found.phases.most_common()},
        **found.numbers,
    }
    table = Table("what was done", "number", title=title)
    for name, number in done.items():
        table.add_row(name, f"{number:,}")
    console.print(table)
    failed = Counter(proof for proof, _ in found.problems)
    proofs = Table("proof", "compared", "differences")
    for proof in PROOFS:
        proofs.add_row(proof, f"{found.proven[proof]:,}", f"{failed[proof]:,}", style="red" if failed[proof] else None)
    console.print(proofs)
    for proof, told in found.problems:
        console.print(f"{proof}: no. {told}", style="red", highlight=False, markup=False)


if __name__ == "__main__":
    sys.exit(main())
