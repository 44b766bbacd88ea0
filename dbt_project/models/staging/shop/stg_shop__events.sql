with

source as (
    select * from {{ source('shop', 'events') }}
),

renamed as (
    select
        event_id,
        session_id,
        customer_id,
        event_type,
        device,
        country,
        email,
        properties,
        occurred_at,
        {{ project_date('occurred_at') }} as event_date,
        received_at,
        _load_id,
        _loaded_at
    from source
)

select * from renamed
