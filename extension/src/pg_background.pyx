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

# settings
include "pg_background/settings/settings.pyx"               # the pg_background.* settings
include "pg_background/settings/citus.pyx"                  # room for its workers

# shared: shared memory, and what each process keeps of its own
include "pg_background/shared/registry.pyx"                 # the shared memory: its lock, its entries by cookie
include "pg_background/shared/usage.pyx"                    # what a role or database takes of it
include "pg_background/shared/limits.pyx"                   # ... and may take
include "pg_background/shared/counts.pyx"                   # what all jobs of a database and role have come to
include "pg_background/shared/entries.pyx"                  # the life of an entry
include "pg_background/shared/checks.pyx"                   # whether the registry is as it must be
include "pg_background/shared/spill.pyx"                    # the temporary file behind a queue
include "pg_background/shared/holds.pyx"                    # what a call gives back however it ends
include "pg_background/shared/claim.pyx"                    # being the one reader or mover of a job's output
include "pg_background/shared/memory.pyx"                   # a job's memory, and what lies where in it
include "pg_background/shared/room.pyx"                     # ... that is about to be taken for a role
include "pg_background/shared/session.pyx"                  # this backend's place among the sessions

# sql: what SQL functions take and give
include "pg_background/sql/handle.pyx"                      # handles as arguments and results
include "pg_background/sql/arguments.pyx"                   # other arguments
include "pg_background/sql/shapes.pyx"                      # whether library and catalogue fit
include "pg_background/sql/result_sets.pyx"                 # rows as results
include "pg_background/sql/encodings.pyx"                   # text of one encoding in another
include "pg_background/sql/texts.pyx"                       # labels, previews and other text of a fixed size
include "pg_background/sql/rights.pyx"                      # who may use a job
include "pg_background/sql/identity.pyx"                    # who a job is, and the rights that this takes
include "pg_background/sql/elsewhere.pyx"                   # whether a database takes jobs from others
include "pg_background/sql/guc_state.pyx"                   # serialised settings, one by one
include "pg_background/sql/errors.pyx"                      # the error of a job

# workers: which process runs a job
include "pg_background/workers/pins.pyx"                    # workers that launches leave alone
include "pg_background/workers/bare_pid.pyx"                # the job that a bare pid means
include "pg_background/workers/pool.pyx"                    # which worker gets a job
include "pg_background/workers/places.pyx"                  # places for processes, and starting these
include "pg_background/workers/fresh_worker.pyx"            # a process for the job of a launch, and room for it
include "pg_background/workers/backlog.pyx"                 # jobs that wait for a worker
include "pg_background/workers/checks.pyx"                  # whether the backlog is as it must be
include "pg_background/workers/turns.pyx"                   # which of them is next
include "pg_background/workers/waiting_launch.pyx"          # a launch that waits with them
include "pg_background/workers/sampling.pyx"                # what running jobs wait for
include "pg_background/workers/history_start.pyx"           # starting the process that writes the history
include "pg_background/workers/keeper.pyx"                  # the keeper process

# views: what can be seen of jobs
include "pg_background/views/visibility.pyx"                # who sees what of a job
include "pg_background/views/list.pyx"                      # list, stats, registry
include "pg_background/views/job.pyx"                       # result_info, error_info, full_sql, outcome
include "pg_background/views/command_progress.pyx"          # of commands that the server follows itself
include "pg_background/views/progress.pyx"                  # progress, get_progress
include "pg_background/views/jobs.pyx"                      # the jobs of the whole server
include "pg_background/views/totals.pyx"                    # the counts and histograms of the whole server
include "pg_background/views/resources.pyx"                 # what each job took
include "pg_background/views/waits.pyx"                     # ... and waited for
include "pg_background/views/usage.pyx"                     # what roles and databases use, against their limits

