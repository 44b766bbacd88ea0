{#- The incremental strategy `replace_days`: delete+insert, which can also leave a day empty.

    dbt's own delete+insert deletes the keys that the new rows have, so a day that lost its last row keeps the old ones.
    Here the model also returns one row for a day that has nothing any more, with `_window_load_id` null: such a row deletes
    its day and is not inserted. Both statements read the same temporary table, in one transaction: nobody sees a day missing,
    and a load that the engine commits meanwhile waits for the next build. -#}
{% macro get_incremental_replace_days_sql(arg_dict) -%}
    {{ return(adapter.dispatch('replace_days_sql')(arg_dict)) }}
{%- endmacro %}

{% macro default__replace_days_sql(arg_dict) -%}
    {%- set day = arg_dict['unique_key'] -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    delete from {{ arg_dict['target_relation'] }}
    where {{ day }} in (select rebuilt.{{ day }} from {{ arg_dict['temp_relation'] }} as rebuilt);

    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
    where _window_load_id is not null;
{%- endmacro %}

{#- Snowflake commits each statement on its own unless told otherwise. -#}
{% macro snowflake__replace_days_sql(arg_dict) -%}
    begin;
    {{ default__replace_days_sql(arg_dict) }}
    commit;
{%- endmacro %}
