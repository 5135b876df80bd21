"""Fetches an open GGUF by name from a hub, or from a mirror of one inside the site.

A hub serves `REPOSITORY/resolve/main/FILE`, names the file's SHA-256 in the header X-Linked-ETag (or in the LFS pointer at
`REPOSITORY/raw/main/FILE`) and sends the file from elsewhere. A mirror serves the same paths, or its files flat, with a
SHA256SUMS beside them. Without a hash from one of these, a pin or the caller, nothing is fetched.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256 as new_sha256
from importlib.resources import files
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import yaml

from setpoint.errors import BackendError, UsageError
from setpoint.llm.registry import Registry

PINS_FILE = "pulled.json"
ATTEMPTS = 5
"""Of one pull: a connection that is cut is taken up again where it broke."""
_WAIT_S = 1.0
_CHUNK = 1 << 20
_SPARE_BYTES = 256_000_000
"""Stays free on the disk."""
_MOST_TEXT = 200_000
"""Bytes of a pointer or a list of hashes; more is something else."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_POINTER = re.compile(
    r"\Aversion https://git-lfs\.github\.com/spec/v1\noid sha256:(?P<sha>[0-9a-f]{64})\nsize (?P<size>\d+)"
)
_TIMEOUT = httpx.Timeout(30.0, connect=10.0)
Tell = Callable[[str, int, int], None]
"""Is told the name, megabytes there, and megabytes in all."""


@dataclass(frozen=True)
class Known:
    """One entry of known.yaml."""

    name: str
    repository: str
    file: str
    licence: str
    parameters: str
    fit: str


@dataclass(frozen=True)
class Found:
    """A file at a hub."""

    url: str
    sha256: str
    size: int
    """Bytes; 0 where the hub does not say."""
    said_by: str
    """Where the hash comes from."""
    commit: str = ""


def known_models() -> dict[str, Known]:
    """The list by name."""
    raw = yaml.safe_load(files("setpoint.llm").joinpath("known.yaml").read_text(encoding="utf-8"))
    return {name: Known(name, **entry) for name, entry in raw["models"].items()}


