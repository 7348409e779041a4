"""The demo: an instance of a fictional health-data host, whose registry starts from a real contract's list of third
parties.
"""

from notifier.demo.check import StoryFailed, check
from notifier.demo.story import OVERRIDES, sign_in_link, tell

__all__ = ["OVERRIDES", "StoryFailed", "check", "sign_in_link", "tell"]
