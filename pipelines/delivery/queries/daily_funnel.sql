select event_date, device, sessions, sessions_with_cart, sessions_with_purchase, cart_rate, purchase_rate
from marts.daily_funnel
order by event_date, device
