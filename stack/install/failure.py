"""The one error of the installation: what a person can do about it, in one line."""

from __future__ import annotations


class InstallError(Exception):
    """The checkout cannot be made runnable; the message is one line for the person at the terminal."""
