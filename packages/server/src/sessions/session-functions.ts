/**
 * What Redis does with sessions, one function a verb, each one step there.
 *
 * A session is one text: seven numbers (counter, last rotation, last use, absolute end, epoch, authentication, beginning; times
 * in milliseconds by the clock of Redis) and a JSON list of what never changes. It lives as long as its refresh token could.
 * Beside it the user has a sorted set of session ids by last use. Both carry the user's id as hash tag, so one slot has all.
 */
import { redisFunction } from '../platform/redis/index.ts';

const common = `
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
local function parse(value)
  if not value then return nil end
  local c, r, s, e, p, a, b, rest = string.match(value, '^(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (.*)$')
  return { counter = tonumber(c), rotated = tonumber(r), seen = tonumber(s), ends = tonumber(e), epoch = tonumber(p),
    auth = tonumber(a), began = tonumber(b), rest = rest }
end
local function write(key, s, ttl)
  local head = string.format('%d %d %d %d %d %d %d ', s.counter, s.rotated, s.seen, s.ends, s.epoch, s.auth, s.began)
  redis.call('SET', key, head .. s.rest, 'PX', math.max(1, ttl))
end
local function lengthen(index, ttl)
  if redis.call('PTTL', index) < ttl then redis.call('PEXPIRE', index, ttl) end
end
local function drop(key, index, id)
  redis.call('ZREM', index, id)
  return redis.call('DEL', key)
end
-- A key of another session of the same user: the same but for the id at its end.
local function beside(key, id)
  return string.sub(key, 1, -37) .. id
end
`;

const numberOf = (value: unknown): number => {
  if (typeof value !== 'number') throw new Error('a function of Redis answered no number');
  return value;
};
const textOf = (value: unknown): string => {
  if (typeof value !== 'string') throw new Error('a function of Redis answered no text');
  return value;
};
const listOf = (value: unknown): readonly unknown[] => {
  if (!Array.isArray(value)) throw new Error('a function of Redis answered no list');
  return value;
};

/** What never changes in a session. */
export interface FixedPart {
  readonly amr: readonly string[];
  readonly acr: 'aal1' | 'aal2';
  readonly ip: string | null;
  readonly userAgent: string | null;
}

export const writeFixed = ({ amr, acr, ip, userAgent }: FixedPart): string => JSON.stringify([amr, acr, ip, userAgent]);

export function readFixed(text: string): FixedPart {
  const [amr, acr, ip, userAgent] = JSON.parse(text) as [string[], 'aal1' | 'aal2', string | null, string | null];
  return { amr, acr, ip, userAgent };
}

export interface Aged {
  readonly id: string;
  readonly ageMs: number;
}

const agedOf = (reply: unknown): readonly Aged[] =>
  listOf(reply).map((entry) => {
    const [id, ageMs] = listOf(entry);
    return { id: textOf(id), ageMs: numberOf(ageMs) };
  });

/**
 * ARGV: id, epoch, idle ms, life ms, limit, fixed part. Answers the moment, the milliseconds that the token lives, and the least
 * recently used sessions above the limit. What has expired, or was begun before the epoch, counts no more.
 */
export const createFunction = redisFunction(
  'sessions_create',
  2,
  `${common}
local id, idle, life, limit = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local t, epoch = now(), tonumber(ARGV[2])
local ttl = math.min(idle, life)
write(KEYS[1], { counter = 0, rotated = 0, seen = t, ends = t + life, epoch = epoch, auth = t, began = t, rest = ARGV[6] }, ttl)
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', t - idle)
redis.call('ZADD', KEYS[2], t, id)
lengthen(KEYS[2], ttl)
local over = {}
if redis.call('ZCARD', KEYS[2]) > limit then
  local live = {}
  for _, other in ipairs(redis.call('ZRANGE', KEYS[2], 0, -1)) do
    if other ~= id then
      local key = beside(KEYS[1], other)
      local s = parse(redis.call('GET', key))
      if s and s.epoch >= epoch then live[#live + 1] = { other, t - s.began } else drop(key, KEYS[2], other) end
    end
  end
  for i = 1, #live - (limit - 1) do over[i] = live[i] end
end
return { t, ttl, over }`,
  (reply) => {
    const [nowMs, ttlMs, over] = listOf(reply);
    return { nowMs: numberOf(nowMs), ttlMs: numberOf(ttlMs), over: agedOf(over) };
  },
);

export interface RotatedThere {
  readonly won: boolean;
  readonly counter: number;
  readonly rotatedMsAgo: number | null;
  readonly ttlMs: number;
  readonly endsInMs: number;
  readonly authMs: number;
  readonly fixed: FixedPart;
  /** When it was rotated before; for \`takeBack\`. */
  readonly rotatedBeforeMs: number;
}

/**
 * The rotation. ARGV: id, presented counter, the user's epoch, idle ms. A counter at or ahead of the session's wins: ahead means
 * that Redis has lost a rotation. One just behind writes the session as it is, so that who waits for replicas after this waits
 * for the rotation whose answer it repeats.
 */
