"""The schema ``log`` of a database as text, told by the server's catalogue: what two databases can be compared by."""

import psycopg

RIGHTS = """
        SELECT format('%s: %s', name, array_agg(word ORDER BY word)) FROM (
            SELECT c.relname::text AS name, r.privilege_type AS word
            FROM pg_class c, aclexplode(c.relacl) r
            WHERE c.relnamespace = 'log'::regnamespace AND r.grantee = to_regrole('{role}')
            UNION SELECT p.proname || '()', r.privilege_type FROM pg_proc p, aclexplode(p.proacl) r
            WHERE p.pronamespace = 'log'::regnamespace AND r.grantee = to_regrole('{role}')
            UNION SELECT 'schema', r.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) r
            WHERE n.nspname = 'log' AND r.grantee = to_regrole('{role}')
        ) given GROUP BY name"""

SECTIONS = {
    "columns": """
        SELECT format('%s.%s %s%s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attnotnull THEN ' not null' END, ' default ' || pg_get_expr(d.adbin, d.adrelid),
            CASE WHEN a.attstorage <> t.typstorage THEN ' storage ' || a.attstorage::text END)
        FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
        WHERE c.relnamespace = 'log'::regnamespace AND c.relkind IN ('r', 'c') AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY c.relname::text COLLATE "C", a.attnum""",
    "table options": """
        SELECT format('%s %s', relname, reloptions) FROM pg_class
        WHERE relnamespace = 'log'::regnamespace AND reloptions IS NOT NULL""",
    # PostgreSQL 18 counts NOT NULL among the constraints, older ones do not.
    "constraints": """
        SELECT format('%s %s: %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) FROM pg_constraint
        WHERE connamespace = 'log'::regnamespace AND contype <> 'n'""",
    "indexes": "SELECT indexdef FROM pg_indexes WHERE schemaname = 'log'",
    "sequences": """
        SELECT format('%s %s from %s by %s', sequencename, data_type, start_value, increment_by)
        FROM pg_sequences WHERE schemaname = 'log'""",
    "triggers": """
        SELECT format('%s (%s)', pg_get_triggerdef(t.oid), t.tgenabled) FROM pg_trigger t
        JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'log'::regnamespace AND NOT tgisinternal""",
    "functions": """
        SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'log'::regnamespace""",
    "rights of deepnode_app": RIGHTS.format(role="deepnode_app"),
    "rights of deepnode_reader": RIGHTS.format(role="deepnode_reader"),
    "rights of deepnode_reader upon what will be made": """
        SELECT format('%s: %s', d.defaclobjtype, r.privilege_type) FROM pg_default_acl d, aclexplode(d.defaclacl) r
        WHERE d.defaclnamespace = 'log'::regnamespace AND r.grantee = to_regrole('deepnode_reader')""",
}


def schema_text(url: str) -> str:
    """Write the schema down: one thing a line, in an order that depends on names alone."""
    lines: list[str] = []
    with psycopg.connect(url) as connection:
        for title, query in SECTIONS.items():
            found = [str(line) for (line,) in connection.execute(query.encode())]
            lines += [f"== {title}", *(found if title == "columns" else sorted(found)), ""]
    return "\n".join(lines)
