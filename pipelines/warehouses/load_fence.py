"""The fence of a load: it commits only if nobody else has claimed or committed its table since it was planned."""

from datetime import datetime

from pipelines.errors import LoadConflict
from pipelines.sync import codec
from pipelines.sync.model import StagedLoad
from pipelines.warehouses.dialect import OF_TABLE, Run, names_of

_STANDS = f"{OF_TABLE} and token = $token and load_id is not distinct from $base"


def is_ours(run: Run, load: StagedLoad) -> bool:
    """Whether the fence holds now."""
    found = run(f"select 1 from daybreak.watermarks where {_STANDS}", **names_of(load.spec), token=load.token, base=load.plan.base_load_id)
    return bool(found)


def advance_watermark(run: Run, load: StagedLoad, now: datetime) -> None:
    """Move the watermark on: the one statement that fails if another run was here. Raises ``LoadConflict``."""
    ((moved, *_),) = run(
        f"update daybreak.watermarks set load_id = $load_id, watermark = $watermark, committed_at = $now where {_STANDS}",
        **names_of(load.spec),
        load_id=load.plan.load_id,
        watermark=codec.dump(codec.WATERMARK, load.watermark),
        now=now,
        token=load.token,
        base=load.plan.base_load_id,
    )
    if moved != 1:
        raise overtaken(load)


def overtaken(load: StagedLoad) -> LoadConflict:
    """Return what is raised when the fence does not hold."""
    return LoadConflict(
        f"another run claimed or committed this table since the load was planned on {load.plan.base_load_id}.",
        safe="Nothing of this load was committed; the other run's state stands.",
        remedy="Run again: it is planned anew.",
        table=load.spec.id,
        load_id=load.plan.load_id,
    )