export const rotateFunction = redisFunction(
  'sessions_rotate',
  2,
  `${common}
local s = parse(redis.call('GET', KEYS[1]))
if not s then return false end
local t, presented = now(), tonumber(ARGV[2])
if s.epoch < tonumber(ARGV[3]) or s.ends <= t then
  drop(KEYS[1], KEYS[2], ARGV[1])
  return false
end
local before = s.rotated
if s.counter <= presented then
  s.counter = presented + 1
  s.rotated = t
  s.seen = math.max(s.seen, t)
  local ttl = math.min(tonumber(ARGV[4]), s.ends - t)
  write(KEYS[1], s, ttl)
  redis.call('ZADD', KEYS[2], s.seen, ARGV[1])
  lengthen(KEYS[2], ttl)
  return { 1, s.counter, 0, ttl, s.ends - t, s.auth, s.rest, before }
end
local ttl = redis.call('PTTL', KEYS[1])
if s.counter == presented + 1 then write(KEYS[1], s, ttl) end
local ago = s.rotated == 0 and -1 or t - s.rotated
return { 0, s.counter, ago, ttl, s.ends - t, s.auth, s.rest, before }`,
  (reply): RotatedThere | null => {
    if (reply === null) return null;
    const [won, counter, ago, ttlMs, endsInMs, authMs, fixed, before] = listOf(reply);
    return {
      won: won === 1,
      counter: numberOf(counter),
      rotatedMsAgo: numberOf(ago) < 0 ? null : numberOf(ago),
      ttlMs: numberOf(ttlMs),
      endsInMs: numberOf(endsInMs),
      authMs: numberOf(authMs),
      fixed: readFixed(textOf(fixed)),
      rotatedBeforeMs: numberOf(before),
    };
  },
);

/** Undoes a rotation that no answer told of, unless its successor was used. ARGV: presented counter, when it was rotated before. */
export const takeBackFunction = redisFunction(
  'sessions_take_back',
  1,
  `${common}
local s = parse(redis.call('GET', KEYS[1]))
if not s or s.counter ~= tonumber(ARGV[1]) + 1 then return 0 end
s.counter = tonumber(ARGV[1])
s.rotated = tonumber(ARGV[2])
write(KEYS[1], s, redis.call('PTTL', KEYS[1]))
return 1`,
  (reply) => reply === 1,
);

export interface StoredThere {
  readonly id: string;
  readonly epoch: number;
  readonly seenMs: number;
  readonly beganMs: number;
  readonly ageMs: number;
  readonly endsMs: number;
  readonly fixed: FixedPart;
}

function storedOf(entry: unknown): StoredThere {
  const [id, epoch, seen, began, age, ends, fixed] = listOf(entry);
  return {
    id: textOf(id),
    epoch: numberOf(epoch),
    seenMs: numberOf(seen),
    beganMs: numberOf(began),
    ageMs: numberOf(age),
    endsMs: numberOf(ends),
    fixed: readFixed(textOf(fixed)),
  };
}

/** ARGV: id. */
export const findFunction = redisFunction(
  'sessions_find',
  1,
  `${common}
local s = parse(redis.call('GET', KEYS[1]))
if not s then return false end
local t = now()
return { ARGV[1], s.epoch, s.seen, s.began, t - s.began, t + redis.call('PTTL', KEYS[1]), s.rest }`,
  (reply) => (reply === null ? null : storedOf(reply)),
);

/** KEYS: of any session of the user, the index. ARGV: how many. The newest first; ids begin with their time. */
export const listFunction = redisFunction(
  'sessions_list',
  2,
  `${common}
local ids = redis.call('ZRANGE', KEYS[2], 0, -1)
table.sort(ids, function(a, b) return a > b end)
local t, found = now(), {}
for _, id in ipairs(ids) do
  if #found >= tonumber(ARGV[1]) then break end
  local key = beside(KEYS[1], id)
  local s = parse(redis.call('GET', key))
  if s then
    found[#found + 1] = { id, s.epoch, s.seen, s.began, t - s.began, t + redis.call('PTTL', key), s.rest }
  else
    redis.call('ZREM', KEYS[2], id)
  end
end
return found`,
  (reply) => listOf(reply).map(storedOf),
);

/** KEYS: of any session of the user, the index. ARGV: ids. */
export const forgetFunction = redisFunction(
  'sessions_forget',
  2,
  `${common}
local gone = 0
for _, id in ipairs(ARGV) do gone = gone + drop(beside(KEYS[1], id), KEYS[2], id) end
return gone`,
  numberOf,
);

/** ARGV: id, milliseconds. */
export const touchFunction = redisFunction(
  'sessions_touch',
  2,
  `${common}
local s = parse(redis.call('GET', KEYS[1]))
local ms = tonumber(ARGV[2])
if not s or ms <= s.seen then return 0 end
s.seen = ms
write(KEYS[1], s, redis.call('PTTL', KEYS[1]))
redis.call('ZADD', KEYS[2], ms, ARGV[1])
return 1`,
  numberOf,
);
