"""What leaves the warehouse: dashboards as single files, and the publisher that replaces them atomically.

- `page`: what the morning dashboard shows, as plain data
- `figures`: the same, reckoned: complete days, averages, comparisons
- `charts`: the figures as Vega-Lite specs, `theme`: their colours and the page's
- `morning`: one self-contained HTML file out of a page, and a PNG for chat
- `proof`: what the page of proof shows, as plain data; `completeness_rows`: the same in words; `completeness`: its HTML;
  `completeness_data`: fills it in from the mirror and publishes it, whatever is held
- `restated`: days that were committed before and changed again, from the ledger's entries
- `pages`: the pages that link to each other
- `banner`: the words on a page that could not be replaced
- `publish`: writes a file so that no reader ever sees half of it

What decides whether a page may be published is not here: that is the asset's business.
"""
