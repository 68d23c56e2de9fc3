"""`python -m sprat.cli`."""

from sprat.cli import main

main()
