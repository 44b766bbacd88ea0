"""How long a table is held, in words, and from when on somebody must be called by name.

Not here: counting the mornings (``state.mirror``), sending messages (the sensor ``alerts``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

# The first morning may mend itself: the source is corrected and the next run reads it anew. The second is a working day in
# which somebody could have looked. On the third nobody has, and what is built on the table is days old.
ESCALATED_FROM_MORNINGS = 3
NO_OWNER = "nobody (the catalog names no owner)"


@dataclass(frozen=True)
class HeldTable:
    """A table that is held: since when, on how many mornings in a row, and whose it is."""

    owner: str
    mornings: int
    since: datetime | None


def tell_escalation(held: Sequence[HeldTable]) -> str:
    """Return 'ESCALATED to a@example.com: ' for tables that are held for long, else nothing."""
    late = [table for table in held if table.mornings >= ESCALATED_FROM_MORNINGS]
    owners = dict.fromkeys(table.owner or NO_OWNER for table in late)
    return f"ESCALATED to {', '.join(owners)}: " if late else ""


def tell_standing(held: Sequence[HeldTable]) -> str:
    """Return 'held for 3 mornings, since 2026-11-22 06:01 UTC': the longest of the tables; 'held' on the first morning."""
    mornings = max((table.mornings for table in held), default=0)
    since = min((table.since for table in held if table.since), default=None)
    if mornings < 2 or since is None:
        return "held"
    return f"held for {mornings} mornings, since {since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
