"""The shop: an embedded PostgreSQL and a deterministic simulator of the application that owns it.

`server.py` starts and stops the database; `simulator.py` fills it (`create_shop`), lets days pass
(`advance_shop`) and changes its schema as the application's developers would (`migrate_shop`).
It stands in for somebody's production database, so nothing here knows that Daybreak exists, and Daybreak only reads it.
"""
