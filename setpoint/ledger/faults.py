"""What can be wrong with the ledger's store, each with its remedy."""

from __future__ import annotations

from setpoint.errors import BackendError, SetpointError


class StoreFull(BackendError):
    """The disk, a quota or a file size limit refused the write. Nothing of the transaction was kept."""


class StoreReadOnly(BackendError):
    """The database or its folder cannot be written."""


class StoreCorrupt(BackendError):
    """The file is damaged, or no database at all."""


class StoreTooNew(BackendError):
    """A newer Setpoint has written this database."""


class LeaseLost(SetpointError):
    """Another worker took the job over: this worker's result was not written and must be dropped."""
