-- Every day of the funnel was built from the load that the engine committed last, and none outlives its window.
with

built_days as (
    select distinct
        event_date,
        _window_load_id
    from {{ ref('daily_funnel') }}
),

committed_days as (
    select
        day,
        load_id
    from {{ daybreak_windows() }}
    where source_name = 'shop' and table_name = 'events'
)

select
    built_days.event_date,
    built_days._window_load_id,
    committed_days.load_id
from built_days
left join committed_days on built_days.event_date = committed_days.day
where built_days._window_load_id is distinct from committed_days.load_id
