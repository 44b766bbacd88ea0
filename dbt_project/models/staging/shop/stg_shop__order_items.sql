with

source as (
    select * from {{ source('shop', 'order_items') }}
),

renamed as (
    select
        order_id,
        line_number,
        product_id,
        quantity,
        unit_price,
        discount,
        updated_at,
        _load_id,
        _loaded_at
    from source
)

select * from renamed
