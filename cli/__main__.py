"""`python -m gmaps.cli`, which `torchrun` starts."""

from gmaps.cli import main

main(prog_name="gmaps")
