"""`python -m regbench`."""

from regbench.cli.main import main

main()
