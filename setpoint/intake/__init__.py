"""Intake: raw bytes to normalised events, with everything unreadable kept in quarantine."""

from setpoint.intake.limits import DEFAULT_LIMITS, Limits
from setpoint.intake.reader import Tally, read
from setpoint.intake.sensing import contradiction, sense

__all__ = ["DEFAULT_LIMITS", "Limits", "Tally", "contradiction", "read", "sense"]
