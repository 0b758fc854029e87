"""The statements of a unit of work that are the same text on every backend.

Values have names (`:name`), as SQLite's driver takes them; a backend whose driver spells them
otherwise rewrites the text once.
"""

from __future__ import annotations

# Once for each unit: the first statement, on which a worker without its lease stops.
FENCE = """
UPDATE stream_state SET unit_no = :unit_no, lease_until = :until, attempts = 0
WHERE workspace = :workspace AND connection = :connection AND stream = :stream
    AND "partition" = :partition AND lease_owner = :owner AND epoch = :epoch
    AND unit_no = :unit_no - 1
"""

# Only after FENCE found nothing: is the unit there already, or is the lease lost?
FENCED_AT = """
SELECT unit_no FROM stream_state
WHERE workspace = :workspace AND connection = :connection AND stream = :stream
    AND "partition" = :partition AND lease_owner = :owner AND epoch = :epoch
"""

# Once for each response of a unit that something came of.
INSERT_PAGE = """
INSERT INTO pages (workspace, run_no, url, status, content_type, received_at, sha256, size, body,
    asked, parts)
VALUES (:workspace, :run_no, :url, :status, :content_type, :received_at, :sha256, :size, :body,
    :asked, :parts)
RETURNING page_no
"""

# The same record seen again is the same letter: one more attempt, the latest reasons, open.
WRITE_LETTER = """
INSERT INTO dead_letters (letter_id, workspace, connection, stream, state, document_id,
    document_type, idempotency_key, source_id, contract_version, reason, message, retryable,
    errors, errors_truncated, raw, payload, as_of, run_no, page_no, page_index, attempts,
    first_seen_at, last_seen_at, gone, parent_id)
VALUES (:letter_id, :workspace, :connection, :stream, 'open', :document_id,
    :document_type, :idempotency_key, :source_id, :contract_version, :reason, :message,
    :retryable, :errors, :errors_truncated, :raw, :payload, :as_of, :run_no, :page_no,
    :page_index, 1, :now, :now, :gone, :parent_id)
ON CONFLICT (letter_id) DO UPDATE SET state = 'open', document_id = excluded.document_id,
    document_type = excluded.document_type, idempotency_key = excluded.idempotency_key,
    source_id = excluded.source_id, contract_version = excluded.contract_version,
    reason = excluded.reason, message = excluded.message, retryable = excluded.retryable,
    errors = excluded.errors, errors_truncated = excluded.errors_truncated, raw = excluded.raw,
    payload = excluded.payload, as_of = excluded.as_of, run_no = excluded.run_no,
    page_no = excluded.page_no, page_index = excluded.page_index,
    attempts = dead_letters.attempts + 1, last_seen_at = excluded.last_seen_at,
    closed_at = NULL, closed_by = NULL, gone = excluded.gone, parent_id = excluded.parent_id
"""

# A letter that names no document was made by this unit's only version, where it has but one.
CLOSE_LETTER = """
UPDATE dead_letters SET state = :state, closed_at = :now, closed_by =
    CASE WHEN :discarded THEN NULL ELSE coalesce(
        (SELECT nullif(version_no, 0) FROM documents
         WHERE documents.document_id = dead_letters.document_id), :only_version) END
WHERE letter_id = :letter_id AND state = 'open'
"""

# Once for each unit that moves the resume point; the fence has locked the row already.
WRITE_CHECKPOINT = """
UPDATE stream_state SET cursor = :cursor, enumeration = :enumeration, watermark = :watermark,
    full_at = coalesce(:full_at, full_at)
WHERE workspace = :workspace AND connection = :connection AND stream = :stream
    AND "partition" = :partition
"""

# A page of an update that is not yet complete, and the pages that are applied or given up.
HOLD_PAGE = """
INSERT INTO held_pages (workspace, connection, stream, "partition", unit_no, body)
VALUES (:workspace, :connection, :stream, :partition, :unit_no, :body)
"""
RELEASE_PAGES = """
DELETE FROM held_pages
WHERE workspace = :workspace AND connection = :connection AND stream = :stream
    AND "partition" = :partition AND unit_no <= :released
"""

# Once for each page of a stream whose deletes are proven: the number that its sightings bear.
SWEEP_NO = """
INSERT INTO sweeps (workspace, connection, stream, "partition")
VALUES (:workspace, :connection, :stream, :partition)
ON CONFLICT (workspace, connection, stream, "partition")
    DO UPDATE SET workspace = excluded.workspace
RETURNING sweep_no
"""

SEAL = """
UPDATE sweeps SET before = began, before_at = began_at, began = :began, began_at = :began_at
WHERE sweep_no = :sweep_no
"""

# Due now, unless it is sooner due anyway.
WAKE = """
INSERT INTO stream_state (workspace, connection, stream, "partition", lease_owner, lease_until,
    epoch, unit_no, state, next_run_at, full_wanted_at)
VALUES (:workspace, :connection, :stream, '', '', 0, 0, 0, 'new', :now, :full_wanted_at)
ON CONFLICT (workspace, connection, stream, "partition") DO UPDATE SET
    next_run_at = excluded.next_run_at,
    full_wanted_at = coalesce(excluded.full_wanted_at, stream_state.full_wanted_at)
"""

# Where records showed something new, and now and then for their counts.
WRITE_SHAPE = """
INSERT INTO shapes (workspace, connection, stream, shape, updated_at)
VALUES (:workspace, :connection, :stream, :shape, :now)
ON CONFLICT (workspace, connection, stream)
    DO UPDATE SET shape = excluded.shape, updated_at = excluded.updated_at
"""

# Rare. A drift that waits to be accepted is not written again.
WRITE_DRIFT = """
INSERT INTO drifts (workspace, connection, stream, kind, path, detail, message, idempotency_key,
    run_no, page_no, page_index, first_seen_at, accepted_at)
VALUES (:workspace, :connection, :stream, :kind, :path, :detail, :message, :idempotency_key,
    :run_no, :page_no, :page_index, :now, :accepted_at)
ON CONFLICT (workspace, connection, stream, kind, path, detail) WHERE accepted_at IS NULL DO NOTHING
"""

# Once for each unit.
ADD_COUNTERS = """
UPDATE runs SET pages = pages + :pages, fetched = fetched + :fetched,
    extra_emits = extra_emits + :extra_emits, filtered = filtered + :filtered,
    mapping_errors = mapping_errors + :mapping_errors, submitted = submitted + :submitted,
    created = created + :created, updated = updated + :updated,
    unchanged = unchanged + :unchanged, stale = stale + :stale, rejected = rejected + :rejected,
    unmarked = unmarked + :unmarked, absent = absent + :absent
WHERE run_no = :run_no
"""
