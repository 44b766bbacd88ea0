{#- The engine's list of committed days: one row per day of a partitioned table, with the load that wrote it last.

    Not a dbt source on purpose. A source becomes an asset in the lineage, and this one has no story of its own: its rows
    are written in the transaction that loads the table they describe, so that table stands for both. (Mapping a source
    onto the table's asset key instead makes dagster-dbt refuse the manifest: two sources with one key.)
    A unit test replaces it with `overrides: macros: daybreak_windows`. -#}
{% macro daybreak_windows() -%}
    {{ return(api.Relation.create(database=target.database, schema='daybreak', identifier='windows')) }}
{%- endmacro %}
