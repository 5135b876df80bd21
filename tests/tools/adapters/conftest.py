"""One moment and one site for the adapters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from plant.site import Site, load_site, site_file_of

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock() -> Callable[[], datetime]:
    return lambda: NOW


@pytest.fixture(scope="session")
def demo() -> Site:
    return load_site(site_file_of("demo"))


@pytest.fixture
def opened() -> Iterator[Callable[[Any], Any]]:
    """Takes an adapter, gives it back, and closes it at the test's end."""
    made: list[Any] = []

    def keep(adapter: Any) -> Any:
        made.append(adapter)
        return adapter

    yield keep
    for adapter in made:
        adapter.close()
