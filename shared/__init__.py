"""What every process of Muster agrees on; pure, without I/O, except for the adapters in `shared.io`."""
