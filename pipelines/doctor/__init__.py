"""`daybreak doctor`: every prerequisite of source, warehouse, landing, mirror, dbt and Dagster at once, each with its remedy.

``examine`` puts the checks together; each check returns findings. What a source says is fetched by ``sources.postgres_health``.
"""
