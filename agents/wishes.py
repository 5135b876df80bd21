"""Whether somebody wants something done, in whatever words, or only asks. The chat reads and explains; it never acts."""

from __future__ import annotations

import re

_VERBS = (
    "abort|accept|ack|acknowledge|activate|apply|approve|authori[sz]e|bleed|bounce|bypass|cancel|cap|close|confirm|cordon|"
    "cut|deactivate|decline|decrease|delete|deploy|disable|disconnect|discharge|drain|empty|enable|engage|erase|"
    "evacuate|execute|flash|flush|force|grant|halt|increase|initiate|install|isolate|kill|limit|lock|lower|mark|migrate|"
    "move|mute|open|override|patch|pause|power(?:[- ]cycle)?|purge|raise|re-?boot|re-?open|re-?route|re-?start|reduce|reject|relocate|"
    "remove|reset|resolve|resume|revert|roll\\s?back|set|shed|shut|sign|silence|snooze|start|stop|switch|take over|throttle|"
    "trigger|turn|uncap|uncordon|undrain|unlock|update|upgrade|vent|waive|wipe"
)
_LOOSE = "bring|drop|dial|do|get|go|make|pull|push|put|reseat|run|send|swap|take|crank|bump|knock|rip|unplug|kick|cool|slow|speed|spin"
"""They act only on something: an asset, or what was spoken of."""
_LEAD = re.compile(
    r"^(?:please|pl[sz]|plz|kindly|now|just|quick(?:ly)?|ok(?:ay)?|fine|right|hey|hi|hello|yes|yeah|yep|sure|well|then|so|and|also|but|"
    r"go on|go ahead|come on|can|could|would|will|shall|you|u|we|may|should|must|not|asking|be (?:so )?(?:good|kind|a dear)|"
    r"(?:so )?(?:good|kind)(?: enough)?|as to|to|(?:tell|ask|instruct|have|make) (?:the |your )?\w+ to|i (?:want|need|ask|order|tell|command|authori[sz]e|would like)|"
    r"i'?d like|do me a favou?r|let'?s|lets|let us|someone|immediately|asap|urgent(?:ly)?|at once|directly|mind|"
    r"for me|for god'?s sake|time|by the way|as (?:well|agreed|discussed)|already|simply|really|manually|remotely|don'?t wait|go)\b[\s,:-]*",
    re.IGNORECASE,
)
_ACTS = re.compile(
    rf"^(?:{_VERBS})\b(?!\s*(?:(?:of|since|history|count|log|status|procedure|steps?|runbook|me|us)\b|\?))",
    re.IGNORECASE,
)
_NOUN_USE = re.compile(
    r"^(?:open\s+(?:p\d\s+)?(?:incident|ticket|alert|alarm|review|issue|case|problem|item|action|decision|stuff|work)|"
    r"set\s?points?\b|power\s+(?:draw|use|usage|budget|headroom|now|state|of|on [\w-]+\?)|(?:lower|cap|drain|restart|reboot|reset|start|stop|"
    r"update|move|limit|pause|lock)\s+(?:of|on|for|in|since|last|today|tonight|yesterday|state)\b|start(?:ing)? (?:with|from|of)\b|"
    r"sign(?:s|ed)?\s+of\b|close\s+(?:to|call)\b|cut\s+to\b|limit\s*\?|power\s*\??$)",
    re.IGNORECASE,
)
_LOOSELY = re.compile(rf"^(?:{_LOOSE})\b", re.IGNORECASE)
_TO_GEAR = re.compile(
    r"^(?:bring|bump|crank|dial|knock|push|put|reseat|rip|swap|kick|let)\s+(?:(?:the|my|our)\s+\w+|[a-z-]*-?\d+)",
    re.IGNORECASE,
)
_OBJECT = re.compile(
    r"\b(?:it|them|that|this|the (?:pump|valve|switchover|change|action|fix|drain|node|rack|water|supply|clock|standby)\w*|"
    r"(?:out of|into|in|back in) (?:service|standby|maintenance|rotation)|off\s?line|on\s?line|down|off)\b",
    re.IGNORECASE,
)
_LOOK = re.compile(
    r"\b(?:a look|me through|us through|up to date|up to speed|the numbers|a summary|a guess|in words|sure|sense|"
    r"(?:that|it)\s+\d+|me|us|information|an overview)\b",
    re.IGNORECASE,
)
_ASKING = re.compile(
    r"^(?:(?:and|so|but|ok(?:ay)?|then|well|quick(?:ly)?|please|hey|hi|fine|hmm|say|sorry|right|also|no|oh|tell me|say|remind me|i wonder|i was wondering|"
    r"(?:can|could|would) you (?:please |kindly )?(?:tell|say|explain|show|work out|check|list|remind|look))\b[\s,:.-]*)*"
    r"(?:what|whats|how|hows|who|whos|when|why|which|where|whose|is|isn'?t|are|aren'?t|was|were|did|didn'?t|does|doesn'?t|do (?:i|we|they|you)|"
    r"should (?:i|we)|shall (?:i|we)|may (?:i|we)|can (?:i|we)|could (?:i|we)|has|have|had|if|suppose|supposing|assum\w+|imagine|whether|any|anything|"
    r"anyone|anybody|in case|when)\b",
    re.IGNORECASE,
)
_ORDER_AFTER_IF = re.compile(
    r"^\s*(?:if|when|once|in case)\b[^?]*?(?:,|\bthen\b)\s*(?P<rest>[^?]*)$", re.IGNORECASE
)
_WISHED = re.compile(
    r"\b(?:(?:would|'d) (?:be|feel) (?:so |really |very )?(?:great|good|nice|lovely|better|best|helpful|ideal|wonderful|safer|wise|grateful|happy)\b.*\b(?:if|to|were|was)|"
    r"(?:would|'d) (?:appreciate|love|prefer|rather|like)\b.*\b(?:if|to (?:be|have|run|go)|were|was|off|down|up|at \d)|i wish\b|"
    r"(?:ought|needs?|has|have|got) to (?:\w+ )?(?:be|go|come|run|get|stop|start|move)\b|"
    r"(?:should|must) (?:now |really |please |just )*(?:be (?:now )?(?:off|on|down|up|in standby|out|at \d|set|shut|closed|opened|drained|stopped|started|"
    r"restarted|rebooted|reset|capped|raised|lowered|isolated|cordoned|moved|paused|approved|rejected|released|powered|turned)|take over|go (?:off|down|to)|run at|switch|stop|start)|"
    r"(?:feel|be|sleep|rest) (?:\w+ )?(?:better|easier|happier|safer) with\b.*\b(?:running|off|on|down|drained|capped|closed|stopped|standby)|"
    r"\bneeds? (?:a |an )(?:quick |proper |hard |full )?(?:reset|re-?boot|re-?start|drain|power[- ]cycle|kick|flush|bleed)|"
    r"i (?:want|need|expect)\b[^?]*\b(?:off|down|up|drained|stopped|restarted|rebooted|reset|capped|raised|lowered|isolated|approved|closed|opened|at \d))",
    re.IGNORECASE,
)
_TO_KNOW = re.compile(
    r"\b(?:know|see|hear|told|tell|show|list|understand|explain|summary|overview|status|look|read|find out|learn)\b",
    re.IGNORECASE,
)
_COMMAND = re.compile(
    r"(?:^|[`;|&$#]\s*)(?:sudo\b|scontrol\s+\w|kubectl\s+\w|nvidia-smi\b|ipmitool\b|systemctl\s+\w|redfishtool\b|curl\b|shutdown\b|reboot\b|rm\s+-|"
    r"setpoint\s+(?:review|act|autonomy)\b|(?:set|cap|lock|drain|cordon|reset|pause|migrate|switch|start|stop|close|shed|open|page|restart)_[a-z_]+\b)|\bstate=(?:drain|down|resume|idle)\b",
    re.IGNORECASE,
)
_CONSENT = re.compile(
    r"\b(?:consider|regard|treat|count|take)\b[^.?!]*\b(?:approved|as read|done|signed|a yes|agreed)\b|"
    r"\byou have (?:my|our|his|her|their) (?:ok(?:ay)?|approval|permission|consent|blessing|yes|go)\b|"
    r"\b(?:i|we) (?:hereby |do )?(?:approve|authori[sz]e|confirm|sign off|agree to)\b|\bdo it\b|\bgo for it\b|\bmake it (?:so|happen)\b|\bapproved[.!]*\s*$|"
    r"\byes to (?:the|it|that|this)\b|\bapprover here\b|"
    r"^\s*(?:yes|yep|ok|okay|go|sure)[,.! ]+(?:go ahead|do (?:it|that)|proceed|carry on|apply)\b|\bgo ahead\b(?!\s+and\s+(?:tell|show|explain|list))|\bproceed\b",
    re.IGNORECASE,
)
_POLITE_PASSIVE = re.compile(
    r"^(?:please |and |so )*(?:could|would|might)\b.*\bbe (?:\w+ ){0,2}?(?:put|set|raised|lowered|turned|switched|drained|stopped|started|restarted|rebooted|reset|closed|"
    r"opened|capped|moved|approved|isolated|shut|paused|brought|increased|reduced)\b(?!.*\b(?:safe\w*|without|risk\w*|what|possible)\b)|"
    r"^why (?:don'?t|not|won'?t|can'?t) (?:(?:you|we) )?(?:just |simply )?(?P<rest>.*)$",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+|\s+-{1,2}\s+")
_CLAUSE = re.compile(r"[,:]\s*|\s+(?:and|so|then|but)\s+", re.IGNORECASE)


def wants_act(question: str) -> bool:
    """Whether any sentence of it wants something done, approved or set. Asking what an act would do, how it is done or who
    did it is no wish."""
    return any(_wants(sentence.strip()) for sentence in _SENTENCE.split(question) if sentence.strip())


def _wants(sentence: str) -> bool:
    if _COMMAND.search(sentence):
        return True
    if (polite := _POLITE_PASSIVE.match(sentence)) and (polite["rest"] is None or _orders(polite["rest"])):
        return True
    if _ASKING.search(sentence):
        after = _ORDER_AFTER_IF.match(sentence)
        return after is not None and any(map(_orders, _CLAUSE.split(after["rest"])))
    if _CONSENT.search(sentence) or any(map(_orders, _CLAUSE.split(sentence))):
        return True
    return bool(_WISHED.search(sentence)) and not _TO_KNOW.search(sentence)


def _orders(clause: str) -> bool:
    """Whether the clause, without what people put before it, begins with a verb that acts."""
    rest = clause.strip(" '\"`(")
    while True:
        if _NOUN_USE.search(rest):
            return False
        if _ACTS.search(rest):
            return True
        if (_TO_GEAR.search(rest) or (_LOOSELY.search(rest) and _OBJECT.search(rest))) and not _LOOK.search(
            rest
        ):
            return True
        shorter = _LEAD.sub("", rest, count=1)
        if shorter == rest:
            return False
        rest = shorter
