"""The statement that adds a job and claims it for a worker that rests, if there is one.

While a worker rests, its listening session holds an advisory lock: the database lets go of it in
the moment in which the session ends, however that comes, so a process that was killed gets nothing.
Whoever enqueues tries for the same lock, shared, for the time of this one statement: if it is not
to be had, the worker rests. Another lock, the gate, is shared by all who do so until they have
committed: a worker that leaves takes it alone, and then knows that nothing more will come.
Processes that have not renewed their row for longer than they should are left out, as they may be
frozen.
"""

from __future__ import annotations

from hosting.queues.stores.statements.postgresql import CLAIM_COLUMNS, NOW, TOLD, seconds
from hosting.queues.stores.statements.shared import COLUMNS, JOB, PAUSED, PROCESS

#: The share of its lease that a process has left, when it renews it as it should, and a bit less.
LEFT = 0.7

# The locks are tried one by one, in a random order; only of workers for whom the job is.
DELIVER = f"""
    WITH taker AS MATERIALIZED (
        SELECT process, channel FROM (
            SELECT process.id AS process, inbox.channel, inbox.key, inbox.gate
            FROM {PROCESS} AS process, jsonb_to_recordset(process.inboxes::jsonb)
                AS inbox (
                    key bigint, gate bigint, channel text, backend text, queues jsonb, lease float8
                )
            WHERE process.is_listening AND inbox.backend = %s
                AND (inbox.queues IS NULL OR inbox.queues ? %s)
                AND process.alive_until > {NOW} + {LEFT} * inbox.lease * interval '1 second'
            ORDER BY random() OFFSET 0
        ) AS found
        WHERE NOT EXISTS (SELECT 1 FROM {PAUSED} WHERE backend = %s AND name = %s)
            AND pg_try_advisory_xact_lock_shared(gate)
            AND NOT pg_try_advisory_xact_lock_shared(key)
        LIMIT 1
    ), added AS (
        INSERT INTO {JOB} ({COLUMNS}, claimed_at)
        SELECT %s::uuid, %s, %s, %s::smallint, %s, %s, %s, %s, '', NULL,
            {NOW}, {NOW}, NULL, CASE WHEN process IS NULL THEN 'ready' ELSE 'running' END,
            NULL, false, %s::uuid, '[]', '[]',
            CASE WHEN process IS NULL THEN 0 ELSE ({seconds(NOW)} * 1000000)::bigint END,
            '', COALESCE(process, ''), 0, 0, 0, false, CASE WHEN process IS NOT NULL THEN {NOW} END
        FROM (SELECT 1) AS job LEFT JOIN taker ON true
        RETURNING *
    )
    SELECT {seconds("enqueued_at")},
        CASE WHEN state = 'running'
            THEN pg_notify((SELECT channel FROM taker), json_build_array({CLAIM_COLUMNS})::text)
            ELSE {TOLD} END
    FROM added
"""
