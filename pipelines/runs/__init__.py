"""Runs of the project through Dagster, and their ends.

- ``morning``    a run of everything from the command line, and Dagster's home
- ``launcher``   how Dagster starts a run's process; named in ``dagster.yaml``
- ``deaths``     which runs died without a word, and what they were doing
- ``lifeline``   a child process ends with its parent
- ``history``    what Dagster keeps of old runs
- ``progress``   who is told while a run goes on
"""
