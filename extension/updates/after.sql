-- ---- privileges: what was there has those that it had, and what is new under an old name those of that

-- pg_dump leaves out what pg_init_privs has, as CREATE EXTENSION grants that anyway: so what an administrator has granted
-- must not be in it.
SELECT pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);

DO $$
DECLARE
  member record;
  command text;
BEGIN
  FOR member IN
    WITH before AS (
      SELECT * FROM jsonb_to_recordset(current_setting('pg_background_update.before')::jsonb)
        AS b (class oid, object oid, name text, acl aclitem[], owner oid, initial aclitem[])
    ), present AS (
      @MEMBERS@
    ), source AS (
      -- Itself, else all of the same name. Old callers reach two that have no old name through a cast and a view.
      SELECT p.class, p.object, b.acl, b.owner, b.initial, b.object = p.object AS is_same
      FROM present AS p
      JOIN before AS b ON b.class = p.class AND CASE
        WHEN EXISTS (SELECT FROM before AS o WHERE o.class = p.class AND o.object = p.object) THEN b.object = p.object
        ELSE b.name = CASE p.name WHEN 'pg_background_pid' THEN 'pg_background_launch'
                                  WHEN 'pg_background_worker_pid' THEN 'pg_background_list' ELSE p.name END END
    )
    SELECT p.class, p.object, p.target, p.owner, p.acl,
      CASE WHEN s.is_same THEN s.initial ELSE p.initial END AS initial,
      (SELECT jsonb_agg(jsonb_build_object('grantee', a.grantee, 'privilege', a.privilege_type,
                                           'grantable', a.is_grantable))
       FROM source AS t, aclexplode(t.acl) AS a
       WHERE t.class = p.class AND t.object = p.object AND a.grantee <> t.owner) AS wanted
    FROM present AS p
    CROSS JOIN LATERAL (SELECT * FROM source AS f WHERE f.class = p.class AND f.object = p.object LIMIT 1) AS s
  LOOP
    FOR command IN
      WITH wanted AS (
        SELECT grantee, privilege, bool_or(grantable) AS grantable
        FROM jsonb_to_recordset(member.wanted) AS w (grantee oid, privilege text, grantable bool)
        WHERE grantee <> member.owner GROUP BY grantee, privilege
      ), present AS (
        SELECT grantee, privilege_type AS privilege, bool_or(is_grantable) AS grantable
        FROM aclexplode(member.acl) WHERE grantee <> member.owner GROUP BY grantee, privilege_type
      )
      SELECT format(CASE WHEN w.grantee IS NULL THEN 'REVOKE %s ON %s FROM %s'
                         WHEN w.grantable THEN 'GRANT %s ON %s TO %s WITH GRANT OPTION'
                         ELSE 'GRANT %s ON %s TO %s' END,
                    privilege, member.target, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
      FROM wanted AS w FULL JOIN present AS p USING (grantee, privilege)
      WHERE w.grantee IS NULL OR p.grantee IS NULL OR w.grantable AND NOT p.grantable
    LOOP
      EXECUTE command;
    END LOOP;
    DELETE FROM pg_init_privs WHERE classoid = member.class AND objoid = member.object AND objsubid = 0;
    IF member.initial IS NOT NULL THEN
      INSERT INTO pg_init_privs (objoid, classoid, objsubid, privtype, initprivs)
      VALUES (member.object, member.class, 0, 'e', member.initial);
    END IF;
    -- from 17 on the roles in it can't be dropped
    DELETE FROM pg_shdepend AS d
    WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND d.classid = member.class AND d.objid = member.object AND d.deptype = 'i'
      AND NOT EXISTS (SELECT FROM aclexplode(member.initial) AS a WHERE d.refobjid IN (a.grantee, a.grantor));
  END LOOP;
END $$;
