with

customers as (
    select * from {{ ref('stg_shop__customers') }}
),

orders as (
    select * from {{ ref('int_orders_converted') }}
),

-- Cancelled orders are kept until here: a customer who has only those still needs a row.
ordering_customers as (
    select
        customer_id,
        min(case when status <> 'cancelled' then placed_at end) as first_order_at,
        max(case when status <> 'cancelled' then placed_at end) as last_order_at,
        count(case when status <> 'cancelled' then order_id end) as order_count,
        sum(case when status <> 'cancelled' then net_revenue end) as lifetime_revenue
    from orders
    group by customer_id
)

select
    coalesce(customers.customer_id, ordering_customers.customer_id) as customer_id,
    customers.email,
    customers.full_name,
    customers.country,
    customers.segment,
    customers.marketing_opt_in,
    customers.created_at,
    ordering_customers.first_order_at,
    ordering_customers.last_order_at,
    coalesce(ordering_customers.order_count, 0) as order_count,
    cast(coalesce(ordering_customers.lifetime_revenue, 0) as decimal(18, 2)) as lifetime_revenue
from customers
-- Full: an order may arrive before its customer does, or its customer may be in quarantine.
full join ordering_customers on customers.customer_id = ordering_customers.customer_id
