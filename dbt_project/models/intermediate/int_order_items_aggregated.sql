with

order_items as (
    select * from {{ ref('stg_shop__order_items') }}
)

select
    order_id,
    cast(sum(quantity) as bigint) as item_count,
    cast(sum(quantity * unit_price) as decimal(18, 2)) as gross_amount,
    cast(sum(discount) as decimal(18, 2)) as discount_amount
from order_items
group by order_id
