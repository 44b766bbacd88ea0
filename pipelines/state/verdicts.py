"""What checks said of loads and builds, kept in the mirror."""

from collections.abc import Sequence

import sqlalchemy as sa

from pipelines.state import tables as t
from pipelines.state.mirror import Mirror, now
from pipelines.sync.model import Verdict


def record_verdicts(mirror: Mirror, verdicts: Sequence[Verdict], batch: str) -> None:
    """Keep what checks said of a load or a build."""
    rows = [
        {
            "subject": verdict.subject,
            "check_name": verdict.check,
            "passed": verdict.passed,
            "on_failure": verdict.on_failure,
            "numbers": dict(verdict.numbers),
            "batch": batch,
            "judged_at": now(),
        }
        for verdict in verdicts
    ]
    if rows:
        mirror.write(sa.insert(t.verdicts).values(rows))


def last_verdicts(mirror: Mirror, subject: str, batch: str | None = None) -> list[Verdict]:
    """Return the verdicts of ``batch`` (a load, a build), or of the last one that was judged of ``subject``."""
    newest = (
        sa.select(t.verdicts.c.batch).where(t.verdicts.c.subject == subject).order_by(t.verdicts.c.id.desc()).limit(1).scalar_subquery()
    )
    columns = (t.verdicts.c.subject, t.verdicts.c.check_name, t.verdicts.c.passed, t.verdicts.c.on_failure, t.verdicts.c.numbers)
    chosen = t.verdicts.c.batch == (newest if batch is None else batch)
    rows = mirror.read(sa.select(*columns).where(t.verdicts.c.subject == subject, chosen).order_by(t.verdicts.c.id))
    return [Verdict(subject, check, passed, on_failure, numbers) for subject, check, passed, on_failure, numbers in rows]
