"""What loading the project costs beside importing Dagster and dagster-dbt alone: CPU seconds, measured interleaved.

    python benchmarks/location_load.py [repetitions]

The manifest is made first, so that a load does not parse the dbt project. The aim is a ratio of at most 1.3.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLAIN = "import dagster, dagster_dbt"
PROJECT = "import pipelines.definitions"


def spend(code: str, environment: dict[str, str]) -> float:
    """Run ``code`` in a fresh interpreter and return the CPU seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and print."""
    repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "DAYBREAK_HOME": home}
        spend(PROJECT, environment)  # parses the dbt project
        pairs = [(spend(PLAIN, environment), spend(PROJECT, environment)) for _ in range(repetitions)]
    plain, project = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(ours / theirs for theirs, ours in pairs)
    print(f"{PLAIN}: {plain:.2f} CPU s · {PROJECT}: {project:.2f} CPU s · ratio {ratio:.2f} (median of {repetitions})")


if __name__ == "__main__":
    main()
