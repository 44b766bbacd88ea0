"""The engine: plan, read, land, gate, load, commit. Start reading in ``engine``.

No Dagster, no database driver and no Great Expectations in here: sources, warehouses and gates come in through the
three protocols of ``protocols``.
"""
