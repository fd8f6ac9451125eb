"""`python -m tinct` is the command `tinct`."""

from tinct.cli import main

main()
