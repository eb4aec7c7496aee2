/** Hints between the workers of one machine, by way of their primary. Nobody else can write to that channel. */
import { type Channel, isRelayed, relayTopic } from '../../platform/workers/index.ts';
import type { HintTransport } from './transport.ts';

const textLengthMax = 64 * 1024;

export function createIpcTransport(deps: { readonly channel: Channel; readonly incarnation: string }): HintTransport {
  const { channel, incarnation: from } = deps;
  let isStopped = false;

  function send(to: string | null, text: string): void {
    if (!isStopped && text.length <= textLengthMax) channel.cast(relayTopic, { from, to, text });
  }

  return {
    name: 'ipc',
    async start(onMessage) {
      isStopped = false;
      channel.on(relayTopic, (body) => {
        if (isStopped || !isRelayed(body) || body.from === from || (body.to !== null && body.to !== from)) return;
        onMessage(body.from, body.text);
      });
    },
    broadcast: (text) => send(null, text),
    sendTo: (incarnation, text) => send(incarnation, text),
    async stop() {
      isStopped = true;
    },
  };
}
