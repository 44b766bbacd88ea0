{#- A quotient that is right to the twelfth digit, to be rounded once, by a cast.

    Snowflake divides numbers to six digits more than the dividend has, and rounds there: 5 / 11 to six digits became 0.454546,
    as one rate in twenty would. DuckDB divides as doubles. -#}
{% macro quotient(dividend, divisor) -%}
    cast({{ dividend }} as decimal(28, 12)) / {{ divisor }}
{%- endmacro %}
