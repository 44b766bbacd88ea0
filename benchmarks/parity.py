"""What a proof of completeness costs, beside counting the source's rows and beside reading all of them.

    python -m benchmarks.parity [--rows 5000000] [--mode incremental] [--repetitions 3]

Interleaved on one table: `SELECT count(*)`, a full extract (`COPY … BINARY`, thrown away), `reconcile --full`, an unchanged nightly
pass, and a pass after one row was changed in the warehouse, which must name its key. Medians, and ratios of each repetition's pair.
"""

import argparse
import statistics
from collections import defaultdict
from collections.abc import Callable

import duckdb

from benchmarks.events import Ground, measure, open_ground
from pipelines.reconcile import ReconcileRequest, reconcile_tables
from pipelines.sync.sides import ParityResult
from pipelines.wiring import SyncRequest, sync_tables


def main() -> None:
    """Measure and print."""
    arguments = _parse()
    with open_ground(arguments.rows, arguments.mode) as ground:
        print(f"{arguments.rows:,} rows, {arguments.mode}; the first sync took {measure(lambda: _sync(ground)):.1f} s")
        seconds: dict[str, list[float]] = defaultdict(list)
        for repetition in range(arguments.repetitions):
            for name, work in _works(ground, victim=arguments.rows // 3 + repetition).items():
                seconds[name].append(measure(work))
    for name, taken in seconds.items():
        counted, extracted = (
            statistics.median(mine / theirs for mine, theirs in zip(taken, seconds[other], strict=True))
            for other in ("count(*)", "full extract")
        )
        print(f"{name:<44} {statistics.median(taken):8.2f} s   {counted:6.1f} x count(*)   {extracted:6.2f} x full extract")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--mode", choices=("incremental", "partitioned"), default="incremental")
    parser.add_argument("--repetitions", type=int, default=3)
    return parser.parse_args()


def _sync(ground: Ground) -> None:
    settings = ground.settings()
    source = settings.sources()[0]
    (result,) = sync_tables(settings, SyncRequest(source, source.tables))
    if result.outcome != "committed":
        raise SystemExit(str(result))


def _works(ground: Ground, victim: int) -> dict[str, Callable[[], object]]:
    """Return what is measured, in order; each leaves the table equal to its source for the next."""
    return {
        "count(*)": lambda: ground.run("select count(*) from events"),
        "full extract": ground.extract,
        "reconcile --full": lambda: _prove(ground, is_full=True),
        "nightly pass, nothing changed": lambda: _prove(ground),
        "nightly pass, finds one wrong row by key": lambda: _find(ground, victim),
        "heals that row": lambda: _prove(ground, is_healing=True),
    }


def _prove(ground: Ground, *, is_full: bool = False, is_healing: bool = False) -> None:
    result = _reconcile(ground, is_full=is_full, is_healing=is_healing)
    if result.outcome != "equal":
        raise SystemExit(f"it should be equal: {result}")


def _find(ground: Ground, victim: int) -> None:
    with duckdb.connect(str(ground.home / "warehouse.duckdb")) as connection:
        connection.execute("update raw_shop.events set amount = amount + 0.01 where event_id = ?", [victim])
    result = _reconcile(ground)
    if [one.row.key for one in result.differences] != [(str(victim),)]:
        raise SystemExit(f"it should have found {victim}: {result}")


def _reconcile(ground: Ground, *, is_full: bool = False, is_healing: bool = False) -> ParityResult:
    (result,) = reconcile_tables(ground.settings(), ReconcileRequest(is_full=is_full, is_healing=is_healing))
    return result


if __name__ == "__main__":
    main()
