"""Names, places, goods and words of the simulated shop. No logic. Mail domains are those reserved for examples."""

from __future__ import annotations

FIRST_NAMES = (
    "Zoë", "Łukasz", "Anna", "Mehmet", "Søren", "José", "Chloé", "Björn", "Ingrid", "Đorđe", "Ольга", "Μαρία", "美咲",
    "Sinéad", "François", "Agnieszka", "Nguyễn", "Jürgen", "Inês", "Ella", "Noah", "Emma", "Liam", "Sofia", "Mateo",
    "Hannah", "Paul", "Marta", "Piotr", "Lotte", "Daan", "Giulia", "Marco", "Amélie", "Hugo", "Grace", "Oliver", "محمد",
)  # fmt: skip
LAST_NAMES = (
    "Müller", "O'Brien", "Kowalska", "García", "渡辺",
    "Nowak", "Lefèvre", "Åkesson", "Yılmaz", "Dvořák", "Smith", "Jones",
    "Novák", "Rossi", "Østergård", "de Vries", "van den Berg", "Fernández-López", "Silva", "Иванова", "Schmidt", "Weiß",
    "Bianchi", "Dubois", "Martin", "Taylor", "Brown", "Jansen", "Lindqvist", "Santos", "Παππάς", "Tan", "D'Angelo",
)  # fmt: skip
MIXED_NAME = "Zoë Łukasz 渡辺"
MAIL_DOMAINS = ("example.com", "example.org", "example.net", "mail.example.com")

COUNTRIES = ("DE", "FR", "GB", "PL", "NL", "ES", "IT", "US", "SE", "JP")
COUNTRY_WEIGHTS = (24, 15, 14, 11, 9, 8, 8, 6, 3, 2)
CURRENCIES = {"GB": "GBP", "PL": "PLN", "US": "USD"}
# Prices are kept in euro; what a customer pays is converted at these fixed rates.
RATES = {"EUR": 1.0, "GBP": 0.86, "PLN": 4.31, "USD": 1.08}
CITIES = {
    "DE": ("Berlin", "Köln", "München", "Görlitz"),
    "FR": ("Paris", "Besançon", "Nîmes", "L'Haÿ-les-Roses"),
    "GB": ("London", "Stoke-on-Trent", "Bath", "King's Lynn"),
    "PL": ("Łódź", "Kraków", "Gdańsk", "Warszawa"),
    "NL": ("Utrecht", "'s-Hertogenbosch", "Rotterdam", "Leiden"),
    "ES": ("Málaga", "A Coruña", "Madrid", "Cádiz"),
    "IT": ("Forlì", "Roma", "L'Aquila", "Torino"),
    "US": ("Portland, OR", "St. Louis", "Coeur d'Alene", "New York"),
    "SE": ("Malmö", "Göteborg", "Umeå", "Örebro"),
    "JP": ("東京", "京都市", "Sapporo", "大阪"),
}
STREETS = (
    "Lindenstraße",
    "High Street",
    "Rue de l'Église",
    "ul. Świętokrzyska",
    "Kerkstraat",
    "Calle Mayor",
    "Via Roma",
)

GOODS = {
    "kitchen": (("Kettle", 3490), ("Chef's knife", 5950), ("Crêpe pan", 4290), ("Espresso cups, set of 4", 2480)),
    "home": (("Wool blanket", 8900), ("Floor lamp", 12900), ("Linen cushion", 2990), ("Wall clock", 4500)),
    "garden": (("Pruning shears", 2795), ("Terracotta pot", 1690), ("Rain gauge", 1250), ("Bird feeder", 2140)),
    "outdoor": (("Rucksack 28 l", 11900), ("Thermos flask", 3290), ("Head torch", 4490), ("Hammock", 6950)),
    "stationery": (("Notebook A5", 1190), ("Fountain pen", 3850), ("Desk calendar", 1480), ("Washi tape", 490)),
    "toys": (("Wooden train", 3990), ("Kite", 2450), ("Jigsaw, 1000 pieces", 1890), ("Marble run", 5490)),
}
FINISHES = ("oak", "slate", "moss", "ivory", "ultramarine", "terracotta", "café au lait", "naturel", "black", "Größe L")

SEARCH_TERMS = (
    "kettle", "knife", "blanket wool", "lamp", "gift for dad", "crêpe", "thermos 1l", "hammock", "notebook dotted",
    "pen",
    "head torch rechargeable", "garden shears", "bird feeder", "puzzle 1000", "größe l", "café", "train set",
    "gift card",
    "rucksack 28", "50% off", "clock \"silent\"", "cups\\mugs", "ketle", "プレゼント", "подарок", "🎁 under 20",
)  # fmt: skip
SORTINGS = ("relevance", "price_asc", "price_desc", "newest")
REFERRERS = ("direct", "search", "newsletter", "social", "affiliate", "app_push")
SUPPORT_TOPICS = ("where_is_my_order", "return", "damaged_item", "invoice", "product_question", "account")
SUPPORT_MESSAGES = (
    ("en", "Where is my parcel? It's been a week."),
    ("de", "Die Tasse kam zerbrochen an – bitte um Ersatz."),
    ("fr", "Je n'ai pas reçu la facture.\nMerci d'avance !"),
    ("pl", "Chcę zwrócić zamówienie, proszę o etykietę."),
    ("ja", "サイズを交換できますか？"),
    ("en", 'The page said "out of stock" after I paid 😕'),
)
GIFT_MESSAGES = (
    "Happy birthday! 🎂",
    "Alles Gute zum Umzug",
    "Joyeux Noël",
    "Dziękuję za wszystko",
    "お誕生日おめでとう",
)

DEVICES = ("mobile", "desktop", "tablet")
DEVICE_WEIGHTS = (57, 35, 8)
PAYMENT_METHODS = ("card", "wallet", "invoice", "bank_transfer")
PAYMENT_WEIGHTS = (56, 27, 11, 6)
