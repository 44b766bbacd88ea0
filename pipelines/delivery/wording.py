"""Numbers and instants as a reader sees them. Nothing here knows HTML, and nothing is rounded for anything but show."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

NOTHING = "–"
_SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£", "JPY": "¥", "INR": "₹"}
# Currencies whose smallest unit is the unit itself.
_WITHOUT_CENTS = frozenset({"JPY", "KRW", "CLP", "ISK", "VND"})
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def currency_prefix(currency: str) -> str:
    """'€' for EUR, and the code with a no-break space for a currency whose sign is ambiguous or unknown."""
    return _SYMBOLS.get(currency, f"{currency}\N{NO-BREAK SPACE}")


def currency_decimals(currency: str) -> int:
    """0 where the smallest unit is the unit itself, as with the yen; else 2."""
    return 0 if currency in _WITHOUT_CENTS else 2


def write_money(amount: Decimal | None, currency: str, *, decimals: int | None = None) -> str:
    """'€1,234.50'; a negative amount has its sign in front of the currency's."""
    if amount is None:
        return NOTHING
    places = currency_decimals(currency) if decimals is None else min(decimals, currency_decimals(currency))
    digits = f"{abs(amount):,.{places}f}"
    is_negative = amount < 0 and any(digit in "123456789" for digit in digits)
    return f"{'−' if is_negative else ''}{currency_prefix(currency)}{digits}"


def write_count(count: int) -> str:
    """'1,234'; a negative count has a minus sign (U+2212), not a hyphen."""
    return f"{count:,}".replace("-", "−")


def write_percent(ratio: Decimal | None, *, decimals: int = 1) -> str:
    """'12.3%' for 0.123; a dash for None."""
    return NOTHING if ratio is None else f"{ratio * 100:.{decimals}f}%".replace("-", "−")


def write_quantity(count: int, noun: str) -> str:
    """'1 table', '2 tables'."""
    return f"{write_count(count)} {noun}{'' if count == 1 else 's'}"


def weekday(day: date) -> str:
    """'Monday': English, whatever the locale of the process."""
    return _WEEKDAYS[day.weekday()]


def write_day(day: date, *, year: bool = True) -> str:
    """'Mon 2 Nov 2026'. Not strftime: its names follow the locale of the process."""
    return f"{weekday(day)[:3]} {day.day} {_MONTHS[day.month - 1]}{f' {day.year}' if year else ''}"


def write_instant(instant: datetime | None, time_zone: str) -> str:
    """'Mon 2 Nov 2026, 06:04 CET'."""
    if instant is None:
        return NOTHING
    local = localize(instant, time_zone)
    return f"{write_day(local.date())}, {local:%H:%M} {local.tzname()}"


def write_short_instant(instant: datetime | None, time_zone: str) -> str:
    """'2 Nov 06:04', for the columns of a table whose zone is said elsewhere."""
    if instant is None:
        return NOTHING
    local = localize(instant, time_zone)
    return f"{local.day} {_MONTHS[local.month - 1]} {local:%H:%M}"


def localize(instant: datetime, time_zone: str) -> datetime:
    """A naive instant is UTC, as everywhere in this project; `astimezone` alone would take the machine's zone."""
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return aware.astimezone(ZoneInfo(time_zone))


def write_clock(instant: datetime | None, time_zone: str, *, with_day: bool = True) -> str:
    """'Mon 2 Nov 2026, 04:02:11 CET', or without the day where that is said elsewhere."""
    if instant is None:
        return NOTHING
    local = localize(instant, time_zone)
    return f"{write_day(local.date())}, {local:%H:%M:%S} {local.tzname()}" if with_day else f"{local:%H:%M:%S} {local.tzname()}"


def write_span(first: date, last: date) -> str:
    """'2026-03-01', or '2026-03-01 to 2026-03-04': as the commands want days, so that they can be copied."""
    return f"{first}" if first == last else f"{first} to {last}"


def write_duration(span: timedelta) -> str:
    """'less than a minute', '75 min', '3 h 5 min'."""
    minutes = round(span.total_seconds() / 60)
    if minutes < 1:
        return "less than a minute"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
