SELECT d.classid AS class, d.objid AS object, COALESCE(p.proname, c.relname, t.typname) AS name,
  COALESCE('ROUTINE ' || p.oid::regprocedure, 'TABLE ' || c.oid::regclass, 'TYPE ' || t.oid::regtype) AS target,
  COALESCE(p.proowner, c.relowner, t.typowner) AS owner,
  COALESCE(p.proacl, c.relacl, t.typacl,
           acldefault(CASE d.classid WHEN 'pg_proc'::regclass THEN "char" 'f' WHEN 'pg_class'::regclass THEN 'r'
                      ELSE 'T' END, COALESCE(p.proowner, c.relowner, t.typowner))) AS acl,
  i.initprivs AS initial
FROM pg_depend AS d
JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = '@EXTENSION@'
LEFT JOIN pg_proc AS p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
LEFT JOIN pg_type AS t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
LEFT JOIN pg_init_privs AS i ON i.classoid = d.classid AND i.objoid = d.objid AND i.objsubid = 0
WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND COALESCE(p.oid, c.oid, t.oid) IS NOT NULL
