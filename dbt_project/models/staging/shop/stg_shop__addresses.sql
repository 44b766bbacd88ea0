with

source as (
    select *{{ former_names('shop', 'addresses') }} from {{ source('shop', 'addresses') }}
),

renamed as (
    select
        -- daybreak: columns of shop.addresses, written by daybreak generate
        address_id,
        customer_id,
        kind,
        city,
        postcode,
        country,
        created_at,
        _load_id,
        _loaded_at
        -- daybreak: end
    from source
)

select * from renamed
