"""One machine, the whole system: the `muster` command, its supervisor, the embedded servers and the demo fleet."""