def pull(
    name: str,
    registry: Registry,
    *,
    hub: str,
    sha256: str = "",
    tell: Tell = lambda *_: None,
    wait_s: float = _WAIT_S,
) -> dict[str, Any]:
    """Have the model in the registry's folder, and what is known of it. Raises UsageError, BackendError."""
    model = _known(name)
    if sha256 and not _SHA256.fullmatch(sha256):
        raise UsageError("--sha256 takes 64 hexadecimal digits in small letters", where=sha256)
    pin = pins(registry).get(name, {})
    wanted = sha256 or str(pin.get("sha256", ""))
    if name in registry.names():
        return _already(name, registry, wanted)
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=True) as client:
        found = find(client, hub, model, wanted)
        _agree(found, wanted, name, pin, by_hand=bool(sha256))
        part = registry.folder / ".pulling" / f"{found.sha256[:16]}.part"
        _fetch(client, found, part, name, tell, wait_s)
    _check(part, found)
    card = {
        "made": f"pulled from {model.repository}", "repository": model.repository, "file": model.file, "licence": model.licence,
        "hub": hub, "commit": found.commit, "sha256": found.sha256, "hash_said_by": found.said_by,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    path = registry.add(name, part, card, move=True)
    _pin(registry, name, card)
    return {"name": name, "path": str(path), "fetched": True, **card}


def pins(registry: Registry) -> dict[str, dict[str, Any]]:
    """Name to what was pulled first."""
    path = registry.folder / PINS_FILE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BackendError(
            "the pinned hashes cannot be read", where=str(path), remedy="Restore that file"
        ) from error
    return found if isinstance(found, dict) else {}


# ---- where it lies and what its hash is ----------------------------------------------------------------------------------


def find(client: httpx.Client, hub: str, model: Known, wanted: str = "") -> Found:
    """The file's address, hash and size. `wanted`: a hash that is trusted whatever the hub says. Raises BackendError."""
    hub = hub.rstrip("/")
    _usable(hub, wanted)
    path = f"{quote(model.repository)}/resolve/main/{quote(model.file)}"
    try:
        head = client.head(f"{hub}/{path}", follow_redirects=False)
        if head.status_code == 404:
            return _flat(client, hub, model, wanted)
        if head.status_code >= 400:
            raise _refused(head)
        linked = head.headers.get("x-linked-etag", "").strip('"').removeprefix("sha256:").lower()
        size = int(
            head.headers.get("x-linked-size")
            or (0 if head.is_redirect else head.headers.get("content-length") or 0)
        )
        commit = head.headers.get("x-repo-commit", "")
        if _SHA256.fullmatch(linked):
            return Found(f"{hub}/{path}", linked, size, "the hub's header X-Linked-ETag", commit)
        if pointer := _pointer(client, f"{hub}/{quote(model.repository)}/raw/main/{quote(model.file)}"):
            return Found(f"{hub}/{path}", pointer[0], pointer[1], "the hub's LFS pointer", commit)
        beside = f"{hub}/{quote(model.repository)}/resolve/main"
        listed = _listed(client, beside, model) or _listed(client, hub, model)
    except (httpx.HTTPError, ValueError) as error:
        raise _unreachable(hub, error) from error
    if listed:
        return Found(f"{hub}/{path}", listed, size, "the mirror's SHA256SUMS", commit)
    return _unsaid(f"{hub}/{path}", wanted, size, hub)


def _flat(client: httpx.Client, hub: str, model: Known, wanted: str) -> Found:
    """A mirror that serves its files beside each other."""
    head = client.head(f"{hub}/{quote(model.file)}")
    if head.status_code == 404:
        raise BackendError(
            f"there is no {model.file} of {model.repository}", where=hub, remedy="Name another --hub, or put the file on the mirror"
        )  # fmt: skip
    if head.status_code >= 400:
        raise _refused(head)
    size = int(head.headers.get("content-length") or 0)
    if listed := _listed(client, hub, model):
        return Found(f"{hub}/{quote(model.file)}", listed, size, "the mirror's SHA256SUMS")
    return _unsaid(f"{hub}/{quote(model.file)}", wanted, size, hub)


def _unsaid(url: str, wanted: str, size: int, hub: str) -> Found:
    if wanted:
        return Found(url, wanted, size, "whoever asked for it")
    raise BackendError(
        "it does not say the file's hash, so nobody could tell what was fetched",
        where=hub,
        remedy="Give --sha256, or put a SHA256SUMS on the mirror",
    )


def _usable(hub: str, wanted: str) -> None:
    parts = urlsplit(hub)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(
            f"{hub!r} is no address of a hub", remedy="Example: --hub https://mirror.example.net/models"
        )
    if parts.scheme == "http" and not wanted and not _loopback(parts.hostname):
        raise UsageError(
            "over plain http anybody on the way could change file and hash",
            where=hub,
            remedy="Use https, or give --sha256 from a source you trust",
        )


def _loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _pointer(client: httpx.Client, url: str) -> tuple[str, int] | None:
    """Hash and size of an LFS pointer."""
    found = _POINTER.match(_text(client, url))
    return (found["sha"], int(found["size"])) if found else None


def _listed(client: httpx.Client, folder: str, model: Known) -> str:
    """The file's hash in a SHA256SUMS of that folder, by its name or its path."""
    for line in _text(client, f"{folder}/SHA256SUMS").splitlines():
        sha, _, name = line.strip().partition(" ")
        name = name.strip().lstrip("*").removeprefix("./")
        if name in (model.file, f"{model.repository}/{model.file}") and _SHA256.fullmatch(sha.lower()):
            return sha.lower()
    return ""


def _text(client: httpx.Client, url: str) -> str:
    """A small text; nothing where there is none or it is no small text."""
    with client.stream("GET", url) as reply:
        if reply.status_code != 200:
            return ""
        raw = b""
        for piece in reply.iter_bytes():
            raw += piece
            if len(raw) > _MOST_TEXT:
                return ""
    return raw.decode("utf-8", "replace")


def _agree(found: Found, wanted: str, name: str, pin: Mapping[str, Any], *, by_hand: bool) -> None:
    """What the hub has must be what is wanted."""
    if not wanted or found.sha256 == wanted:
        return
    if by_hand:
        raise BackendError(
            f"the hub has another file: its hash is {found.sha256}, by {found.said_by}", where=found.url, remedy="Look into it before you take that one"
        )  # fmt: skip
    raise BackendError(
        f"{name} is pinned to {wanted[:16]}... since {pin.get('time', 'its first pull')}, and the hub has {found.sha256[:16]}... now",
        where=found.url,
        remedy=f"Where that is right: --sha256 {found.sha256}",
    )


# ---- the file -----------------------------------------------------------------------------------------------------------


def _fetch(client: httpx.Client, found: Found, part: Path, name: str, tell: Tell, wait_s: float) -> None:
    """The whole file at `part`, taken up again as often as ATTEMPTS allows. Raises BackendError."""
    part.parent.mkdir(parents=True, exist_ok=True)
    problem = ""
    for attempt in range(ATTEMPTS):
        time.sleep(wait_s * attempt)
        try:
            if _take(client, found, part, name, tell):
                return
            problem = "the connection ended early"
        except httpx.HTTPError as error:
            problem = str(error) or type(error).__name__
    there = part.stat().st_size if part.exists() else 0
    of = f" of {found.size / 1e6:,.0f}" if found.size else ""
    raise BackendError(
        f"cut off at {there / 1e6:,.0f}{of} MB: {problem}", where=found.url, remedy="Run it again: what is there is kept"
    )  # fmt: skip


def _take(client: httpx.Client, found: Found, part: Path, name: str, tell: Tell) -> bool:
    """One request for what is missing. Whether the file has its size now; where none is known, whether it came to an end."""
    there = part.stat().st_size if part.exists() else 0
    if found.size and there >= found.size:
        return True
    _room(part, found.size - there)
    headers = {"accept-encoding": "identity"} | ({"range": f"bytes={there}-"} if there else {})
    with client.stream("GET", found.url, headers=headers) as reply:
        if reply.status_code == 416:  # there is more here than there: it cannot be the same file
            part.unlink()
            return False
        if reply.status_code >= 500:  # it may be back in a moment
            reply.raise_for_status()
        if reply.status_code >= 400:
            raise _refused(reply)
        goes_on = reply.status_code == 206 and reply.headers.get("content-range", "").startswith(
            f"bytes {there}-"
        )
        if not goes_on:
            there = 0
        length = int(reply.headers.get("content-length") or 0)
        total = found.size or (there + length if length else 0)
        with part.open("ab" if goes_on else "wb") as file:
            for piece in reply.iter_bytes(_CHUNK):
                file.write(piece)
                there += len(piece)
                tell(name, there // 1_000_000, max(total // 1_000_000, 1))
            file.flush()
            os.fsync(file.fileno())
    return there == total if total else True


def _room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed + _SPARE_BYTES > free:
        raise BackendError(
            f"{needed / 1e6:,.0f} MB are to come, and only {free / 1e6:,.0f} MB are free",
            where=str(part.parent),
            remedy="Free some space, or set models.dir to another disk",
        )


def _check(part: Path, found: Found) -> None:
    """The hash decides; what is not the file is thrown away."""
    digest = new_sha256()
    for piece in _pieces(part):
        digest.update(piece)
    if digest.hexdigest() != found.sha256:
        part.unlink()
        raise BackendError(
            f"what came has the hash {digest.hexdigest()[:16]}..., not {found.sha256[:16]}... as {found.said_by} says; it is deleted",
            where=found.url,
            remedy="Try again, or another --hub; twice wrong is a reason to ask who runs it",
        )


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            yield piece


# ---- helpers ------------------------------------------------------------------------------------------------------------


def _known(name: str) -> Known:
    models = known_models()
    if name not in models:
        raise UsageError(
            f"no known model {name!r}",
            remedy=f"One of: {', '.join(models)}; any other GGUF file: `setpoint model use`",
        )
    return models[name]


def _already(name: str, registry: Registry, wanted: str) -> dict[str, Any]:
    entry = registry.entry(name)
    if wanted and entry.sha256 != wanted:
        raise BackendError(
            f"the file there has the hash {entry.sha256[:16]}..., not {wanted[:16]}...",
            where=str(entry.path),
            remedy=f"Remove {entry.path.parent} and pull again",
        )
    return {"name": name, "path": str(entry.path), "fetched": False, **entry.card}


def _pin(registry: Registry, name: str, card: Mapping[str, Any]) -> None:
    kept = pins(registry) | {
        name: {key: card[key] for key in ("sha256", "repository", "file", "hub", "commit", "time")}
    }
    draft = registry.folder / f".{PINS_FILE}.{os.getpid()}"
    draft.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, registry.folder / PINS_FILE)


def _refused(reply: httpx.Response) -> BackendError:
    remedy = {401: "The hub wants an account: fetch it by hand and give --hub of a mirror", 403: "It may have terms to accept: fetch it by hand",
              429: "Too many requests: wait a little"}.get(reply.status_code, "Try again later")  # fmt: skip
    return BackendError(
        f"the hub answers {reply.status_code}",
        where=str(reply.request.url.copy_with(query=None)),
        remedy=remedy,
    )


def _unreachable(hub: str, error: Exception) -> BackendError:
    return BackendError(
        f"the hub cannot be reached: {error}", where=hub, remedy="Name a mirror with --hub or models.hub, or check the proxy (HTTPS_PROXY)"
    )  # fmt: skip
