{#- The UTC day of an instant, whatever the session's time zone is: the engine cuts its windows in UTC days. -#}
{% macro utc_date(instant) -%}
    {{ return(adapter.dispatch('utc_date')(instant)) }}
{%- endmacro %}

{% macro default__utc_date(instant) -%}
    cast({{ instant }} at time zone 'UTC' as date)
{%- endmacro %}

{% macro snowflake__utc_date(instant) -%}
    to_date(convert_timezone('UTC', {{ instant }}))
{%- endmacro %}
