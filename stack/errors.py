"""The one error of the stack: what a person must know to start it, in one line."""


class StackError(Exception):
    """The stack cannot do what it was asked; the message is one line for the person at the terminal."""
