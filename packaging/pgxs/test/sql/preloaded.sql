-- Without the library in shared_preload_libraries none of the tests can pass.
CREATE EXTENSION pg_background;
SELECT 'pg_background' = ANY (string_to_array(replace(current_setting('shared_preload_libraries'), ' ', ''), ','))
    AS "the library is in shared_preload_libraries";
SELECT current_setting('max_worker_processes')::int >= 16 AS "there are worker processes";
