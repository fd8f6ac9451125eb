"""`python -m tinct` is the command `tinct`."""

from tinct.cli.app import main

main()
