// @modelcontextprotocol/sdk: an MCP client, whose authorization is found from the MCP server's answers.
import assert from 'node:assert/strict';
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { ClientCredentialsProvider, PrivateKeyJwtProvider } from '@modelcontextprotocol/sdk/client/auth-extensions.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { client, run, visit } from './harness.mjs';

const server = new URL(client.resource);

// What the SDK asks an application to remember.
class Memory {
  redirectUrl = client.redirectUri;
  clientMetadata = { client_name: 'assistant', redirect_uris: [client.redirectUri] };
  clientInformation() { return { client_id: client.clientId, client_secret: client.clientSecret, issuer: client.issuer }; }
  tokens() { return this.saved; }
  saveTokens(tokens) { this.saved = tokens; }
  codeVerifier() { return this.verifier; }
  saveCodeVerifier(verifier) { this.verifier = verifier; }
  redirectToAuthorization(address) { this.address = address; }
}

async function whoami(authProvider) {
  const assistant = new Client({ name: 'assistant', version: '1' });
  await assistant.connect(new StreamableHTTPClientTransport(server, { authProvider }));
  const answer = await assistant.callTool({ name: 'whoami' });
  await assistant.close();
  return answer.content[0].text;
}

async function authorize(memory) {
  const transport = new StreamableHTTPClientTransport(server, { authProvider: memory });
  await assert.rejects(new Client({ name: 'assistant', version: '1' }).connect(transport), UnauthorizedError);
  const back = new URL((await visit(memory.address)).url).searchParams;
  await transport.finishAuth(back.get('code'));
}

await run({
  async code() {
    const memory = new Memory();
    await authorize(memory);
    return { caller: await whoami(memory) };
  },

  async refresh() {
    const memory = new Memory();
    await authorize(memory);
    const before = memory.tokens();
    memory.saveTokens({ ...before, access_token: 'expired' });
    const caller = await whoami(memory);
    assert.notEqual(memory.tokens().refresh_token, before.refresh_token);
    return { caller };
  },

  async client_credentials() {
    const { clientId, clientSecret, issuer } = client;
    return { caller: await whoami(new ClientCredentialsProvider({ clientId, clientSecret, expectedIssuer: issuer })) };
  },

  async client_credentials_with_private_key_jwt() {
    let caller;
    for (const algorithm of ['ES256', 'RS256', 'PS256', 'EdDSA']) {
      const { clientId, issuer } = client;
      caller = await whoami(new PrivateKeyJwtProvider({ clientId, privateKey: client.keys[algorithm], algorithm, expectedIssuer: issuer }));
    }
    return { caller };
  },
});
