/** `docs/reference/security-coverage.md`, from the titles of the tests. */
import { type Covered, coveredIds, families, inOrder } from '../tidy/covered-ids.ts';
import { projectFiles, readProjectFile } from '../tidy/files.ts';

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('<', '&lt;');

function section([family, name]: readonly [string, string], covered: readonly Covered[]): string {
  const rows = covered.filter(({ id }) => id.startsWith(`${family}-`));
  if (rows.length === 0) return '';
  const lines = rows.map(
    ({ id, title, file }) => `| ${id} | ${cell(title)} | [${file.split('/').at(-1)}](../../${file}) |\n`,
  );
  return `\n## ${name}\n\n| id | what the test holds | where |\n| --- | --- | --- |\n${lines.join('')}`;
}

export function generate(): Promise<readonly { path: string; content: string }[]> {
  const tests = projectFiles().filter((path) => /^(packages|tests|tools)\/.*\.(test|contract)\.ts$/.test(path));
  const covered = inOrder(tests.flatMap((path) => coveredIds(path, readProjectFile(path))));
  const ids = new Set(covered.map(({ id }) => id));
  const content = `# Security: what is held by tests

<!-- Generated from the titles of the tests by \`npm run generate\`. -->

Each requirement has a stable id, and a test that covers it begins its title with the id. ${ids.size} of them are covered by
${covered.length} tests.
${Object.entries(families)
  .map((family) => section(family, covered))
  .join('')}`;
  return Promise.resolve([{ path: 'docs/reference/security-coverage.md', content }]);
}
