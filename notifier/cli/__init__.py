"""The `notifier` command."""

from notifier.cli.commands import main

__all__ = ["main"]
