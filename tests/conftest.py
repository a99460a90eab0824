"""What holds for every test: a busy machine is no failure."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("firstmate", deadline=None)
settings.load_profile("firstmate")
