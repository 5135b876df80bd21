"""Every error Setpoint raises on purpose.

SetpointError
├── UsageError            the user asked for something that cannot be done (exit 2)
│   └── ConfigError       a setting, site file or rule file is wrong, with place and remedy
├── InputError            one input item is bad; it goes to quarantine, the rest goes on (exit 2 where it was all)
├── BackendError          a model, store or server is missing or broken (exit 3)
│   ├── ModelMissing
│   ├── ModelFailed       the model answered badly, too late or not at all
│   └── StoreLocked       another process owns the store
├── NotDecidable          a decision came late, twice, or for something else (exit 4)
├── ActionRefused         a guard, interlock or token check said no (exit 4)
└── SafetyViolation       an invariant that must never break is broken (exit 5)
"""

from __future__ import annotations


class SetpointError(Exception):
    """Base of all expected errors. `exit_code` is what the command line returns for it."""

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(what)

    def __str__(self) -> str:
        parts = [f"{self.where}: {self.what}" if self.where else self.what]
        if self.remedy:
            parts.append(self.remedy[0].upper() + self.remedy[1:])
        return ". ".join(part.rstrip(".") for part in parts)


class UsageError(SetpointError):
    """The request itself is wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting, site file, rule file or catalog is wrong."""


class InputError(SetpointError):
    """One input item cannot be used. It is kept in quarantine; the rest of the batch goes on.

    It reaches the command line only where that item was the whole input, such as a trace.
    """

    exit_code = 2


class BackendError(SetpointError):
    """Something Setpoint stands on is missing or broken."""

    exit_code = 3


class ModelMissing(BackendError):
    """The model file or endpoint of a role is not there."""


class ModelFailed(BackendError):
    """The model answered too late, not at all, or with something that cannot be used."""


class StoreLocked(BackendError):
    """Another process holds the database or the index."""


class NotDecidable(SetpointError):
    """The decision is late, doubled, or names something that is not pending."""

    exit_code = 4


class ActionRefused(SetpointError):
    """A bound, interlock, rate limit or token check refused the action."""

    exit_code = 4


class SafetyViolation(SetpointError):
    """An invariant that must never break is broken. The run stops."""

    exit_code = 5
