/** Texts from one worker to the others, by way of the primary. What cannot be delivered is dropped. */
import type { Channel } from './channel.ts';

export const relayTopic = 'relay';

/** `from` and `to` are names that the workers choose for themselves; `to: null` is everybody else. */
export interface Relayed {
  readonly from: string;
  readonly to: string | null;
  readonly text: string;
}

/** The primary's part: called for each worker that is there. `others` are all that live. */
export function relayFor(channel: Channel, others: () => Iterable<Channel>, names: WeakMap<Channel, string>): void {
  channel.on(relayTopic, (body) => {
    if (!isRelayed(body)) return;
    names.set(channel, body.from);
    const rest = [...others()].filter((one) => one !== channel);
    const addressee = body.to === null ? undefined : rest.find((one) => names.get(one) === body.to);
    // Somebody who has said nothing yet has no name here.
    for (const one of addressee === undefined ? rest : [addressee]) one.cast(relayTopic, body);
  });
}

export function isRelayed(body: unknown): body is Relayed {
  if (typeof body !== 'object' || body === null) return false;
  const { from, to, text } = body as Partial<Relayed>;
  return typeof from === 'string' && typeof text === 'string' && (to === null || typeof to === 'string');
}
