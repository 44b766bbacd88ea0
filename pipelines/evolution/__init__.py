"""What a migration of a source's schema means for everything after it, before anything is done.

- ``plan``    per table: what changed, the warehouse's DDL, rows to read again, what it touches
- ``impact``  which models, dashboards and other exposures stand on a raw table, from dbt's manifest; pure

How a change is judged is the engine's (``sync.schema``), and a sync does what is safe by itself.
"""
