{#- Every row satisfies the expression. Null does not: what cannot be told true is reported. -#}
{% test expression_is_true(model, expression) %}

select *
from {{ model }}
where not coalesce({{ expression }}, false)

{% endtest %}
