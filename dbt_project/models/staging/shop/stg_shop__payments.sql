with

source as (
    select *{{ former_names('shop', 'payments') }} from {{ source('shop', 'payments') }}
),

renamed as (
    select
        -- daybreak: columns of shop.payments, written by daybreak generate
        payment_id,
        order_id,
        method,
        amount,
        status,
        paid_at,
        updated_at,
        _load_id,
        _loaded_at
        -- daybreak: end
    from source
)

select * from renamed
