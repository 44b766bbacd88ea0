"""Personal data by name and type: what is marked with which mask, and what must not be marked blindly."""

import pytest

from pipelines.discovery.personal import suggest_mask
from pipelines.discovery.survey import SurveyedColumn


def mask_of(name: str, type_: str = "text", table: str = "things") -> str | None:
    suggestion = suggest_mask(table, SurveyedColumn(name, type_, type_, is_nullable=True))
    return suggestion.mask if suggestion else None


@pytest.mark.parametrize(
    ("name", "type_", "mask"),
    [
        ("email", "text", "hmac"),
        ("emailAddress", "varchar", "hmac"),
        ("e-mail", "citext", "hmac"),
        ("billing_emails", "_text", "hmac"),
        ("first_name", "text", "hmac"),
        ("FirstName", "text", "hmac"),
        ("LASTNAME", "text", "hmac"),
        ("contact name", "text", "hmac"),
        ("ship_name", "text", "hmac"),
        ("home_phone", "bpchar", "hmac"),
        ("phoneNumber", "int8", "hmac"),
        ("street_name", "text", "drop"),
        ("shippingAddress", "jsonb", "drop"),
        ("addresses", "text", "drop"),
        ("PostalCode", "text", "drop"),
        ("date_of_birth", "date", "drop"),
        ("dob", "text", "drop"),
        ("client_ip", "text", "drop"),
        ("source", "inet", "drop"),
        ("card", "macaddr", "hmac"),
        ("passport_no", "text", "hmac"),
        ("SSN", "bpchar", "hmac"),
        ("IBAN", "text", "hmac"),
        ("credit_card_number", "int8", "drop"),
        ("password_hash", "bytea", "drop"),
        ("apiKey", "text", "drop"),
        ("refresh_token", "text", "drop"),
        ("national_id", "text", "hmac"),
    ],
)
def test_what_is_likely_personal_is_marked(name: str, type_: str, mask: str) -> None:
    assert mask_of(name, type_) == mask


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("filename", "text"),
        ("tablename", "text"),
        ("company_name", "text"),
        ("product_name", "text"),
        ("name", "text"),
        ("category", "text"),
        ("email_verified", "bool"),
        ("email_id", "int4"),
        ("email_id", "text"),
        ("email_template", "text"),
        ("phone_type", "text"),
        ("address_id", "int4"),
        ("ip_count", "int4"),
        ("token_count", "int4"),
        ("password_changed_at", "timestamptz"),
        ("web_address", "text"),
        ("wallet_address", "text"),
        ("shipping_fee", "numeric"),
        ("description", "text"),
        ("panel", "text"),
        ("zipped", "text"),
        ("created_at", "timestamptz"),
    ],
)
def test_what_only_looks_like_it_is_not_marked(name: str, type_: str) -> None:
    assert mask_of(name, type_) is None


@pytest.mark.parametrize(("table", "mask"), [("customers", "hmac"), ("app_users", "hmac"), ("People", "hmac"), ("products", None)])
def test_a_plain_name_is_a_persons_only_in_a_table_of_people(table: str, mask: str | None) -> None:
    assert mask_of("name", table=table) == mask
