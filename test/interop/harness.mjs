// How a script and the Go test that started it talk: a line of JSON each, on stdout and stdin.
import assert from 'node:assert/strict';
import { createInterface } from 'node:readline';

// The OAuthClient to be.
export const client = JSON.parse(process.env.CLIENT);

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function ask(question) {
  process.stdout.write(JSON.stringify(question) + '\n');
  const { value, done } = await answers.next();
  assert(!done, 'nobody answers');
  return JSON.parse(value);
}

// Has dora's browser go to an address, where she decides as she is told, and returns the request with which it arrives at the
// application. `asked` are the buttons that she pressed on the way.
export async function visit(address, { press = 'allow', code = '' } = {}) {
  const { url, method, body, asked } = await ask({ visit: String(address), press, code });
  const headers = body ? { 'content-type': 'application/x-www-form-urlencoded' } : {};
  return Object.assign(new Request(url, { method, body, headers }), { asked: asked ?? [] });
}

// The client's private key for an algorithm, as both libraries take it.
const webCrypto = {
  ES256: { name: 'ECDSA', namedCurve: 'P-256' },
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  PS256: { name: 'RSA-PSS', hash: 'SHA-256' },
  EdDSA: 'Ed25519',
};

export async function privateKey(algorithm) {
  const { use, alg, ...jwk } = client.keys[algorithm];
  return { key: await crypto.subtle.importKey('jwk', jwk, webCrypto[algorithm], false, ['sign']), kid: jwk.kid };
}

// Runs the scenario that the command line names, and reports what it returns.
export async function run(scenarios) {
  const result = await scenarios[process.argv[2]]();
  process.stdout.write(JSON.stringify({ result: result ?? {} }) + '\n');
  process.stdin.destroy();
}
