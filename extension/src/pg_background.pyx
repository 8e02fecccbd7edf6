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

include "pg_background/settings.pyx"        # the pg_background.* settings
include "pg_background/citus.pyx"           # room for its workers
include "pg_background/registry.pyx"        # shared memory; finding, taking and retiring entries
include "pg_background/checks.pyx"          # whether the registry is as it must be
include "pg_background/spill.pyx"           # the temporary file behind a queue
include "pg_background/holds.pyx"           # what a call gives back however it ends
include "pg_background/memory.pyx"          # a job's memory in the shared area
include "pg_background/claim.pyx"           # being the one reader or mover of a job's output
include "pg_background/session.pyx"         # this backend's place among the sessions
include "pg_background/handle.pyx"          # handles as arguments and results; who may use one
include "pg_background/bare_pid.pyx"        # callers that know a job by its pid alone
include "pg_background/visibility.pyx"      # who sees what of a job
include "pg_background/totals.pyx"          # what all jobs of a database and role have come to
include "pg_background/identity.pyx"        # who a job is, and the rights that this takes
include "pg_background/encodings.pyx"       # text from one database's encoding into another's
include "pg_background/job_settings.pyx"    # the settings of the launch point
include "pg_background/launch.pyx"          # launch, submit
include "pg_background/start.pyx"           # start
include "pg_background/request.pyx"         # what a job is told, as it travels
include "pg_background/texts.pyx"           # labels, previews and other text of a fixed size
include "pg_background/params.pyx"          # bound parameters
include "pg_background/pool.pyx"            # which worker gets a job; starting and evicting processes
include "pg_background/backlog.pyx"         # jobs that wait for a worker
include "pg_background/keeper.pyx"          # the keeper process
include "pg_background/worker.pyx"          # a worker's life: check in, take jobs, leave
include "pg_background/placeholders.pyx"    # custom settings that cannot be made unknown again
include "pg_background/take_over.pyx"       # a worker becomes what a job's launcher was
include "pg_background/login.pyx"           # ... in another database
include "pg_background/security_context.pyx"  # of a SECURITY DEFINER function
include "pg_background/reset.pyx"           # nothing of a job is left for the next one
include "pg_background/statements.pyx"      # a job's SQL cut into statements
include "pg_background/statement_log.pyx"   # statements and their durations in the server's log
include "pg_background/execute.pyx"         # run a job's statements
include "pg_background/commit.pyx"          # the end of a job's last transaction
include "pg_background/notify.pyx"          # telling listening sessions that a job has ended
include "pg_background/trust.pyx"           # whose code runs when a result is read
include "pg_background/shape.pyx"           # what a type is made of
include "pg_background/apart.pyx"           # values taken apart, to travel
include "pg_background/rows.pyx"            # rows into messages
include "pg_background/output.pyx"          # messages into the queue or the file
include "pg_background/outcome.pyx"         # how a job ended
include "pg_background/deadlock_queue.pyx"  # what a queued job waits for
include "pg_background/deadlock.pyx"        # waits that can never end
include "pg_background/wait.pyx"            # wait
include "pg_background/watch.pyx"           # waiting for several jobs together
include "pg_background/stream.pyx"          # messages out of the queue or the file
include "pg_background/plain.pyx"           # text in values of PostgreSQL's own types
include "pg_background/together.pyx"        # values put together again
include "pg_background/convert.pyx"         # the reader's columns against the job's
include "pg_background/result.pyx"          # result
include "pg_background/json.pyx"            # result_json
include "pg_background/describe.pyx"        # describe
include "pg_background/control.pyx"         # cancel, detach
include "pg_background/drain.pyx"           # drain_server, resume_server
include "pg_background/progress.pyx"        # progress, get_progress
include "pg_background/command_progress.pyx"  # of commands that the server follows itself
include "pg_background/jobs.pyx"            # the jobs of the whole server
include "pg_background/observe.pyx"         # list, stats, registry
include "pg_background/inspect.pyx"         # result_info, error_info, full_sql, outcome
include "pg_background/columns.pyx"         # column definitions as text
include "pg_background/run.pyx"             # run, run_query
include "pg_background/many.pyx"            # wait_any, drain; cancel_all and the like
include "pg_background/old_symbols.pyx"     # the functions of 1.8 and 2.0 that differ from ours
include "pg_background/hooks.pyx"           # utility and executor hooks
include "pg_background/module.pyx"          # _PG_init
