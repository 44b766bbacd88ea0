{#- A select of `calendar_day`: every day from the first to the last value of a date column.

    dbt builds its number series from cross joins, which both warehouses run as they are; a recursive query would stop at 100
    rows on Snowflake. 14,610 days are 40 years: a longer range loses its last days, so test that totals add up. -#}
{% macro calendar_days(relation, column) -%}
    select cast({{ dbt.dateadd('day', 'cast(numbers.generated_number - 1 as integer)', 'bounds.first_day') }} as date) as calendar_day
    from (select min({{ column }}) as first_day, max({{ column }}) as last_day from {{ relation }}) as bounds
    inner join ({{ dbt.generate_series(14610) }}) as numbers
        on numbers.generated_number <= {{ dbt.datediff('bounds.first_day', 'bounds.last_day', 'day') }} + 1
{%- endmacro %}
