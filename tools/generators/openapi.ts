/** `docs/reference/openapi.json`: the API as the routes of this version describe it. */
import { openapiText } from '../../packages/server/src/openapi-text.ts';

export async function generate(): Promise<readonly { path: string; content: string }[]> {
  return [{ path: 'docs/reference/openapi.json', content: `${openapiText()}\n` }];
}
