{#- `, delivery_fee as shipping_fee` for every former name of a renamed column of a raw table, to go behind `select *`: the
    staging model, and all that stands on it, builds on the morning after a rename, before anybody ran `daybreak generate`.

    The engine writes `daybreak.former_names` in the transaction that renames the column. A name that is a column of the raw table
    is never shadowed, and one that two columns had is left out: to guess which was meant would be silent and wrong.
    One query for each staging view; whether the table is there is asked once per invocation, because dbt keeps the answer. -#}
{% macro former_names(source_name, table_name) -%}
    {%- if execute -%}
        {%- set raw = source(source_name, table_name) -%}
        {%- set known = adapter.get_relation(database=raw.database, schema='daybreak', identifier='former_names') -%}
        {%- if known -%}
            {%- for former, current in run_query(former_names_sql(source_name, raw, known)).rows -%}
                , {{ quote_name(current) }} as {{ quote_name(former) }}
            {%- endfor -%}
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}

{#- dbt's identifier is written for quotes around it; the engine's lists have the name itself. -#}
{% macro former_names_sql(source_name, raw, known) -%}
    {%- set table_name = raw.identifier | replace('""', '"') | replace("'", "''") -%}
    with

    raw_columns as (
        select lower(column_name) as column_name
        from information_schema.columns
        where
            lower(table_catalog) = lower('{{ raw.database }}')
            and lower(table_schema) = lower('{{ raw.schema }}')
            and lower(table_name) = lower('{{ table_name }}')
    )

    select
        min(former_name) as former_name,
        min(current_name) as current_name
    from {{ known }}
    where
        source_name = '{{ source_name }}'
        and lower(table_name) = lower('{{ table_name }}')
        and lower(current_name) in (select raw_columns.column_name from raw_columns)
        and lower(former_name) not in (select raw_columns.column_name from raw_columns)
    group by lower(former_name)
    having count(distinct lower(current_name)) = 1
    order by 1
{%- endmacro %}

{#- A raw table's column as the engine calls it: Snowflake has one that needs no quotes in capitals. -#}
{% macro quote_name(name) -%}
    {{ return(adapter.dispatch('quote_name')(name)) }}
{%- endmacro %}

{% macro default__quote_name(name) -%}
    {{ return(adapter.quote(name | replace('"', '""'))) }}
{%- endmacro %}

{% macro snowflake__quote_name(name) -%}
    {%- set needs_none = modules.re.fullmatch('[A-Za-z_][A-Za-z0-9_$]*', name) -%}
    {{ return(default__quote_name(name | upper if needs_none else name)) }}
{%- endmacro %}
