"""Word lists of the verifier. A word here may still be used where the given phrases use it."""

from __future__ import annotations

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NUMBER_WORDS = _words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred hundreds thousand thousands "
    "million millions billion dozen dozens half halves third thirds quarter quarters fourth fifth sixth seventh "
    "eighth ninth tenth second once twice thrice double doubled doubling triple tripled couple pair pairs both single "
    "tens score"
)
UNIT_WORDS = _words(
    "percent percentage degree degrees celsius fahrenheit kelvin watt watts kilowatt kilowatts megawatt megawatts "
    "kilowatthours volt volts amp amps ampere amperes hertz megahertz gigahertz rpm lpm bar bars psi pascal pascals "
    "liter liters litre litres millisecond milliseconds microseconds seconds minute minutes hour hours day days week "
    "weeks month months byte bytes kilobytes megabyte megabytes gigabyte gigabytes terabytes tokens ppm decibel"
)
UNIT_SYMBOLS = _words(
    "W kW MW GW Wh kWh MWh V kV mV A mA kA C F K Hz kHz MHz GHz ms us ns s min h d B KB MB GB TB PB KiB MiB GiB TiB "
    "Gbps Mbps Gb rpm RPM lpm LPM bar mbar psi kPa Pa ppm dB dBm VA kVA pct % Ohm J kJ kg m mm cm "
    "l/min L/min tok/s req/s MB/s GB/s"
)
"""As they stand after a number, case matters."""

THINGS = _words(
    "pump chiller valve coolant water leak flow pressure temperature fan crah crac cdu tower loop strainer manifold "
    "rack row hall building room door cage aisle feed power utility mains grid generator ups battery pdu breaker "
    "busbar transformer ats ess inverter voltage current gpu cpu accelerator host node server machine blade chassis "
    "nvlink nvswitch pcie bus switch fabric link port optic transceiver cable network nic infiniband ethernet storage "
    "disk drive filesystem volume memory dimm hbm ecc firmware driver kernel bios bmc epo outlet job training "
    "inference model cache queue batch scheduler request service tenant customer vip database cluster controller "
    "sensor exporter certificate password login account credential secret key token intrusion intruder attacker "
    "fire smoke flame gas alarm suppression humidity condensation earthquake flood explosion people person staff "
    "injury evacuation approval ticket change maintenance"
)
"""Naming one of these that was not given is an invented fact. Stems, see `stem`."""

ACTION_VERBS = _words(
    "restart reboot reset stop start shut drain cordon uncordon evacuate isolate disable enable delete remove erase "
    "wipe flash update upgrade downgrade install rollback migrate pause resume kill cap lower raise increase reduce "
    "close open approve authorise authorize execute run apply disconnect unplug replace repair swap silence mute "
    "ignore suppress acknowledge skip bypass override unlock grant export send upload download transfer fetch call "
    "dispatch turn switch set charge discharge shed move cancel terminate format mark trust forward"
)
"""An instruction or deed that was not given. Stems."""

IDIOMS = ("start here", "remain open", "remains open", "at once", "act now")
"""Fixed phrases whose words mean nothing by themselves."""

