"""From a database that nobody here knows to a catalog file, and from an entry to its staging model.

- ``survey``    what a database says of its tables: names, types, keys, the planner's estimates
- ``personal``  which columns are likely personal data, and the mask that would hide them
- ``guess``     mode, key, cursor and partition of a table, each with its reason; pure
- ``yaml_text`` YAML as text: exact scalars, and entries put into a file that people wrote
- ``write``     the catalog file's text; ``add`` and ``discover`` write an entry through the same function
- ``staging``   a table's staging model, and its entries beside it, as text
- ``region``    the marked region of a staging model, between lines that people wrote; pure
- ``models``    what a table's model and YAML lack, put where it belongs in the dbt project
- ``files``     files as they will be, written once everything is checked
- ``add``       which files a new table needs, all checked before any is written
- ``generate``  models and YAML written anew when the source's columns changed
- ``preview``   what a table's first rows look like after masks, and what its gates would say

Not here: SQL (``sources.postgres_survey``), what a catalog file may say (``catalog``), the commands (``cli.catalog``).
"""
