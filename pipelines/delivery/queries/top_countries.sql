select country, sum(lifetime_revenue) as revenue
from marts.customers
where country is not null
group by country
having sum(lifetime_revenue) > 0
order by revenue desc, country
limit 12
