select revenue_date, order_count, gross_revenue, discounts, shipping_revenue, net_revenue, refunds, average_order_value
from marts.daily_revenue
order by revenue_date
