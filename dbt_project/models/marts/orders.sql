with

orders as (
    select * from {{ ref('stg_shop__orders') }}
),

order_items as (
    select * from {{ ref('int_order_items_aggregated') }}
),

payments as (
    select * from {{ ref('int_order_payments_aggregated') }}
),

amounts as (
    select
        orders.order_id,
        orders.customer_id,
        orders.status,
        orders.currency,
        orders.placed_at,
        orders.order_date,
        coalesce(order_items.item_count, 0) as item_count,
        coalesce(order_items.gross_amount, 0) as gross_amount,
        coalesce(order_items.discount_amount, 0) as discount_amount,
        cast(orders.shipping_fee as decimal(18, 2)) as shipping_fee,
        coalesce(payments.paid_amount, 0) as paid_amount,
        coalesce(payments.refunded_amount, 0) as refunded_amount
    from orders
    left join order_items on orders.order_id = order_items.order_id
    left join payments on orders.order_id = payments.order_id
)

select
    order_id,
    customer_id,
    status,
    currency,
    placed_at,
    order_date,
    item_count,
    gross_amount,
    discount_amount,
    shipping_fee,
    cast(gross_amount - discount_amount + shipping_fee as decimal(18, 2)) as order_total,
    paid_amount,
    refunded_amount
from amounts
