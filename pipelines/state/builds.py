"""What became of each dbt model and of each delivery, kept in the mirror."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from pipelines.state import tables as t
from pipelines.state.mirror import Mirror, now


def read_builds(mirror: Mirror) -> dict[str, Mapping[str, Any]]:
    """Return the last note about every model."""
    return {row.model: dict(row._mapping) for row in mirror.read(sa.select(t.builds))}


def record_build(mirror: Mirror, model: str, status: str, inputs: str | None, reason: str | None = None) -> None:
    """Note how a model's build ended; a model that was left out or failed keeps the inputs of its last good build."""
    values: dict[str, Any] = {"model": model, "status": status, "reason": reason, "noted_at": now()}
    if status == "built":
        values |= {"inputs": inputs, "built_at": now()}
    elif status == "failed":
        values |= {"inputs": None}
    mirror.write(mirror.upserting(t.builds, values))


def record_standing(mirror: Mirror, model: str) -> None:
    """Note that a model was left alone because nothing above it changed: its last good build stands."""
    mirror.write(sa.update(t.builds).where(t.builds.c.model == model).values(status="built", reason=None, noted_at=now()))


def read_deliveries(mirror: Mirror) -> dict[str, Mapping[str, Any]]:
    """Return the last note about every delivery."""
    return {row.delivery: dict(row._mapping) for row in mirror.read(sa.select(t.deliveries))}


def record_delivery(mirror: Mirror, delivery: str, **values: Any) -> None:  # noqa: ANN401 - the table's columns
    """Note how a delivery ended."""
    mirror.write(mirror.upserting(t.deliveries, {"delivery": delivery, **values}))
