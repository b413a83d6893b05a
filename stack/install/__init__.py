"""Makes a checkout runnable: `python3 -m stack.install`, with nothing but Python and make on the machine.

These modules use the standard library alone, and they run before anything is installed, so they must be readable even
for a Python that is too old: its user gets a sentence, not a syntax error.
"""
