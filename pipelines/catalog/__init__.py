"""What is synced: one YAML file per source database, and the reader that turns them into the engine's ``SourceSpec``."""
