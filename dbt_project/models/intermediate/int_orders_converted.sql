with

orders as (
    select * from {{ ref('orders') }}
),

exchange_rates as (
    select * from {{ ref('exchange_rates') }}
),

-- Rounded per order and amount, once: whatever adds these up agrees with whatever else does, to the cent.
converted as (
    select
        orders.order_id,
        orders.customer_id,
        orders.status,
        orders.placed_at,
        orders.order_date,
        cast({{ quotient('orders.gross_amount', 'exchange_rates.units_per_euro') }} as decimal(18, 2)) as gross_amount,
        cast({{ quotient('orders.discount_amount', 'exchange_rates.units_per_euro') }} as decimal(18, 2)) as discount_amount,
        cast({{ quotient('orders.shipping_fee', 'exchange_rates.units_per_euro') }} as decimal(18, 2)) as shipping_fee,
        cast({{ quotient('orders.refunded_amount', 'exchange_rates.units_per_euro') }} as decimal(18, 2)) as refunded_amount
    from orders
    -- Left: an order without a rate must fail the test on its currency, not disappear.
    left join exchange_rates on orders.currency = exchange_rates.currency
)

select
    order_id,
    customer_id,
    status,
    placed_at,
    order_date,
    gross_amount,
    discount_amount,
    shipping_fee,
    refunded_amount,
    gross_amount - discount_amount + shipping_fee as order_total,
    gross_amount - discount_amount + shipping_fee - refunded_amount as net_revenue
from converted
