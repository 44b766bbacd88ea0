{#- `staging` and `marts` as they are, without the target's schema in front: analysts query `marts.orders`.
    Environments are separate databases (DuckDB files), not prefixes. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
