"""What the tests of back-fills share: asking for one, what it leaves, and doing something when a load is about to be committed."""

from collections.abc import Callable
from datetime import date, timedelta

from pipelines.gaps import list_gaps
from pipelines.state.backfills import Backfill, unfinished_backfills
from pipelines.sync.gaps import Gap
from pipelines.sync.model import DayRange, TableResult
from pipelines.sync.steps import set_hook
from pipelines.wiring import SyncRequest, open_mirror, sync_tables
from tests.conftest import TODAY, Project

DAYS = 10
FIRST, END = TODAY - timedelta(days=DAYS), TODAY
NAMED = {"expect_column_values_to_not_be_null": {"column": "name"}, "on_failure": "hold"}


def declare(project: Project, **entry: object) -> None:
    """Put the table into the catalog, or change its entry."""
    partition = {"column": "at", "start": "2026-01-01", "lookback_days": 1}
    project.declare("t", "partitioned", **{"key": ["id"], "partition": partition, "expectations": [NAMED], **entry})


def fill(project: Project, first: date = FIRST, end: date = END, **how: object) -> TableResult:
    """Ask for a back-fill of days, half-open, and return what came of it."""
    source = project.settings.sources()[0]
    request = SyncRequest(source, (source.table("t"),), DayRange(first, end), **how)  # type: ignore[arg-type]
    (result,) = sync_tables(project.settings, request)
    return result


def left(project: Project) -> list[Backfill]:
    """Return the back-fills that did not come to their end."""
    return unfinished_backfills(open_mirror(project.settings.state_url))


def gaps(project: Project) -> list[Gap]:
    """Return the project's work list."""
    return list_gaps(project.settings, open_mirror(project.settings.state_url))


def at_commit(number: int, action: Callable[[], object]) -> None:
    """Do something when the given load has landed and is about to be committed."""
    seen: list[str] = []

    def hook(name: str, moment: str) -> None:
        if (name, moment) == ("gate", "after"):
            seen.append(name)
            if len(seen) == number:
                action()

    set_hook(hook)


class Killed(BaseException):
    """What no handler takes for an error."""


def die() -> None:
    """End as a killed process does, but for the process."""
    raise Killed
