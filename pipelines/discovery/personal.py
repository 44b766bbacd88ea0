"""Which columns are likely personal data or secrets, by name and type, and the mask that would hide each. Pure.

It is a suggestion that a person reads, so it leans towards saying too much, but not blindly: `filename`, `product_name`
and `email_verified` are nobody's. What is in a column is never read. Why these masks: what tables are joined and people
are counted by (an e-mail address, a passport's number) stays comparable as a keyed hash; what only describes (a street, a
birth date) or opens doors (a token) is left out.
"""

from dataclasses import dataclass

from pipelines.discovery.survey import SurveyedColumn
from pipelines.names import list_words, make_singular, split_words
from pipelines.sync.spec import Mask

_TEXT = frozenset({"text", "varchar", "bpchar", "citext", "name", "_text", "_varchar", "json", "jsonb", "hstore"})
_WHOLE = frozenset({"int2", "int4", "int8", "numeric"})
_TIME = frozenset({"date", "timestamp", "timestamptz"})
_BYTES = frozenset({"bytea", "uuid"})
_NETWORK = frozenset({"inet", "cidr"})
_DEVICE = frozenset({"macaddr", "macaddr8"})


@dataclass(frozen=True)
class Suggestion:
    """What a column likely holds, and the mask for it."""

    what: str
    mask: Mask


@dataclass(frozen=True)
class _Rule:
    """Phrases (words in a row) that mean something in columns of these types."""

    what: str
    mask: Mask
    types: frozenset[str]
    phrases: str  # comma-separated, words separated by a space


_RULES = (
    _Rule("an IP address", "drop", _TEXT | _NETWORK, "ip, ip address, ipaddress, ip addr, ipaddr, remote addr, client addr"),
    _Rule("a device", "hmac", _TEXT | _DEVICE | _BYTES, "mac address, imei, idfa, gaid, device id, advertising id"),
    _Rule("an e-mail address", "hmac", _TEXT, "email, e mail, emailaddress, mail address, mailaddress"),
    _Rule(
        "a phone number",
        "hmac",
        _TEXT | _WHOLE,
        "phone, telephone, phonenumber, telephonenumber, mobile, mobilephone, cellphone, fax, msisdn, whatsapp",
    ),
    _Rule(
        "a secret",
        "drop",
        _TEXT | _BYTES,
        "password, passwd, passphrase, pwd, secret, token, api key, apikey, access key, private key, credential, salt, otp, totp, "
        "recovery code, backup code, security answer, passhash",
    ),
    _Rule("a payment card", "drop", _TEXT | _WHOLE, "card number, cardnumber, card no, credit card, creditcard, pan, cvv, cvc, ccv"),
    _Rule("a bank account", "hmac", _TEXT | _WHOLE, "iban, bank account, account number, accountnumber, routing number, sort code"),
    _Rule(
        "an official number",
        "hmac",
        _TEXT | _WHOLE,
        "passport, ssn, social security, national id, nationalid, nin, tax id, driver license, drivers license, driving licence, "
        "driver licence, license number, licence number, identity card, id card",
    ),
    _Rule("a birth date", "drop", _TEXT | _TIME | _WHOLE, "birth, birthdate, birthday, birthplace, birthyear, dob"),
    _Rule("a postal address", "drop", _TEXT, "address, addr, street, postcode, postal code, postalcode, zip, zipcode, house number"),
    _Rule(
        "a person's name",
        "hmac",
        _TEXT,
        "firstname, lastname, fullname, middlename, surname, forename, givenname, familyname, nickname, maidenname, username, login, "
        "contactname, fname, lname",
    ),
)
_PERSONS = frozenset(
    map(
        make_singular,
        list_words(
            "person people customer client user employee staff worker contact member patient student teacher pupil guest visitor "
            "author actor owner recipient sender holder cardholder subscriber driver passenger agent lead candidate applicant doctor donor "
            "beneficiary borrower tenant child parent spouse buyer seller attendee resident citizen manager"
        ),
    )
)
_NAME_PARTS = frozenset({"first", "last", "full", "middle", "given", "family", "maiden", "nick", "sur", "display", "ship", "billing"})
# What a phrase is followed by when the column is about it and does not hold it.
_ABOUT = frozenset(
    map(
        make_singular,
        list_words(
            "id type kind count status verified confirmed valid validated at on enabled template format length flag provider label "
            "purpose preference optin opt sent expiry expires expiration version file path"
        ),
    )
)
# What stands before `address` when nobody lives there.
_PLACES_OF_MACHINES = frozenset({"web", "url", "http", "server", "host", "memory", "contract", "wallet", "register", "base", "bus"})


def suggest_mask(table: str, column: SurveyedColumn) -> Suggestion | None:
    """Return what a column of ``table`` likely holds of a person, and the mask for it; None for most columns."""
    words = tuple(make_singular(word) for word in split_words(column.name))
    type_ = column.base_type
    if type_ in ("inet", *_DEVICE):
        return Suggestion("an IP address", "drop") if type_ == "inet" else Suggestion("a device", "hmac")
    for rule in _RULES:
        if type_ in rule.types and any(_has(words, tuple(phrase.split())) for phrase in rule.phrases.split(", ")):
            return Suggestion(rule.what, rule.mask)
    if type_ in _TEXT and _is_name_of_person(table, words):
        return Suggestion("a person's name", "hmac")
    return None


def _has(words: tuple[str, ...], phrase: tuple[str, ...]) -> bool:
    phrase = tuple(make_singular(word) for word in phrase)
    for start in range(len(words) - len(phrase) + 1):
        end = start + len(phrase)
        is_about = bool(set(words[end:]) & _ABOUT)
        is_machine = phrase[-1] in ("address", "addr") and bool(set(words[:start]) & _PLACES_OF_MACHINES)
        if words[start:end] == phrase and not is_about and not is_machine:
            return True
    return False


def _is_name_of_person(table: str, words: tuple[str, ...]) -> bool:
    """Whether the column ends in ``name`` and it is a person's: `customer_name`, or `name` alone in a table of people."""
    if not words or words[-1] != "name":
        return False
    before = words[:-1]
    if before:
        return before[-1] in _PERSONS | _NAME_PARTS
    return bool({make_singular(word) for word in split_words(table)[-1:]} & _PERSONS)
