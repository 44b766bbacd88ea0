with

source as (
    select *{{ former_names('shop', 'products') }} from {{ source('shop', 'products') }}
),

renamed as (
    select
        -- daybreak: columns of shop.products, written by daybreak generate
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
        -- daybreak: end
    from source
)

select * from renamed
