"""Readings and changes as people say them: `flow 61 L/min`, `12:04`."""

from __future__ import annotations

UNITS = {
    "c": "C", "k": "K", "kw": "kW", "w": "W", "lpm": "L/min", "pct": "%", "ms": "ms", "mhz": "MHz", "rpm": "rpm",
    "kpa": "kPa", "kwh": "kWh", "v": "V", "a": "A", "s": "s", "rps": "requests/s", "mv": "mV", "dbm": "dBm",
}  # fmt: skip
_LONG = {"gpu": "GPU", "temp": "temperature", "ttft": "TTFT", "kv": "KV", "soc": "SoC", "ess": "ESS", "psu": "PSU",
         "hbm": "HBM", "nvme": "NVMe", "nics": "NICs", "ecc": "ECC", "crc": "CRC", "nvlink": "NVLink", "gpus": "GPUs",
         "pu": "", "sbe": "SBE", "dbe": "DBE", "dram": "DRAM", "ce": "CE"}  # fmt: skip


def named(metric: str) -> str:
    """A metric without its unit.

    >>> named("gpu_temp_c"), named("symbol_errors_per_min"), named("psu_ok"), named("vibration_mm_s")
    ('GPU temperature', 'symbol errors per min', 'PSU ok', 'vibration')
    """
    parts = metric.removesuffix("_mm_s").removesuffix("_us_cm").split("_")
    if len(parts) > 1 and parts[-1] in UNITS and parts[-2] != "per":
        parts.pop()
    return " ".join(word for part in parts if (word := _LONG.get(part, part)))


def unit(metric: str) -> str:
    """Symbol of the unit at the end of a metric's name; "" where it has none."""
    for ending, symbol in (("_mm_s", "mm/s"), ("_us_cm", "uS/cm")):
        if metric.endswith(ending):
            return symbol
    last = metric.rpartition("_")[2]
    return "" if "_per_" in metric else UNITS.get(last, "")


def number(value: float) -> str:
    """Three figures; what is next to nothing is 0.

    >>> number(61.234), number(1980.2), number(-0.017)
    ('61.2', '1980', '0')
    """
    if abs(value) < 0.05:
        return "0"
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def reading(metric: str, value: float) -> str:
    """
    >>> reading("flow_lpm", 61.23), reading("gpus_ok", 7.0)
    ('61.2 L/min', '7')
    """
    return f"{number(value)} {unit(metric)}".strip()


def span(seconds: float) -> str:
    """
    >>> span(45), span(600), span(7500)
    ('45 s', '10 min', '2 h 5 min')
    """
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min".replace(" 0 min", "")
