/** The description of the API where pages may ask for cookies. */
import { CookieAnswerSchema, TokenAnswerSchema, Type } from '@auth-service/protocol';
import type { AnswerSpec, RouteDefinition } from '../platform/http/index.ts';

const either = Type.Union([TokenAnswerSchema, CookieAnswerSchema]);

export const withCookieAnswers = (routes: readonly RouteDefinition[]): readonly RouteDefinition[] =>
  routes.map((route) => ({
    ...route,
    answers: Object.fromEntries(Object.entries(route.answers).map(([status, spec]) => [status, eitherWay(spec)])),
  }));

const eitherWay = (spec: AnswerSpec): AnswerSpec =>
  spec.schema === TokenAnswerSchema
    ? {
        ...spec,
        schema: either,
        headers: { ...spec.headers, 'Set-Cookie': 'The tokens, where cookies were asked for' },
      }
    : spec;
