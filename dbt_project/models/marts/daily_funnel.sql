{{
    config(
        materialized='incremental',
        incremental_strategy='replace_days',
        unique_key='event_date',
        on_schema_change='fail',
    )
}}

with

events as (
    select * from {{ ref('stg_shop__events') }}
),

committed_days as (
    select
        day as event_date,
        load_id
    from {{ daybreak_windows() }}
    where source_name = 'shop' and table_name = 'events'
),

{% if is_incremental() -%}
built_days as (
    select distinct
        event_date,
        _window_load_id as load_id
    from {{ this }}
),

-- Loaded since the last build, or again, or not there any more (then without a load_id).
days_to_build as (
    select
        coalesce(committed_days.event_date, built_days.event_date) as event_date,
        committed_days.load_id
    from committed_days
    full join built_days on committed_days.event_date = built_days.event_date
    where committed_days.load_id is distinct from built_days.load_id
),
{%- else -%}
days_to_build as (
    select * from committed_days
),
{%- endif %}

sessions as (
    select
        events.event_date,
        events.device,
        events.session_id,
        max(case when events.event_type = 'cart' then 1 else 0 end) as has_cart,
        max(case when events.event_type = 'purchase' then 1 else 0 end) as has_purchase
    from events
    inner join days_to_build on events.event_date = days_to_build.event_date
    where days_to_build.load_id is not null
    group by events.event_date, events.device, events.session_id
),

funnel as (
    select
        event_date,
        device,
        count(*) as sessions,
        cast(sum(has_cart) as bigint) as sessions_with_cart,
        cast(sum(has_purchase) as bigint) as sessions_with_purchase
    from sessions
    group by event_date, device
)

select
    days_to_build.event_date,
    funnel.device,
    funnel.sessions,
    funnel.sessions_with_cart,
    funnel.sessions_with_purchase,
    cast({{ quotient('funnel.sessions_with_cart', 'funnel.sessions') }} as decimal(7, 6)) as cart_rate,
    cast({{ quotient('funnel.sessions_with_purchase', 'funnel.sessions') }} as decimal(7, 6)) as purchase_rate,
    -- Null tells `replace_days` that the day has nothing any more: it is emptied.
    case when funnel.device is not null then days_to_build.load_id end as _window_load_id
from days_to_build
{{ 'left' if is_incremental() else 'inner' }} join funnel on days_to_build.event_date = funnel.event_date
