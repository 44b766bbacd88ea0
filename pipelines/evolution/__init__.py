"""What a migration of a source's schema means for everything after it, before anything is done.

- ``plan``    per table: what changed, the warehouse's DDL, rows to read again, what it touches
- ``moves``   which raw columns it moves; pure
- ``impact``  which models, columns, tests, contracts and dashboards those reach, from dbt's manifest; pure
- ``reach``   how far a column goes through the models; pure
- ``lineage`` which columns a model's columns are made of, from its SQL; pure
- ``render``  a model's Jinja as SQL, without dbt and without a warehouse; pure

How a change is judged is the engine's (``sync.schema``), and a sync does what is safe by itself.
"""
