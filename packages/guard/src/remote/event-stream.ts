/** Server-sent events as the feed uses them: the data of each event, in order, whatever the pieces in which it arrives. */
export interface EventReader {
  /** Throws past `bytesMax` characters without the end of an event. */
  push(bytes: Uint8Array): void;
}

export function createEventReader(options: {
  readonly bytesMax: number;
  readonly onData: (data: string) => void;
}): EventReader {
  const decoder = new TextDecoder();
  let rest = '';
  let data: string[] = [];
  let held = 0;

  function line(text: string): void {
    if (text === '') {
      const whole = data.join('\n');
      data = [];
      held = 0;
      if (whole !== '') options.onData(whole);
    } else if (text.startsWith('data:')) {
      const value = text.slice(text.charAt(5) === ' ' ? 6 : 5);
      data.push(value);
      held += value.length;
    }
    // Names, ids, times to wait and comments do not matter here.
  }

  return {
    push(bytes) {
      rest += decoder.decode(bytes, { stream: true });
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? '';
      for (const text of lines) line(text);
      if (rest.length + held > options.bytesMax) throw new Error('an event of the feed is too long');
    },
  };
}
