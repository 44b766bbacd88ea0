with

source as (
    select * from {{ source('shop', 'customers') }}
),

renamed as (
    select
        customer_id,
        email,
        full_name,
        country,
        segment,
        marketing_opt_in,
        created_at,
        updated_at,
        _load_id,
        _loaded_at
    from source
)

select * from renamed
