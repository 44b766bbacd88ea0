with

orders as (
    select * from {{ ref('int_orders_converted') }}
),

days as (
    {{ calendar_days('orders', 'order_date') }}
),

counted_orders as (
    select * from orders
    where status <> 'cancelled'
),

daily_totals as (
    select
        days.calendar_day as revenue_date,
        count(counted_orders.order_id) as order_count,
        coalesce(sum(counted_orders.gross_amount), 0) as gross_revenue,
        coalesce(sum(counted_orders.discount_amount), 0) as discounts,
        coalesce(sum(counted_orders.shipping_fee), 0) as shipping_revenue,
        coalesce(sum(counted_orders.refunded_amount), 0) as refunds,
        {{ quotient('sum(counted_orders.order_total)', 'nullif(count(counted_orders.order_id), 0)') }} as average_order_value
    from days
    left join counted_orders on days.calendar_day = counted_orders.order_date
    group by days.calendar_day
)

select
    revenue_date,
    order_count,
    cast(gross_revenue as decimal(18, 2)) as gross_revenue,
    cast(discounts as decimal(18, 2)) as discounts,
    cast(shipping_revenue as decimal(18, 2)) as shipping_revenue,
    cast(gross_revenue - discounts + shipping_revenue - refunds as decimal(18, 2)) as net_revenue,
    cast(refunds as decimal(18, 2)) as refunds,
    cast(coalesce(average_order_value, 0) as decimal(18, 2)) as average_order_value
from daily_totals