ENDED = re.compile(
    r"\b(resolved|recovered|recovering|cleared|restored|healthy|mitigated|contained|stabili[sz]ed|all clear|under control"
    r"|false alarm|false positive|back to normal|is normal|are normal|within (its |the )?limits?|as expected|harmless"
    r"|no longer|nothing (is )?wrong|no fault|no action|no risk|no danger|no impact|safe to ignore|can be ignored"
    r"|over now|has ended|fixed|repaired)\b",
    re.IGNORECASE,
)
FIRING = re.compile(r"\b(still (firing|failing|down|active)|ongoing|getting worse|act now)\b", re.IGNORECASE)
HARMLESS = re.compile(
    r"\b(not urgent|low priority|can wait|no hurry|no rush|minor|informational|routine|cosmetic|later)\b",
    re.IGNORECASE,
)
URGENT = re.compile(r"\b(act now|urgent|immediately|critical|emergency|evacuate|at once)\b", re.IGNORECASE)
WAIT = re.compile(r"\b(before acting|keep watching|watch(ing)?|gather|until|hold)\b", re.IGNORECASE)
NEGATION = re.compile(r"\b(not|no|never|none|neither|nor|without|cannot|nothing)\b|n't\b", re.IGNORECASE)
NO_FAULT = re.compile(r"\b(no fault|nothing (is )?wrong|healthy|no cause|false alarm)\b", re.IGNORECASE)
CAUSE_CLAIM = re.compile(
    r"\b(cause is clear|caused by|due to|because of|root cause is|most likely|likely cause|points? to this|cause:)",
    re.IGNORECASE,
)
CAUSE_WORD = re.compile(r"\b(causes?|caused|due to|because of|points? to|culprit|origin)\b", re.IGNORECASE)
CERTAIN = re.compile(
    r"\b(cause is clear|clearly|(?<!not )(?<!not yet )(certain|certainly|confirmed|proven|sure)|definite(ly)?|surely|no doubt)\b",
    re.IGNORECASE,
)
LIKELY = re.compile(
    r"\b(likely|probabl[ey]|possib(le|ly)|suspect(s|ed)?|may|might|could|perhaps|seems?|appears?|others? remains? open"
    r"|remain open|not (yet )?(certain|confirmed|sure|proven)|candidate)\b",
    re.IGNORECASE,
)
POSSIBLE = re.compile(
    r"\b(possib(le|ly)|suspect(s|ed)?|may|might|could|perhaps|others? remains? open|remain open|still open|is open"
    r"|not (yet )?(certain|confirmed|sure|proven)|candidate)\b",
    re.IGNORECASE,
)
MOST_LIKELY = re.compile(r"\b(most likely|very likely|probabl[ey])\b", re.IGNORECASE)
ABSENT = re.compile(r"\b(missing|absent|expected|not seen|not found|is not there)\b", re.IGNORECASE)
SUPPORTS = re.compile(
    r"\b(supports?|confirms?|which fits|fits this|speaks? for|proves?|consistent with)\b", re.IGNORECASE
)
CONTRADICTS = re.compile(
    r"\b(contradicts?|against(?! ((a|the|its) )?limit)(?! \ue000)|does not fit|weakens?|rules? out|disproves?|inconsistent)\b",
    re.IGNORECASE,
)
DEED = re.compile(
    r"\b(i|i'm|i've|we|we've|my|our|us|me|you|your|assistant|operator|the (agent|system|model)"
    r"|setpoint (?=(has|have|will|did|does|can|could|recommends|suggests|acted|moved|started|stopped|set)\b))\b"
    r"|\b(has|have|had|was|were|been|being|already|automatically|pre-?)[ -]"
    r"(approved|authori[sz]ed|restarted|rebooted|drained|cordoned|migrated|replaced|executed|applied|acknowledged"
    r"|escalated|isolated|closed|opened|paused|capped|notified|informed|confirmed|disabled|enabled|reset|shut)\b"
    r"|\bapproved\b|\b(said|says?|gave|given|has|have|got) (a |an |the |his |her |their )?(yes|ok|okay|consent|permission|nod|go[- ]ahead)\b"
    r"|\b(consent(s|ed)?|permission|go[- ]ahead|green light|sign(ed|s)?[- ]off|agreed|objects?|objection|waived?|authority)\b"
    r"|\b(shift|duty|site|team|night) (lead|leader|manager|engineer|director|officer)\b",
    re.IGNORECASE,
)
COMMAND = re.compile(
    r"https?:|ftp:|www\.|://|[`$|<>\\=@#&*{}]|\[|\]"
    r"|\b(sudo|ssh|scp|kubectl|systemctl|scontrol|ipmitool|curl|wget|bash|powershell|chmod|nvidia-smi|iptables)\b"
    r"|\brm -|\b\w+\.(sh|py|exe|bin|com|net|org|io|example)\b",
    re.IGNORECASE,
)
FIELD_TERMS = _words(
    "AI GPU GPUs CPU CPUs NVLink NVSwitch PCIe PCI XID SXid ECC HBM DIMM DRAM EDAC MCE GSP NCCL CUDA InfiniBand IB "
    "NIC RoCE NVMe SSD HDD RAID BMC IPMI BIOS UEFI Redfish SNMP PSU PDU UPS ESS ATS EPO PUE CDU CRAH CRAC HVAC SLO "
    "SLA TTFT TPOT KV LLM RCA VIP SoC OK P0 P1 P2 P3 UTC DNS NTP PTP TLS HTTP API OS Linux Ethernet NFS Lustre"
)
"""Words with capitals that are no names of anything on the site."""


def stem(word: str) -> str:
    """A crude common form, good enough to compare words of one text with words of another.

    >>> [stem(word) for word in ("closed", "Closing", "pumps", "stopped", "supplies", "bus", "GPU's")]
    ['clos', 'clos', 'pump', 'stop', 'supply', 'bus', 'gpu']
    """
    base = word.lower().removesuffix("'s").strip("'-")
    if len(base) > 4 and base.endswith("ies"):
        return base[:-3] + "y"
    for suffix in ("ing", "ed", "es", "s"):
        if len(base) - len(suffix) >= 3 and base.endswith(suffix) and not base.endswith("ss"):
            base = base[: -len(suffix)]
            break
    if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "aeiousl":
        base = base[:-1]
    return base.removesuffix("e")


def stems(words: frozenset[str]) -> frozenset[str]:
    return frozenset(stem(word) for word in words)


PLAIN_WORDS = _words(
    """
    a about above acting action advice affected affecting again against agree agrees ahead all also an and are as at
    attention be because been before begins behind below beyond but by case cause causes certain check checks clear code come
    comes coming condition confirm confirmed consequence counted counting desk detail do does due effect enough event
    events evidence expected explains fact facts far fault finding first fit fits follow following for forecast found
    from further gather guide happened has have here how however impact important in involving is it its keep kept
    known last latest likely limit look looks makes matter matters mean means meanwhile measured message missing more
    most name named names next no not note now observed of on only open or other others outlook over overview place please
    plan point points possible possibly priority probable probably reading reads reason received recommended recorded
    recovery remain remains report reported reports result same say says see seen shown shows since so source speaks
    stand stands state states status step suggests supported supports summary suspect suspected take takes tells that the then there
    therefore these this those though thus time to told together under value values view was watch watching weakens
    were what when where which while why with worth yet
    """
)
"""All that a small model may say between slots: connecting words, none of which is a fact by itself. What a person's
corrections may teach it stays inside them."""
