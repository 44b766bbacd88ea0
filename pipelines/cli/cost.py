"""What loads cost the warehouse, from the ledger's copy in the mirror: statements, bytes that were staged, rows that were merged."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.text import Text

from pipelines.cli.output import make_console, make_table, one_line
from pipelines.doctor.disk import readable
from pipelines.settings import Settings
from pipelines.state.mirror import Mirror

LOOKED_BACK = timedelta(days=7)


def cost_rows(settings: Settings, mirror: Mirror) -> list[dict[str, Any]]:
    """Return what the last load of each table cost, and what those of the last week cost together."""
    since = datetime.now(UTC) - LOOKED_BACK
    rows = []
    for table in (table for source in settings.sources() for table in source.tables):
        week = mirror.entries_since(table.id, since)
        rows.append({"table": table.id, "last": _sum(mirror.last_entries(table.id)), "week": _sum(week), "loads": len(week)})
    return rows


def show_cost(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print what loads cost."""
    table = make_table("table", "statements", "staged", "merged", "loads of 7 days", "statements", "staged", "merged", right=7)
    for row in rows:
        table.add_row(Text(one_line(row["table"])), *_told(row["last"]), f"{row['loads']:,}", *_told(row["week"]))
    console = make_console()
    console.print(table)
    told = "The first three are of the last load: its own statements, up to the COMMIT. A sync that finds nothing new is no load."
    console.print(told, highlight=False)


def _sum(entries: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    return {
        "statements": sum(entry.get("statements") or 0 for entry in entries),
        "bytes": sum(entry["bytes"] for entry in entries),
        "merged": sum(entry["counts"]["inserted"] + entry["counts"]["updated"] for entry in entries),
    }


def _told(cost: Mapping[str, int]) -> tuple[str, str, str]:
    return f"{cost['statements']:,}", readable(cost["bytes"]), f"{cost['merged']:,}"
