"""Quality gates: Great Expectations' expectations on landed data, before anything is visible.

- ``rules``               which expectations may stand in the catalog, of which class they are, and what they take
- ``bounds``              a catalog's bounds and value sets as values of the column's type, exactly or not at all
- ``windows``             bounds that follow from earlier loads: GX's words for them, and what is wrong with them
- ``declaration``         what is wrong with an expectation as it is written, before any column's type is known
- ``classes``             everything that is wrong with a table's expectations, found before a row is read; light
- ``great_expectations``  the gate: row expectations by GX's metrics on pandas, slice by slice
- ``backtracking``        tries a pattern that may never end where it can be ended
- ``load_measures``       load expectations by DuckDB over the landed files, in bounded memory
- ``history``             history expectations: the load's size against earlier ones; pure
- ``judge``               findings of all chunks to verdicts; pure

Not here: what a failure leads to (``sync.engine`` decides), how verdicts are shown (``assets``).
"""
