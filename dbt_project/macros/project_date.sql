{#- The day of an instant in the project's time zone, whatever the session's is: the engine cuts its windows in those days. -#}
{% macro project_date(instant) -%}
    {{ return(adapter.dispatch('project_date')(instant)) }}
{%- endmacro %}

{% macro default__project_date(instant) -%}
    cast({{ instant }} at time zone '{{ env_var("DAYBREAK_TIME_ZONE", "UTC") }}' as date)
{%- endmacro %}

{% macro snowflake__project_date(instant) -%}
    to_date(convert_timezone('{{ env_var("DAYBREAK_TIME_ZONE", "UTC") }}', {{ instant }}))
{%- endmacro %}
