/**
 * Answers to what never became a request: bytes that are no HTTP, too long a header block, a request that does not
 * arrive in time. The connection gets exactly one answer and is closed; nothing after a parse error is believed.
 */
import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { makeProblem } from './problem.ts';
import { refusal } from './route.ts';
import { baseHeaders } from './security-headers.ts';

/** The answer that a socket is working on, so that an error behind it does not answer in its place. */
export const currentResponse = Symbol('the response in work on this socket');

/** Set on a response whose request was answered as a client error. */
export const answeredRaw = Symbol('the request of this response was answered as a client error');

export interface TrackedResponse extends ServerResponse {
  [answeredRaw]?: true;
}

export interface TrackedSocket extends Duplex {
  [currentResponse]?: TrackedResponse;
  readonly bytesRead?: number;
}

export interface ClientErrorOptions {
  readonly realm: string;
  newRequestId(): string;
  onAnswer(status: number, requestId: string): void;
}

const reasons: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
};

const codeOf = (error: NodeJS.ErrnoException) => {
  if (error.code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large' as const;
  if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request_timeout' as const;
  return 'bad_request' as const;
};

export function createClientErrorHandler(
  options: ClientErrorOptions,
): (error: NodeJS.ErrnoException, socket: Duplex) => void {
  return (error, socket: TrackedSocket) => {
    // `HPE_INVALID_EOF_STATE`: the client left in the middle of its request.
    if (error.code === 'ECONNRESET' || error.code === 'HPE_INVALID_EOF_STATE' || !socket.writable) {
      socket.destroy();
      return;
    }
    const current = socket[currentResponse];
    const answer = (): void => answerRaw(socket, codeOf(error), options);
    if (current === undefined || current.writableFinished) answer();
    else if (current.req.complete) {
      // The error is behind a whole request: its answer goes first.
      current.once('finish', answer);
      current.once('close', () => socket.destroy());
    } else if (current.headersSent) socket.destroy();
    else {
      current[answeredRaw] = true;
      answer();
    }
  };
}

/** For `CONNECT`, which Node hands over as a bare socket: nobody else listens to its errors, and one unheard ends the process. */
export function answerConnect(socket: TrackedSocket, options: ClientErrorOptions): void {
  socket.on('error', () => socket.destroy());
  const current = socket[currentResponse];
  if (current !== undefined && !current.writableFinished) {
    // Behind a request whose answer is not out: ours would be taken for it.
    socket.destroy();
    return;
  }
  answerRaw(socket, 'method_not_allowed', options, ['Allow', '']);
}

function answerRaw(
  socket: Duplex,
  code: ReturnType<typeof codeOf> | 'method_not_allowed',
  options: ClientErrorOptions,
  extra: readonly string[] = [],
): void {
  if (!socket.writable) return;
  const requestId = options.newRequestId();
  const problem = makeProblem(refusal(code), requestId, options.realm);
  const headers = [
    ...baseHeaders('encrypted' in socket),
    'X-Request-Id',
    requestId,
    ...problem.headers,
    ...extra,
    'Content-Length',
    String(Buffer.byteLength(problem.body)),
    'Connection',
    'close',
  ];
  let head = `HTTP/1.1 ${problem.status} ${reasons[problem.status]}\r\n`;
  for (let at = 0; at < headers.length; at += 2) head += `${headers[at]}: ${headers[at + 1]}\r\n`;
  socket.end(`${head}\r\n${problem.body}`, () => socket.destroy());
  options.onAnswer(problem.status, requestId);
}
