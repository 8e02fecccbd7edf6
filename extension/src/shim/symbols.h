/* ---- the functions that SQL calls */
PG_MODULE_MAGIC;

#define SQL_FUNCTION(f) PGDLLEXPORT Datum f(PG_FUNCTION_ARGS); PG_FUNCTION_INFO_V1(f)
SQL_FUNCTION(pgbg_launch);
SQL_FUNCTION(pgbg_submit);
SQL_FUNCTION(pgbg_start);
SQL_FUNCTION(pgbg_result);
SQL_FUNCTION(pgbg_result_typed);
SQL_FUNCTION(pgbg_result_json);
SQL_FUNCTION(pgbg_describe);
SQL_FUNCTION(pgbg_wait);
SQL_FUNCTION(pgbg_wait_timeout);
SQL_FUNCTION(pgbg_job_waits);
SQL_FUNCTION(pgbg_await);
SQL_FUNCTION(pgbg_cancel);
SQL_FUNCTION(pgbg_detach);
SQL_FUNCTION(pgbg_pid);
SQL_FUNCTION(pgbg_worker_pid);
SQL_FUNCTION(pgbg_run);
SQL_FUNCTION(pgbg_run_query);
SQL_FUNCTION(pgbg_wait_any);
SQL_FUNCTION(pgbg_drain);
SQL_FUNCTION(pgbg_cancel_all);
SQL_FUNCTION(pgbg_detach_all);
SQL_FUNCTION(pgbg_purge);
SQL_FUNCTION(pgbg_cancel_by_label);
SQL_FUNCTION(pgbg_drain_server);
SQL_FUNCTION(pgbg_resume_server);
SQL_FUNCTION(pgbg_list);
SQL_FUNCTION(pgbg_stats);
SQL_FUNCTION(pgbg_report_progress);
SQL_FUNCTION(pgbg_get_progress);
SQL_FUNCTION(pgbg_registry);
SQL_FUNCTION(pgbg_totals);
SQL_FUNCTION(pgbg_histograms);
SQL_FUNCTION(pgbg_resources);
SQL_FUNCTION(pgbg_waits);
SQL_FUNCTION(pgbg_usage);
SQL_FUNCTION(pgbg_jobs);
SQL_FUNCTION(pgbg_result_info);
SQL_FUNCTION(pgbg_error_info);
SQL_FUNCTION(pgbg_full_sql);
SQL_FUNCTION(pgbg_outcome);

/* ---- the functions that the catalogues of 1.8 and 2.0 call */
SQL_FUNCTION(pg_background_launch);
SQL_FUNCTION(pg_background_stats);
SQL_FUNCTION(pg_background_stats_v2);
SQL_FUNCTION(pg_background_get_progress);
SQL_FUNCTION(pg_background_get_progress_v2);
SQL_FUNCTION(pg_background_wait);
SQL_FUNCTION(pg_background_record_timeout);

/* those that do as ours: a void result is ignored, whatever the value */
#define OLD_SYMBOL(old, ours) SQL_FUNCTION(old); Datum old(PG_FUNCTION_ARGS) { return ours(fcinfo); }
OLD_SYMBOL(pg_background_launch_v2, pgbg_launch)
OLD_SYMBOL(pg_background_submit, pgbg_submit)
OLD_SYMBOL(pg_background_submit_v2, pgbg_submit)
OLD_SYMBOL(pg_background_result, pgbg_result)
OLD_SYMBOL(pg_background_result_v2, pgbg_result)
OLD_SYMBOL(pg_background_wait_v2, pgbg_wait)
OLD_SYMBOL(pg_background_wait_v2_timeout, pgbg_wait_timeout)
OLD_SYMBOL(pg_background_cancel, pgbg_cancel)
OLD_SYMBOL(pg_background_cancel_v2, pgbg_cancel)
OLD_SYMBOL(pg_background_cancel_v2_grace, pgbg_cancel)
OLD_SYMBOL(pg_background_cancel_all, pgbg_cancel_all)
OLD_SYMBOL(pg_background_detach, pgbg_detach)
OLD_SYMBOL(pg_background_detach_v2, pgbg_detach)
OLD_SYMBOL(pg_background_detach_all, pgbg_detach_all)
OLD_SYMBOL(pg_background_list, pgbg_list)
OLD_SYMBOL(pg_background_list_v2, pgbg_list)
OLD_SYMBOL(pg_background_progress, pgbg_report_progress)
OLD_SYMBOL(pg_background_report_progress, pgbg_report_progress)
OLD_SYMBOL(pg_background_result_info, pgbg_result_info)
OLD_SYMBOL(pg_background_error_info, pgbg_error_info)
OLD_SYMBOL(pg_background_full_sql, pgbg_full_sql)

PGDLLEXPORT void pgbg_worker_main(Datum main_arg);
PGDLLEXPORT void pgbg_keeper_main(Datum main_arg);
PGDLLEXPORT void pgbg_history_main(Datum main_arg);
