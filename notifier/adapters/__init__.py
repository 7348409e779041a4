"""Outside worlds (mail relays, web hooks, letters, lists), each behind a small deep module."""
