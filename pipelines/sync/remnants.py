"""What a table's earlier loads left behind under another entry of the catalog: it may show what is masked by now.

It goes before the table is read, so that a crash at any later point leaves nothing to be caught up on. What stands in the
warehouse goes in the transaction of the load that brings the masked values.
"""

from pipelines.landing.cleaning import purge_other_entries
from pipelines.state.texts import drop_verdicts
from pipelines.sync.context import Engine
from pipelines.sync.land import identify_key
from pipelines.sync.plan import is_reread
from pipelines.sync.spec import TableSpec


def drop_remnants(engine: Engine, spec: TableSpec) -> None:
    """Delete landed loads of another entry and, where masks may have changed, what the mirror's verdicts and errors quote."""
    purge_other_entries(engine.landing, spec)
    if is_reread(spec, engine.mirror.status(spec.id).watermark, (), identify_key(spec, engine.mask_key)):
        drop_verdicts(engine.mirror, spec.id)
