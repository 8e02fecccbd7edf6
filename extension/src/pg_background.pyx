# cython: language_level=3, cdivision=True, boundscheck=False, wraparound=False, binding=False
"""pg_background: SQL in background workers inside the server.

This root only lists the parts, in the order of a job's life. It is compiled to a library with no Python in it,
which is why nothing here may have an initialiser: the module's own never runs, _PG_init (module.pyx) sets all.

    what                                        which server API
    every PG_VERSION_NUM test                   shim/versions.h: macros that give old servers the newest API
    the server's functions, by area             pg/*.pxd
    the shared memory, who writes what          layout.pxd
"""

include "pg_background/imports.pxi"

include "pg_background/shared/settings.pyx"               # the pg_background.* settings
include "pg_background/workers/citus.pyx"                 # room for its workers
include "pg_background/shared/registry.pyx"               # shared memory; finding, taking and retiring entries
include "pg_background/shared/checks.pyx"                 # whether the registry is as it must be
include "pg_background/shared/spill.pyx"                  # the temporary file behind a queue
include "pg_background/shared/holds.pyx"                  # what a call gives back however it ends
include "pg_background/shared/memory.pyx"                 # a job's memory in the shared area
include "pg_background/output/claim.pyx"                  # being the one reader or mover of a job's output
include "pg_background/shared/session.pyx"                # this backend's place among the sessions
include "pg_background/sql/handle.pyx"                    # handles as arguments and results; who may use one
include "pg_background/compat/bare_pid.pyx"               # callers that know a job by its pid alone
include "pg_background/views/visibility.pyx"              # who sees what of a job
include "pg_background/views/totals.pyx"                  # what all jobs of a database and role have come to
include "pg_background/sql/identity.pyx"                  # who a job is, and the rights that this takes
include "pg_background/sql/encodings.pyx"                 # text from one database's encoding into another's
include "pg_background/launch/settings_of_launch.pyx"     # the settings of the launch point
include "pg_background/launch/launch.pyx"                 # launch, submit
include "pg_background/launch/start.pyx"                  # start
include "pg_background/launch/request.pyx"                # what a job is told, as it travels
include "pg_background/sql/texts.pyx"                     # labels, previews and other text of a fixed size
include "pg_background/launch/params.pyx"                 # bound parameters
include "pg_background/workers/pool.pyx"                  # which worker gets a job; starting and evicting processes
include "pg_background/workers/backlog.pyx"               # jobs that wait for a worker
include "pg_background/workers/keeper.pyx"                # the keeper process
include "pg_background/job/worker.pyx"                    # a worker's life: check in, take jobs, leave
include "pg_background/job/placeholders.pyx"              # custom settings that cannot be made unknown again
include "pg_background/job/take_over.pyx"                 # a worker becomes what a job's launcher was
include "pg_background/job/login.pyx"                     # ... in another database
include "pg_background/job/security_context.pyx"          # of a SECURITY DEFINER function
include "pg_background/job/reset.pyx"                     # nothing of a job is left for the next one
include "pg_background/job/statements.pyx"                # a job's SQL cut into statements
include "pg_background/job/statement_log.pyx"             # statements and their durations in the server's log
include "pg_background/job/execute.pyx"                   # run a job's statements
include "pg_background/job/commit.pyx"                    # the end of a job's last transaction
include "pg_background/job/notify.pyx"                    # telling listening sessions that a job has ended
include "pg_background/result/trust.pyx"                  # whose code runs when a result is read
include "pg_background/output/shape.pyx"                  # what a type is made of
include "pg_background/output/apart.pyx"                  # values taken apart, to travel
include "pg_background/output/rows.pyx"                   # rows into messages
include "pg_background/output/stream_write.pyx"           # messages into the queue or the file
include "pg_background/job/finish.pyx"                    # how a job ended
include "pg_background/waiting/deadlock_queue.pyx"        # what a queued job waits for
include "pg_background/waiting/deadlock.pyx"              # waits that can never end
include "pg_background/waiting/wait.pyx"                  # wait
include "pg_background/waiting/wait_many.pyx"             # waiting for several jobs together
include "pg_background/output/stream_read.pyx"            # messages out of the queue or the file
include "pg_background/result/plain.pyx"                  # text in values of PostgreSQL's own types
include "pg_background/result/together.pyx"               # values put together again
include "pg_background/result/convert.pyx"                # the reader's columns against the job's
include "pg_background/result/result.pyx"                 # result
include "pg_background/result/json.pyx"                   # result_json
include "pg_background/result/describe.pyx"               # describe
include "pg_background/cancel/cancel.pyx"                 # cancel, detach
include "pg_background/cancel/drain_server.pyx"           # drain_server, resume_server
include "pg_background/views/progress.pyx"                # progress, get_progress
include "pg_background/views/command_progress.pyx"        # of commands that the server follows itself
include "pg_background/views/jobs.pyx"                    # the jobs of the whole server
include "pg_background/views/list.pyx"                    # list, stats, registry
include "pg_background/views/job.pyx"                     # result_info, error_info, full_sql, outcome
include "pg_background/result/columns.pyx"                # column definitions as text
include "pg_background/result/run.pyx"                    # run, run_query
include "pg_background/cancel/cancel_many.pyx"            # wait_any, drain; cancel_all and the like
include "pg_background/compat/old_symbols.pyx"            # the functions of 1.8 and 2.0 that differ from ours
include "pg_background/load/hooks.pyx"                    # utility and executor hooks
include "pg_background/load/module.pyx"                   # _PG_init
