"""Dagster assets: ingestion, dbt, delivery. What a step works with is imported when it works."""
