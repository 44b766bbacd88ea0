{#- One number, computed from two tables: an aggregate over the model equals an aggregate over another one,
    to four decimals. -#}
{% test reconciles_with(model, expression, to, to_expression) %}

with

found as (
    select cast({{ expression }} as decimal(38, 4)) as total from {{ model }}
),

expected as (
    select cast({{ to_expression }} as decimal(38, 4)) as total from {{ to }}
)

select
    found.total as found_total,
    expected.total as expected_total
from found
cross join expected
where coalesce(found.total, 0) <> coalesce(expected.total, 0)

{% endtest %}
