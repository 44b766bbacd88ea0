with

source as (
    select * from {{ source('shop', 'products') }}
),

renamed as (
    select
        product_id,
        sku,
        name as product_name,
        category,
        unit_price,
        unit_cost,
        is_active,
        created_at,
        _load_id,
        _loaded_at
    from source
)

select * from renamed
