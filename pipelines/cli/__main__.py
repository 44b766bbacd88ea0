"""``python -m pipelines.cli``: the ``daybreak`` command where no script is installed."""

from pipelines.cli.main import main

main()
