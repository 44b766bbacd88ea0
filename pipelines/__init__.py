"""Everything Dagster materialises, and the engine under it.

- ``definitions``  one explicit list of assets, checks, jobs, schedules and sensors
- ``settings``     the environment and ``catalog/*.yaml``, validated; the only reader of the environment
- ``errors``       the error tree, ordered by what to do next
- ``cli``          the ``daybreak`` command, a thin face over the functions below
- ``runs``         runs through Dagster: how they are started, watched and known to be dead
- ``sync``         the engine: plan, read, land, gate, load, commit
- ``sources``      read production databases
- ``landing``      immutable Parquet chunks and their manifests
- ``warehouses``   DuckDB and what it grows into
- ``gates``        Great Expectations on landed data
- ``state``        the mirror: a rebuildable SQLite copy of the truth, and the writer's lock file
- ``assets``       Dagster assets: ingestion, dbt, delivery
- ``delivery``     dashboards and reports
- ``discovery``    catalog entries and staging models for tables that nobody described yet
- ``names``        words in names, and names made from other names
- ``doctor``       every prerequisite at once
- ``evolution``    what a migration of a source means, before anything is done
- ``shop``         a simulated application and its PostgreSQL, to try all of this on

Imports go one way: ``definitions`` to ``assets`` and ``sensors``, those to ``sync``, and ``sync`` to its protocols only.
"""
