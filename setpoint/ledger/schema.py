"""Every table of the ledger. Migrations must lead to exactly this (a test compares them).

Times are UTC seconds. Columns named `body` hold a contract as JSON; what is searched has a column of its own.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()
_Big = BigInteger().with_variant(Integer, "sqlite")


def _time(name: str, nullable: bool = False) -> Column[float]:
    return Column(name, Double, nullable=nullable)


def _number() -> Column[int]:
    """A row number that rises and is never used again."""
    return Column("number", _Big, primary_key=True, autoincrement=True)


inbox = Table(
    "inbox",
    metadata,
    _number(),
    Column("id", String, nullable=False, unique=True),
    _time("time"),
    _time("received"),
    Column("origin", String, nullable=False),
    Column("state", String, nullable=False),
    Column("body", Text, nullable=False),
    Index("inbox_by_time", "time"),
    sqlite_autoincrement=True,
)
# Waiting events only: the index stays as small as the backlog.
Index(
    "inbox_waiting",
    inbox.c.number,
    sqlite_where=text("state = 'new'"),
    postgresql_where=text("state = 'new'"),
)

quarantine = Table(
    "quarantine",
    metadata,
    _number(),
    Column("id", String, nullable=False, unique=True),
    _time("received"),
    Column("origin", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("state", String, nullable=False),
    _time("changed"),
    Index("quarantine_by_state", "state", "number"),
    sqlite_autoincrement=True,
)

triage = Table(
    "triage",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("priority", String, nullable=False),
    Column("urgency", String, nullable=False),
    Column("impact", String, nullable=False),
    Column("complexity", String, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("condition", Text, nullable=False),
    Column("undecided", Boolean, nullable=False),
    Column("doubtful", Boolean, nullable=False),
    Column("repeat", Boolean, nullable=False),
    Column("group_key", String, nullable=False),
    Column("grouped_by", Text, nullable=False),
    Column("context", Text, nullable=False),
    Column("body", Text, nullable=False),
    _time("committed"),
    Index("triage_by_priority", "priority"),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", String, primary_key=True),
    Column("group_key", String, nullable=False),
    Column("title", Text, nullable=False),
    Column("priority", String, nullable=False),
    Column("state", String, nullable=False),
    _time("opened"),
    _time("updated"),
    Column("assets", Text, nullable=False),
    Column("event_count", Integer, nullable=False),
    Column("path", String, nullable=False),
    Column("grouped_by", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("cause", String, nullable=False),
    Column("fixed", Text, nullable=False),
    Column("merged_into", String, nullable=False),
    _time("notified", nullable=True),
    Column("escalation_level", Integer, nullable=False),
    # The whole contract; the columns above win over it.
    Column("body", Text, nullable=False),
    Index("incidents_by_state", "state", "priority", "updated"),
)

incident_events = Table(
    "incident_events",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("incident_id", String, nullable=False),
    Index("incident_events_by_incident", "incident_id"),
)

# Incidents that another one's cause explains. `apart`: a person took it out, and it stays out.
explained = Table(
    "explained",
    metadata,
    Column("incident_id", String, primary_key=True),
    Column("root_id", String, nullable=False),
    Column("cause", String, nullable=False),
    _time("since"),
    Column("who", String, nullable=False),
    Column("why", Text, nullable=False),
    Column("apart", Boolean, nullable=False),
    Index("explained_by_root", "root_id"),
)

outbox = Table(
    "outbox",
    metadata,
    _number(),
    Column("key", String, nullable=False, unique=True),
    Column("incident_id", String, nullable=False),
    Column("dedup_key", String, nullable=False),
    Column("sink", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("stage", String, nullable=False),
    Column("priority", String, nullable=False),
    Column("body", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    _time("next_try"),
    _time("queued"),
    _time("received", nullable=True),
    _time("sent", nullable=True),
    Column("error", Text, nullable=False),
    Index("outbox_by_thread", "dedup_key", "sink", "version"),
    Index("outbox_by_incident", "incident_id", "number"),
    Index("outbox_by_stage", "stage", "queued"),
    sqlite_autoincrement=True,
)
Index(
    "outbox_unsent",
    outbox.c.next_try,
    sqlite_where=text("state IN ('queued', 'failed')"),
    postgresql_where=text("state IN ('queued', 'failed')"),
)

jobs = Table(
    "jobs",
    metadata,
    _number(),
    Column("kind", String, nullable=False),
    Column("key", String, nullable=False),
    Column("thread", String, nullable=False),
    Column("payload", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("urgency", Integer, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    _time("not_before"),
    Column("worker", String, nullable=False),
    _time("lease_until", nullable=True),
    Column("error", Text, nullable=False),
    _time("queued"),
    _time("updated"),
    Index("jobs_by_state", "state", "kind", "urgency", "number"),
    Index("jobs_by_thread", "thread"),
    sqlite_autoincrement=True,
)
# At most one queued and one running job of a kind and key: this is what coalesces a storm.
for _state in ("queued", "running"):
    Index(
        f"jobs_one_{_state}",
        jobs.c.kind,
        jobs.c.key,
        unique=True,
        sqlite_where=text(f"state = '{_state}'"),
        postgresql_where=text(f"state = '{_state}'"),
    )

diagnoses = Table(
    "diagnoses",
    metadata,
    _number(),
    Column("incident_id", String, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("cause", String, nullable=False),
    Column("score", Double, nullable=False),
    Column("written_by", String, nullable=False),
    _time("recorded"),
    Column("body", Text, nullable=False),
    Index("diagnoses_by_incident", "incident_id", "number"),
    sqlite_autoincrement=True,
)

reviews = Table(
    "reviews",
    metadata,
    _number(),
    Column("id", String, nullable=False, unique=True),
    Column("kind", String, nullable=False),
    Column("incident_id", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("needed", Integer, nullable=False),
    _time("created"),
    _time("expires", nullable=True),
    _time("closed", nullable=True),
    Column("body", Text, nullable=False),
    # Catalog name of the action first asked about; NULL for reviews of other kinds.
    Column("action", String, nullable=True),
    Index("reviews_by_state", "state", "number"),
    Index("reviews_by_incident", "incident_id"),
    Index("reviews_by_action", "action", "number"),
    sqlite_autoincrement=True,
)

decisions = Table(
    "decisions",
    metadata,
    _number(),
    Column("review_id", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("who_key", String, nullable=False),
    Column("who", String, nullable=False),
    Column("type", String, nullable=False),
    Column("digest", String, nullable=False),
    _time("time"),
    # Set by the final decision only: there can be one per review, whoever comes first.
    Column("final_of", String, nullable=True, unique=True),
    UniqueConstraint("review_id", "version", "who_key", "type", name="decisions_one_per_person"),
    sqlite_autoincrement=True,
)

actions = Table(
    "actions",
    metadata,
    _number(),
    Column("key", String, nullable=False, unique=True),
    Column("incident_id", String, nullable=False),
    Column("asset", String, nullable=False),
    Column("name", String, nullable=False),
    Column("args", Text, nullable=False),
    Column("review_id", String, nullable=False),
    Column("approvers", Text, nullable=False),
    Column("token", Text, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("state", String, nullable=False),
    _time("begun"),
    _time("finished", nullable=True),
    Column("outcome", Text, nullable=False),
    Index("actions_by_incident", "incident_id"),
    Index("actions_by_asset", "asset", "begun"),
    sqlite_autoincrement=True,
)
Index(
    "actions_one_in_flight",
    actions.c.asset,
    unique=True,
    sqlite_where=text("state = 'executing'"),
    postgresql_where=text("state = 'executing'"),
)

rehearsals = Table(
    "rehearsals",
    metadata,
    # Key of the action.
    Column("key", String, primary_key=True),
    Column("action", String, nullable=False),
    Column("asset", String, nullable=False),
    Column("incident_id", String, nullable=False),
    _time("noted"),
    _time("due"),
    Column("state", String, nullable=False),
    # NULL until it was held against what came, and where nothing could be read.
    Column("came_true", Boolean, nullable=True),
    Column("body", Text, nullable=False),
    Column("compared", Text, nullable=False),
    Index("rehearsals_by_action", "action", "noted"),
)
Index(
    "rehearsals_waiting",
    rehearsals.c.due,
    sqlite_where=text("state = 'waiting'"),
    postgresql_where=text("state = 'waiting'"),
)

# Turns of the control loops. `state`: waiting, recorded or superseded.
loop_cycles = Table(
    "loop_cycles",
    metadata,
    Column("id", String, primary_key=True),
    Column("loop", String, nullable=False),
    _time("at"),
    Column("state", String, nullable=False),
    Column("body", Text, nullable=False),
    Index("loop_cycles_by_loop", "loop", "at"),
    Index("loop_cycles_by_state", "state", "at"),
)

loop_state = Table(
    "loop_state",
    metadata,
    Column("loop", String, primary_key=True),
    # Of the cycle that wrote it.
    _time("at"),
    # Blocking troubles that an event was raised for and that last: key to what was said.
    Column("troubles", Text, nullable=False),
    # What the loop has learned, as it gave it.
    Column("body", Text, nullable=False),
)

foreseen = Table(
    "foreseen",
    metadata,
    Column("cycle_id", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("due", Double, primary_key=True),
    Column("loop", String, nullable=False),
    # It was held against a reading, or given up.
    Column("seen", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    Index("foreseen_by_loop", "loop", "seen", "due"),
)

feedback = Table(
    "feedback",
    metadata,
    _number(),
    Column("id", String, nullable=False, unique=True),
    _time("time"),
    Column("subject", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("field", String, nullable=False),
    Column("who", String, nullable=False),
    Column("simulated", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    Index("feedback_by_subject", "subject"),
    sqlite_autoincrement=True,
)

harms = Table(
    "harms",
    metadata,
    # Key of the action that a person named harmful.
    Column("key", String, primary_key=True),
    Column("action", String, nullable=False),
    Column("who", String, nullable=False),
    Column("why", Text, nullable=False),
    _time("time"),
)

silences = Table(
    "silences",
    metadata,
    Column("id", String, primary_key=True),
    Column("asset", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("template", Text, nullable=False),
    _time("starts"),
    _time("until"),
    Column("who", String, nullable=False),
    Column("why", Text, nullable=False),
    _time("removed", nullable=True),
)

rule_versions = Table(
    "rule_versions",
    metadata,
    _number(),
    Column("name", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("state", String, nullable=False),
    Column("content", Text, nullable=False),
    Column("review_id", String, nullable=False),
    _time("proposed"),
    _time("decided", nullable=True),
    Column("who", String, nullable=False),
    Column("why", Text, nullable=False),
    UniqueConstraint("name", "digest", name="rule_versions_one_content"),
    sqlite_autoincrement=True,
)

audit = Table(
    "audit",
    metadata,
    # Numbered by the chain itself, without gaps.
    Column("number", _Big, primary_key=True, autoincrement=False),
    _time("time"),
    Column("who", String, nullable=False),
    Column("what", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("data", Text, nullable=False),
    Column("previous", String, nullable=False),
    Column("digest", String, nullable=False),
    Index("audit_by_subject", "subject", "number"),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", _Big, nullable=False),
    Column("digest", String, nullable=False),
)
