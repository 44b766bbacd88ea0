with

payments as (
    select * from {{ ref('stg_shop__payments') }}
)

select
    order_id,
    cast(sum(case when amount > 0 then amount else 0 end) as decimal(18, 2)) as paid_amount,
    cast(sum(case when amount < 0 then -amount else 0 end) as decimal(18, 2)) as refunded_amount
from payments
where status <> 'failed'
group by order_id
