/** A guarded service beside the service, as a program: a token is let through, and refused once the feed has told of its end. */
import { createGuard } from '@auth-service/guard';
import { createDoor } from '@auth-service/guard/web';
import { apiKey, startFakeService } from '../guard/fake-service.ts';

const service = await startFakeService();
const guard = createGuard({ issuer: service.url, audience: 'orders', apiKey });
const answer = createDoor(guard).requireAuth()(({ auth }) => new Response(auth.sessionId));
const { forge } = service;
const sid = '018f0000-0000-7000-8000-000000000001';
const call = () =>
  answer(new Request('http://orders/', { headers: { authorization: `Bearer ${forge.token({ claims: { sid } })}` } }));

await guard.ready();
const before = await call();
service.revoke({ kind: 'session', subject: sid });
let after = await call();
for (let tries = 0; after.status === 200 && tries < 500; tries += 1) {
  await new Promise((resolve) => setTimeout(resolve, 20));
  after = await call();
}
console.log(before.status, await before.text(), after.status, ((await after.json()) as { code: string }).code);
await guard.close();
await service.close();
