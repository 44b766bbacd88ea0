with

source as (
    select * from {{ source('shop', 'addresses') }}
),

renamed as (
    select
        address_id,
        customer_id,
        kind,
        city,
        postcode,
        country,
        created_at,
        _load_id,
        _loaded_at
    from source
)

select * from renamed
