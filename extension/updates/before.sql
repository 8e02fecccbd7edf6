-- ---- from here to the types, and at the end, nothing is found in the extension's schema, where others may have made what
-- fits better than the server's own

SELECT pg_catalog.set_config('pg_background_update.path', pg_catalog.current_setting('search_path'), true),
  pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

-- ---- what others have made under a name of ours: before 14.5 CREATE OR REPLACE would make it part of the extension, and
-- leave it to its owner

DO $$
DECLARE
  schema regnamespace := (SELECT extnamespace FROM pg_extension WHERE extname = '@EXTENSION@');
  planted text;
BEGIN
  SELECT string_agg(pg_describe_object(o.class, o.object, 0), ', ') INTO planted
  FROM (
    SELECT 'pg_proc'::regclass, to_regprocedure(format(signature, schema))::oid FROM unnest(ARRAY[
      @FUNCTIONS@
    ]) AS signature
    UNION ALL
    SELECT 'pg_proc'::regclass, to_regprocedure(format(signature, schema))::oid FROM unnest(ARRAY[
      @BEFORE_16@
    ]::text[]) AS signature
    WHERE current_setting('server_version_num')::int4 < 160000
    UNION ALL
    SELECT 'pg_class'::regclass, to_regclass(format(name, schema))::oid FROM unnest(ARRAY[@VIEWS@]::text[]) AS name
  ) AS o (class, object)
  WHERE o.object IS NOT NULL AND NOT EXISTS (
    SELECT FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
    WHERE d.classid = o.class AND d.objid = o.object AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
      AND e.extname = '@EXTENSION@');
  IF planted IS NOT NULL THEN
    RAISE duplicate_object USING
      MESSAGE = format('in the way of extension "@EXTENSION@": %s', planted),
      HINT = 'See who has made it and what uses it, rename or drop it, and update again.';
  END IF;
END $$;

-- ---- who has which privilege on what is there, for the end of this script

SELECT set_config('pg_background_update.before', jsonb_agg(to_jsonb(member))::text, true)
FROM (
  @MEMBERS@
) AS member;

-- ---- what can't be replaced: dropped, or, where something depends on it, left to its users under another name

DO $$
DECLARE
  together jsonb;
  old record;
  users text;
  new_name text;
  schema regnamespace := (SELECT extnamespace FROM pg_extension WHERE extname = '@EXTENSION@');
BEGIN
  -- for the notices: an extension's script runs with warnings only
  IF current_setting('client_min_messages') = 'warning' THEN
    PERFORM set_config('client_min_messages', 'notice', true);
  END IF;
  FOR together IN
    -- what goes or stays together, each before what it depends on
    SELECT objects FROM (VALUES
      @REPLACED@
    ) AS replaced (objects)
  LOOP
    users := NULL;
    BEGIN
      FOR old IN SELECT * FROM jsonb_to_recordset(together) AS o (kind text, name text, arguments text) LOOP
        DECLARE
          found text;
        BEGIN
          EXECUTE format('DROP %s %s.%s%s', old.kind, schema, old.name, old.arguments);
        EXCEPTION WHEN dependent_objects_still_exist THEN
          GET STACKED DIAGNOSTICS found = PG_EXCEPTION_DETAIL;
          users := concat_ws(E'\n', users, found);
        END;
      END LOOP;
      IF users IS NOT NULL THEN
        RAISE dependent_objects_still_exist;
      END IF;
    EXCEPTION WHEN dependent_objects_still_exist THEN
      FOR old IN SELECT * FROM jsonb_to_recordset(together) AS o (kind text, name text, arguments text) LOOP
        new_name := old.name || '_@SUFFIX@';
        EXECUTE format('ALTER EXTENSION @EXTENSION@ DROP %s %s.%s%s', old.kind, schema, old.name, old.arguments);
        EXECUTE format('ALTER %s %s.%s%s RENAME TO %I', old.kind, schema, old.name, old.arguments, new_name);
        RAISE NOTICE '% is kept as %, since something depends on it',
          lower(old.kind) || ' ' || old.name || old.arguments, new_name
          USING DETAIL = users,
                HINT = format('When nothing does any more: DROP %s %s%s', old.kind, new_name, old.arguments);
      END LOOP;
    END;
  END LOOP;
  IF current_setting('client_min_messages') = 'notice' THEN
    PERFORM set_config('client_min_messages', 'warning', true);
  END IF;
END $$;

SELECT set_config('search_path', current_setting('pg_background_update.path'), true);
