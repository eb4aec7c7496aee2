/** `docs/reference/api/*.md`, from the doc comments of what the published packages export. What has none fails here. */
import { type Exported, entryPointsOf, type Module, readModules } from '../reference/declarations.ts';

const folder = 'docs/reference/api';
const scope = '@auth-service/';
const packages = ['guard', 'client', 'protocol'] as const;
const headings = { function: 'Functions', class: 'Classes', type: 'Types', value: 'Values' } as const;

type Page = Module & { readonly file: string };

export function generate(): Promise<readonly { path: string; content: string }[]> {
  const modules = readModules(packages.flatMap((name) => entryPointsOf(`packages/${name}`)));
  const pages = modules.map((module) => ({
    ...module,
    file: `${module.specifier.replace(scope, '').replaceAll('/', '-')}.md`,
  }));
  const bare = pages.flatMap(({ specifier, exports }) =>
    exports.filter(({ doc }) => doc === '').map(({ name }) => `${specifier}: ${name}`),
  );
  if (bare.length > 0) throw new Error(`exported without a doc comment of its own:\n  ${bare.join('\n  ')}`);
  const shown = new Set(pages.flatMap(({ exports }) => exports.map(({ name }) => name)));
  const hidden = pages.flatMap(({ specifier, exports }) =>
    exports.flatMap(({ name, needs }) =>
      needs.filter((type) => !shown.has(type)).map((type) => `${specifier}: ${type}, of ${name}`),
    ),
  );
  if (hidden.length > 0) throw new Error(`types that are told of and exported nowhere:\n  ${hidden.join('\n  ')}`);
  return Promise.resolve([
    { path: `${folder}/README.md`, content: indexOf(pages) },
    ...pages.map((page) => ({ path: `${folder}/${page.file}`, content: pageOf(page, pages) })),
  ]);
}

const generated = (sources: string): string => `<!-- Generated from ${sources} by \`npm run generate\`. -->`;

function indexOf(pages: readonly Page[]): string {
  const rows = pages.map(({ specifier, file, head }) => `| [\`${specifier}\`](${file}) | ${sentenceOf(head)} |`);
  return `# What the packages export

${generated('the doc comments of the entry points')}

| import | what for |
| --- | --- |
${rows.join('\n')}
`;
}

function pageOf(page: Page, pages: readonly Page[]): string {
  const sections = (Object.keys(headings) as (keyof typeof headings)[]).flatMap((kind) => {
    const members = page.exports.filter((one) => one.kind === kind);
    return members.length === 0 ? [] : [`## ${headings[kind]}`, ...members.map((one) => sectionOf(one, page, pages))];
  });
  return `${[`# \`${page.specifier}\``, generated(page.source), fenced(page.head), ...sections].join('\n\n')}\n`;
}

function sectionOf(one: Exported, page: Page, pages: readonly Page[]): string {
  const links = [...one.uses].toSorted().flatMap((name) => linkTo(name, page, pages));
  const uses = links.length === 0 ? [] : [`See ${links.join(', ')}.`];
  return [`### ${one.name}`, one.doc, `\`\`\`ts\n${one.code}\n\`\`\``, ...uses].join('\n\n');
}

/** On the same page where it is there, else on the first that has it. */
function linkTo(name: string, from: Page, pages: readonly Page[]): readonly string[] {
  const holds = (page: Page): boolean => page.exports.some((one) => one.name === name);
  const target = [from, ...pages].find(holds);
  if (target === undefined) return [];
  return [`[\`${name}\`](${target === from ? '' : target.file}#${name.toLowerCase()})`];
}

/** Drawings in a comment are indented: they stay as drawn. */
const fenced = (text: string): string =>
  text.replaceAll(/(?<=\n)(?: {2,}\S.*\n?)+/g, (drawing) => `\`\`\`\n${drawing.trimEnd()}\n\`\`\`\n`).trimEnd();

const sentenceOf = (text: string): string => (/^[\s\S]*?\.(?=\s|$)/.exec(text)?.[0] ?? text).replaceAll('\n', ' ');
