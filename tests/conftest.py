"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("any-machine", deadline=None)  # a busy one is slow at times, which is no failure
settings.load_profile("any-machine")
