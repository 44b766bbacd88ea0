with

source as (
    select *{{ former_names('shop', 'events') }} from {{ source('shop', 'events') }}
),

renamed as (
    select
        -- daybreak: columns of shop.events, written by daybreak generate
        event_id,
        session_id,
        customer_id,
        event_type,
        device,
        country,
        email,
        properties,
        occurred_at,
        received_at,
        _load_id,
        _loaded_at,
        -- daybreak: end
        {{ project_date('occurred_at') }} as event_date
    from source
)

select * from renamed
