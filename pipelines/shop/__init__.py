"""The shop: an embedded PostgreSQL and a deterministic simulator of the application that owns it.

`server.py` starts and stops the database; `simulator.py` fills it (`create_shop`) and lets days pass (`advance_shop`).
It stands in for somebody's production database, so nothing here knows that Daybreak exists, and Daybreak only reads it.
"""
