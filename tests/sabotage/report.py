"""`make sabotage`: tries every mutation of the pipeline, and prints which check caught which.

Ends with 1 if the balance or the comparison caught fewer than 29 of the thirty, or if anything else is not as it is expected.
"""

import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from tests.crash.torture import open_source_server
from tests.sabotage.bench import COUNTED, NOBODY, Trial, open_bench, problems_of
from tests.sabotage.mutations import ENOUGH, MORE, THIRTY
from tests.sabotage.scenarios import SCENARIOS


def main() -> int:
    """Try them all. Returns the exit code."""
    console, began = Console(), time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="daybreak-sabotage-"))
    try:
        with open_source_server(folder) as server, open_bench(server, folder / "projects") as bench:
            problems = [f"without a defect: {name}: {found}" for name in SCENARIOS if (found := bench.control(name)) != ("equal", 0)]
            trials = [bench.try_out(mutation) for mutation in track((*THIRTY, *MORE), "sabotage", console=console)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    problems += [problem for trial in trials for problem in problems_of(trial)]
    show(console, trials, f"Sabotage of the pipeline, {time.monotonic() - began:,.0f} seconds")
    found = sum(trial.caught_by in COUNTED for trial in trials[: len(THIRTY)])
    if found < ENOUGH:
        problems.append(f"the balance or the comparison caught {found} of {len(THIRTY)}, and must catch {ENOUGH}")
    for problem in problems:
        console.print(problem, style="red", highlight=False, markup=False)
    return 1 if problems else 0


def show(console: Console, trials: Sequence[Trial], title: str) -> None:
    """Print each mutation with who caught it, and the totals."""
    table = Table("", "mutation", "mode", "rows", "caught by", "as what", title=title, box=None, pad_edge=False)
    for number, trial in enumerate(trials, 1):
        style = None if trial.caught_by in COUNTED else "red" if trial.caught_by == NOBODY else "yellow"
        table.add_row(str(number), trial.mutation.name, trial.mode, f"{trial.effect:,}", trial.caught_by, trial.told, style=style)
    console.print(table)
    for told, some in ((f"the first {len(THIRTY)}", trials[: len(THIRTY)]), (f"all {len(trials)}", trials)):
        by = Counter(trial.caught_by for trial in some)
        counted = sum(by[name] for name in COUNTED)
        others = ", ".join(f"{name} {number}" for name, number in by.most_common())
        console.print(f"{told}: caught by the balance or the comparison {counted} ({counted / len(some):.0%}); {others}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
