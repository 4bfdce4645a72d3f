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

// Each has alice's browser go to an address, press what she is said to press on the pages that come, and returns the request
// with which she arrives at the application.
export const visit = async (address, press = 'allow') => {
  const { url, method, body } = await ask({ visit: String(address), press });
  return new Request(url, { method, body, headers: body ? { 'content-type': 'application/x-www-form-urlencoded' } : {} });
};

// Runs the scenario that the command line names, and reports what it returns.
export async function run(scenarios) {
  const result = await scenarios[process.argv[2]]();
  process.stdout.write(JSON.stringify({ result: result ?? {} }) + '\n');
  process.stdin.destroy();
}
