"""`njit` with a cache that belongs to exactly these sources.

numba keeps compiled code beside each file and looks at that file's date alone: a kernel whose own file is unchanged
would go on with the old code of a function it calls from another. Here the cache of a set of sources has a folder of
its own, named by their digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any

from numba import njit as njit
from numba.core import config

_HERE = Path(__file__).parent
_LOG = logging.getLogger("setpoint.plant")


def digest() -> str:
    """Short hash of all sources that hold kernels."""
    total = hashlib.sha256()
    for path in sorted(_HERE.rglob("*.py")):
        source = path.read_bytes()
        if b"njit" in source:
            total.update(source)
    return total.hexdigest()[:12]


def _folder() -> Path:
    """Where the compiled code of these sources is kept; those of older sources are removed."""
    for base in (_HERE / "__pycache__", Path.home() / ".cache" / "setpoint", Path(tempfile.gettempdir())):
        folder = base / f"kernels-{digest()}"
        with contextlib.suppress(OSError):
            fresh = not folder.exists()
            folder.mkdir(parents=True, exist_ok=True)
            if fresh:
                _LOG.warning(
                    "compiling the plant model's kernels, once after an installation: about a minute"
                )
                for old in base.glob("kernels-*"):
                    if old != folder:
                        shutil.rmtree(old, ignore_errors=True)
            return folder
    return Path(tempfile.mkdtemp(prefix="kernels-"))


_KERNELS: Any = config
if not _KERNELS.CACHE_DIR:
    _KERNELS.CACHE_DIR = str(_folder())
