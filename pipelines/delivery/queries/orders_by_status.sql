-- The last 30 days that have orders, not the last 30 days of the clock.
select status, count(*) as order_count
from marts.orders
where order_date > (select max(order_date) from marts.orders) - interval '30 days'
group by status
order by order_count desc, status
