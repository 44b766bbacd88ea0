with

source as (
    select *{{ former_names('shop', 'orders') }} from {{ source('shop', 'orders') }}
),

renamed as (
    select
        -- daybreak: columns of shop.orders, written by daybreak generate
        order_id,
        customer_id,
        status,
        currency,
        shipping_fee,
        placed_at,
        updated_at,
        _load_id,
        _loaded_at,
        -- daybreak: end
        {{ project_date('placed_at') }} as order_date
    from source
)

select * from renamed