# waiting: until a job has ended
include "pg_background/waiting/deadlock_queue.pyx"          # what a queued job waits for
include "pg_background/waiting/look_ends.pyx"               # how a look at the nodes of a cluster ends in time
include "pg_background/waiting/cluster_waits.pyx"           # what waits for what on the nodes of a cluster
include "pg_background/waiting/deadlock.pyx"                # waits that can never end
include "pg_background/waiting/deadlock_check.pyx"          # when to look for them
include "pg_background/waiting/job_waits.pyx"               # who waits for jobs here, for other nodes
include "pg_background/waiting/short_wait.pyx"              # a sleep that may be short
include "pg_background/waiting/wait.pyx"                    # wait
include "pg_background/waiting/wait_many.pyx"               # waiting for several jobs together
include "pg_background/waiting/wait_any.pyx"                # wait_any

# cancel: ending a job, or having done with it
include "pg_background/cancel/signals.pyx"                  # how a cancel reaches the running job
include "pg_background/cancel/cancel.pyx"                   # cancel
include "pg_background/cancel/detach.pyx"                   # detach
include "pg_background/cancel/cancel_many.pyx"              # cancel_all and the like
include "pg_background/cancel/drain.pyx"                    # drain
include "pg_background/cancel/drain_server.pyx"             # drain_server, resume_server

# output: from the worker to the reader
include "pg_background/output/shape.pyx"                    # what a type is made of
include "pg_background/output/shape_packed.pyx"           # ... as it travels
include "pg_background/output/apart.pyx"                    # values taken apart, to travel
include "pg_background/output/rows.pyx"                     # rows into messages
include "pg_background/output/stream_write.pyx"             # messages into the queue or the file
include "pg_background/output/stream_read.pyx"              # messages out of the queue or the file

# launch: a job begins its life
include "pg_background/launch/settings_of_launch.pyx"       # the settings of the launch point
include "pg_background/launch/params.pyx"                   # bound parameters
include "pg_background/launch/read_only.pyx"                # jobs that can only read
include "pg_background/launch/request.pyx"                  # what a job is told, as it travels
include "pg_background/launch/accept.pyx"                   # a launch gets an entry, and a worker or a place in line
include "pg_background/launch/launch.pyx"                   # launch, submit
include "pg_background/launch/start.pyx"                    # start

# history: what is kept of a job that has ended
include "pg_background/history/taken.pyx"                   # what the running job takes of the server
include "pg_background/history/row.pyx"                     # a job as a row of its database's history
include "pg_background/history/table.pyx"                   # the table: insert, prune
include "pg_background/history/writer.pyx"                  # the process that does both

# job: in the worker
include "pg_background/job/worker.pyx"                      # a worker's life: check in, take jobs, leave
include "pg_background/job/placeholders.pyx"                # custom settings that cannot be made unknown again
include "pg_background/job/take_over.pyx"                   # a worker becomes what a job's launcher was
include "pg_background/job/login.pyx"                       # ... in another database
include "pg_background/job/security_context.pyx"            # of a SECURITY DEFINER function
include "pg_background/job/reset.pyx"                       # nothing of a job is left for the next one
include "pg_background/job/statements.pyx"                  # a job's SQL cut into statements
include "pg_background/job/statement_log.pyx"               # statements and their durations in the server's log
include "pg_background/job/execute.pyx"                     # run a job's statements
include "pg_background/job/commit.pyx"                      # the end of a job's last transaction
include "pg_background/job/notify.pyx"                      # telling listening sessions that a job has ended
include "pg_background/job/finish.pyx"                      # how a job ended

# result: in the reader
include "pg_background/result/trust.pyx"                    # whose code runs when a result is read
include "pg_background/result/plain.pyx"                    # values that hold text, in another encoding
include "pg_background/result/together.pyx"                 # values put together again
include "pg_background/result/convert.pyx"                  # the reader's columns against the job's
include "pg_background/result/result.pyx"                   # result
include "pg_background/result/json.pyx"                     # result_json
include "pg_background/result/describe.pyx"                 # describe
include "pg_background/result/columns.pyx"                  # column definitions as text
include "pg_background/result/run.pyx"                      # run, run_query

# compat: of 1.8 and 2.0
include "pg_background/compat/bare_pid.pyx"                 # the cast of a handle to its pid
include "pg_background/compat/old_symbols.pyx"              # functions that differ from ours

# load: when the library is loaded
include "pg_background/load/hooks.pyx"                      # utility and executor hooks
include "pg_background/load/module.pyx"                     # _PG_init
