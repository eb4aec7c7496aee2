/** The schema as text, the same from every store and version of PostgreSQL: what the golden file is compared with. */
import { type Database, statement } from '../../packages/server/src/platform/database/index.ts';

interface Line {
  readonly line: string;
}

const parts = [
  statement<[], Line>(
    'schema.columns',
    `select format('%s.%s %s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
         case when a.attnotnull then ' not null' else '' end,
         coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')) as line
     from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
     left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p', 'v')
     order by c.relname collate "C", a.attnum`,
  ),
  statement<[], Line>(
    'schema.constraints',
    `select format('%s constraint %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) as line
     from pg_constraint where connamespace = 'public'::regnamespace and contype <> 'n'
     order by conrelid::regclass::text collate "C", conname collate "C"`,
  ),
  statement<[], Line>(
    'schema.indexes',
    `select indexdef as line from pg_indexes where schemaname = 'public' order by indexname collate "C"`,
  ),
  statement<[], Line>(
    'schema.triggers',
    `select pg_get_triggerdef(t.oid) as line from pg_trigger t join pg_class c on c.oid = t.tgrelid
     where not tgisinternal and c.relnamespace = 'public'::regnamespace order by tgname collate "C"`,
  ),
  statement<[], Line>(
    'schema.functions',
    `select pg_get_functiondef(p.oid) as line from pg_proc p where pronamespace = 'public'::regnamespace
     order by proname collate "C"`,
  ),
  statement<[], Line>(
    'schema.options',
    `select format('%s with (%s)', relname, array_to_string(reloptions, ', ')) as line from pg_class
     where relnamespace = 'public'::regnamespace and reloptions is not null order by relname collate "C"`,
  ),
];

export async function dumpSchema(db: Database): Promise<string> {
  const sections: string[] = [];
  for (const part of parts) {
    const rows = await db.run(part, []);
    sections.push(`-- ${part.name.replace('schema.', '')}\n${rows.map(({ line }) => line.trimEnd()).join('\n')}\n`);
  }
  return sections.join('\n');
}
