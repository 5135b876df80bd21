"""How much one input may ask of Setpoint. Everything beyond is cut, counted or refused, never an error of the process."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes are bytes unless the name says otherwise."""

    line: int = 256 * KIB
    """One line, or one item of a JSON document."""
    document: int = 16 * MIB
    """One JSON document that spans lines or holds many items (an Alertmanager body, a CloudEvents batch)."""
    unpacked: int = 1024 * MIB
    """What a gzip stream may unpack to."""
    raw_kept: int = 64 * KIB
    """What quarantine keeps of one item."""
    json_depth: int = 32
    json_containers: int = 250_000
    """Objects and arrays in one document: a document of empty braces costs far more memory than its bytes."""
    message_chars: int = 4000
    name_chars: int = 255
    """Asset, source, kind, id."""
    label_chars: int = 1000
    labels: int = 48
    joined_lines: int = 200
    """Lines of one kernel trace that are joined to one event."""
    identities: int = 131_072
    """Items remembered to tell repeats apart; bounds the memory of a stream."""
    unrecognised_lines: int = 1000
    """After so many lines without a single event the input is taken for something else."""


DEFAULT_LIMITS = Limits()
