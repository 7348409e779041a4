"""How much of each fault there is: a short form in every run, and the long one with NOTIFIER_FAULTS=long."""

import os
import sys

IS_LONG = os.environ.get("NOTIFIER_FAULTS") == "long"
TIME_OUT = 7_200 if IS_LONG else 240  # seconds for one test, also where much else runs


def times(short: int, long: int) -> int:
    """How often, or of how many, in this run."""
    return long if IS_LONG else short


def say(what: str, **figures: float | str) -> None:
    """Print what a test found; pytest -rP shows it."""
    said = ", ".join(
        f"{value:.2f} {name}" if isinstance(value, float) else f"{value} {name}" for name, value in figures.items()
    )
    sys.stdout.write(f"{what}: {said.replace('_', ' ')}\n")
