with

source as (
    select * from {{ source('shop', 'orders') }}
),

renamed as (
    select
        order_id,
        customer_id,
        status,
        currency,
        shipping_fee,
        placed_at,
        {{ project_date('placed_at') }} as order_date,
        updated_at,
        _load_id,
        _loaded_at
    from source
)

select * from renamed
