/** `docs/reference/errors.md`, from the table of error codes. */
import { errorTable, problemType } from '@auth-service/protocol';

const head = `# Errors

<!-- Generated from packages/protocol/src/errors.ts by \`npm run generate\`. -->

Every error is a problem document (RFC 9457), \`application/problem+json\`:

\`\`\`json
{
  "type": "${problemType('validation_failed')}",
  "title": "${errorTable.validation_failed.title}",
  "status": ${errorTable.validation_failed.status},
  "detail": "…",
  "code": "validation_failed",
  "request_id": "…",
  "errors": [{ "pointer": "/user/email", "code": "invalid", "detail": "…" }]
}
\`\`\`

Programs go by \`code\`: it is stable. \`title\` is the same for every error of a code, \`detail\` speaks of this one, \`errors\` stands on
422 only. 401 carries \`WWW-Authenticate\`, 429 and 503 carry \`Retry-After\`, 405 carries \`Allow\`. No error tells more than this
page does: no stack, no SQL, no library's text.

| status | \`code\` | meaning |
| --- | --- | --- |
`;

export function generate(): Promise<readonly { path: string; content: string }[]> {
  const rows = Object.entries(errorTable)
    .toSorted(([a, { status: x }], [b, { status: y }]) => x - y || a.localeCompare(b))
    .map(([code, { status, title }]) => `| ${status} | \`${code}\` | ${title} |\n`);
  return Promise.resolve([{ path: 'docs/reference/errors.md', content: head + rows.join('') }]);
}
