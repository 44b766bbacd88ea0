with

source as (
    select *{{ former_names('shop', 'customers') }} from {{ source('shop', 'customers') }}
),

renamed as (
    select
        -- daybreak: columns of shop.customers, written by daybreak generate
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
        -- daybreak: end
    from source
)

select * from renamed
