with

source as (
    select *{{ former_names('shop', 'order_items') }} from {{ source('shop', 'order_items') }}
),

renamed as (
    select
        -- daybreak: columns of shop.order_items, written by daybreak generate
        order_id,
        line_number,
        product_id,
        quantity,
        unit_price,
        discount,
        updated_at,
        _load_id,
        _loaded_at
        -- daybreak: end
    from source
)

select * from renamed
