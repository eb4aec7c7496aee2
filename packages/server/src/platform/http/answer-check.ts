/** Holds real answers against what their routes declare; a suite passes every answer that it sees through this. */
import { errorTable, ProblemSchema } from '@auth-service/protocol';
import type { FieldError, RouteDefinition } from './route.ts';
import { routeErrors } from './route-errors.ts';
import { compileRoutes } from './route-table.ts';
import { type Check, compileCheck, makeAjv } from './validation.ts';

export interface SeenAnswer {
  readonly method: string;
  /** As sent; the query is taken no notice of. */
  readonly path: string;
  readonly status: number;
  readonly contentType: string | null;
  /** The parsed body where it is JSON. */
  readonly body: unknown;
}

/** Sentences about what does not match; empty when all does. Paths that no route has are held to 404 and 405. */
export function createAnswerCheck(routes: readonly RouteDefinition[]): (seen: SeenAnswer) => readonly string[] {
  const ajv = makeAjv();
  const entries = compileRoutes(routes, ajv);
  const checks = new Map<string, Check | undefined>();
  const checkProblem = compileCheck(ajv, ProblemSchema);

  const checkAnswer = (route: RouteDefinition, seen: SeenAnswer): readonly string[] => {
    const spec = route.answers[seen.status];
    if (spec === undefined) return [`${seen.status} is not declared`];
    if (spec.schema === undefined || seen.method === 'HEAD') return [];
    const key = `${route.method} ${route.path} ${seen.status}`;
    if (!checks.has(key)) checks.set(key, compileCheck(ajv, spec.schema));
    return sentences(checks.get(key)?.(seen.body) ?? []);
  };

  return (seen) => {
    const path = seen.path.split('?', 1)[0] ?? '';
    const entry = entries.find((one) => one.match(path) !== undefined);
    const route = entry?.byMethod.get(seen.method)?.definition;
    if (seen.method === 'HEAD' || seen.status === 204) return [];
    if (seen.contentType?.startsWith('application/problem+json')) {
      const wrong = sentences(checkProblem(seen.body) ?? []);
      if (wrong.length > 0) return wrong;
      const { code, status } = seen.body as { code: keyof typeof errorTable; status: number };
      if (status !== seen.status || errorTable[code].status !== status) return [`${code} came with ${seen.status}`];
      if (code === 'method_not_allowed' || (code === 'not_found' && route === undefined)) return [];
      const allowed = route === undefined ? [] : routeErrors(route);
      return route === undefined || allowed.includes(code) ? [] : [`${code} is not declared`];
    }
    return route === undefined ? [`no route answers ${seen.method} ${path}`] : checkAnswer(route, seen);
  };
}

const sentences = (errors: readonly FieldError[]): readonly string[] =>
  errors.map(({ pointer, code, detail }) => `${pointer === '' ? 'the body' : pointer}: ${code}. ${detail}`);
