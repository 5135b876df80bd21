"""Units as sites write them, in one spelling; foreign units are converted and the reading as given is kept."""

from __future__ import annotations

from typing import NamedTuple


class Unit(NamedTuple):
    """`name` is Setpoint's spelling; a reading becomes `reading * factor + offset` in it."""

    name: str
    factor: float = 1.0
    offset: float = 0.0


# One row: Setpoint's spelling, then the other spellings met. Upper and lower case matter only where noted below.
_SPELLINGS = """
C        °c degc deg_c celsius cel degree_celsius degrees_celsius degreesc ℃
W        watt watts
kW       kilowatt kilowatts
MW       megawatt megawatts
mW       milliwatt milliwatts
VA       voltampere
kVA
Wh       watthour watthours
kWh      kw.h kw*h
MWh
J        joule joules
lpm      l/min l/m liter/min litre/min liters/min litres/min liters_per_minute liter_per_minute
kPa      kilopascal
Pa       pascal
MPa
bar      bars barg
mbar     hpa
%        percent pct percentage
%RH      rh %rh rel.hum relative_humidity
ratio    fraction
rpm      {rev}/min rev/min r/min
V        volt volts
mV       millivolt
kV       kilovolt
A        amp amps ampere amperes
mA       milliamp
kA
Hz       hertz
kHz
MHz
GHz
s        sec secs second seconds
ms       millisecond milliseconds msec
us       µs μs microsecond microseconds usec
ns       nanosecond nanoseconds
min      minute minutes mins
h        hour hours hr hrs
d        day days
B        byte bytes
KB       kilobyte
MB       megabyte megabytes mbyte
GB       gigabyte gigabytes gbyte
TB       terabyte
PB
KiB      kibibyte
MiB      mebibyte
GiB      gibibyte
TiB      tebibyte
B/s      bytes/s bytes/sec byte/s
KB/s
MB/s
GB/s     gbyte/s
TB/s
kbps     kbit/s kb/s.bit
Mbps     mbit/s
Gbps     gbit/s
tok/s    tokens/s token/s tps
req/s    requests/s rps qps
iops
count    counts {count} errors events items 1
1/s      /s events/s errors/s hz.event
dB
dBm
m        meter metre meters
mm       millimeter millimetre
m/s
mm/s
g        gal
ppm
pH
uS/cm    µs/cm μs/cm
NTU
kg
L        liter litre liters litres l
lux
deg      degree degrees °
"""
_CONVERTED = {
    "f": Unit("C", 5 / 9, -160 / 9), "°f": Unit("C", 5 / 9, -160 / 9), "degf": Unit("C", 5 / 9, -160 / 9),
    "fahrenheit": Unit("C", 5 / 9, -160 / 9), "k": Unit("C", 1.0, -273.15), "kelvin": Unit("C", 1.0, -273.15),
    "gpm": Unit("lpm", 3.785411784), "gal/min": Unit("lpm", 3.785411784), "l/s": Unit("lpm", 60.0),
    "l/h": Unit("lpm", 1 / 60), "lph": Unit("lpm", 1 / 60), "ml/min": Unit("lpm", 0.001),
    "m3/h": Unit("lpm", 1000 / 60), "m³/h": Unit("lpm", 1000 / 60), "cmh": Unit("lpm", 1000 / 60),
    "psi": Unit("kPa", 6.894757), "psig": Unit("kPa", 6.894757), "inhg": Unit("kPa", 3.386389),
    "hp": Unit("kW", 0.745700), "btu/h": Unit("W", 0.293071), "ton_refrigeration": Unit("kW", 3.516853),
}  # fmt: skip
_SUFFIXES = {
    "celsius": "C", "lpm": "lpm", "kpa": "kPa", "bar": "bar", "watts": "W", "kw": "kW", "percent": "%", "pct": "%",
    "rpm": "rpm", "volts": "V", "amps": "A", "amperes": "A", "seconds": "s", "ms": "ms", "bytes": "B", "gb": "GB",
    "mhz": "MHz", "ratio": "ratio", "kwh": "kWh", "hz": "Hz",
}  # fmt: skip
"""Last word of a metric's name that states its unit, as Prometheus and this product name metrics."""


def _table() -> tuple[dict[str, Unit], dict[str, Unit]]:
    """Exact spellings, and spellings without regard to case (first row wins: `mw` is the megawatt nobody means)."""
    exact: dict[str, Unit] = {}
    loose: dict[str, Unit] = dict(_CONVERTED)
    for row in _SPELLINGS.split("\n"):
        name, *others = row.split() or [""]
        if name:
            exact[name] = Unit(name)
            for spelling in (name, *others):
                loose.setdefault(spelling.lower(), Unit(name))
    for ambiguous in ("mw", "mpa"):
        loose.pop(ambiguous)
    return exact, loose


_EXACT, _LOOSE = _table()


def unit_of(given: str) -> Unit | None:
    """The unit `given` names, None where it is not known.

    >>> unit_of("L/min"), unit_of("kw"), unit_of("mW").name, unit_of("furlong")
    (Unit(name='lpm', factor=1.0, offset=0.0), Unit(name='kW', factor=1.0, offset=0.0), 'mW', None)
    """
    text = given.strip()
    return (
        _EXACT.get(text)
        or _LOOSE.get("_".join(text.lower().split()))
        or _LOOSE.get(text.lower().replace(" ", ""))
    )


def unit_in_name(metric: str) -> str | None:
    """The unit a metric's name ends with: `coolant_flow_lpm` is lpm. Single letters count only with their quantity.

    >>> unit_in_name("coolant_flow_lpm"), unit_in_name("supply_temp_c"), unit_in_name("feed_a"), unit_in_name("")
    ('lpm', 'C', None, None)
    """
    head, _, last = metric.lower().rpartition("_")
    if last == "total":
        head, _, last = head.rpartition("_")
    if not head:
        return None
    if last == "c" and "temp" in head:
        return "C"
    if last == "w" and "power" in head:
        return "W"
    return _SUFFIXES.get(last)


def convert(reading: float, unit: Unit) -> float:
    """`reading` in the spelling and scale of `unit.name`; ten significant digits, so that 90 F is 32.22222222 C."""
    if unit.factor == 1.0 and unit.offset == 0.0:
        return reading
    return float(f"{reading * unit.factor + unit.offset:.10g}")
