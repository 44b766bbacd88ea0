"""Landed chunks: immutable Parquet files with their manifest records, and questions about them."""
