with

source as (
    select * from {{ source('shop', 'payments') }}
),

renamed as (
    select
        payment_id,
        order_id,
        method,
        amount,
        status,
        paid_at,
        updated_at,
        _load_id,
        _loaded_at
    from source
)

select * from renamed
