/** `docs/reference/configuration.md` and `.env.example`, from the table of settings. */
import { exampleFile, settingsPage } from '../../packages/server/src/platform/config/index.ts';
import { settingsTable } from '../../packages/server/src/settings-table.ts';

const source = 'packages/server/src/settings-table.ts';

const head = `# Configuration

<!-- Generated from ${source} by \`npm run generate\`. -->

The service is configured by environment variables. A \`.env\` file in the working directory is read too; the real environment
wins over it. \`npx auth-service config\` shows what is in force, secrets masked.

- Wrong, weak and contradictory values stop the start: exit code 1, and a line for each that names the variable, what is wrong,
  and what to set. So does a name that is a letter or two away from one of these (\`JWT_SECERT\`). A name that only begins like one
  of these is a warning.
- An empty variable counts as none, except for the secrets that must be strong: an empty one is a mistake.
- Every secret \`X\` can be read from a file named by \`X_FILE\`, as Docker and Kubernetes mount them. A line break at the end of
  the file is no part of the secret.
- What Kubernetes injects for services (\`REDIS_PORT=tcp://…\`, \`DB_SERVICE_HOST\`) is recognised and ignored.
- Durations are whole seconds unless said otherwise.

`;

const exampleHead = `# Every variable of the service, none of them set: copy to .env and uncomment what you need.
# Generated from ${source} by \`npm run generate\`; docs/reference/configuration.md is the same as a page.
#
# Without any of them the service starts on an embedded store in ./data and makes its own root secret.

`;

export function generate(): Promise<readonly { path: string; content: string }[]> {
  return Promise.resolve([
    { path: 'docs/reference/configuration.md', content: head + settingsPage(settingsTable) },
    { path: '.env.example', content: `${(exampleHead + exampleFile(settingsTable)).trimEnd()}\n` },
  ]);
}
