// node-oidc-provider as a contestant of `make bench`, with what it needs to do the work of the others and no more. It listens on
// 127.0.0.1 at the port that is its argument.
//
//   resource=urn:bench:ES256, urn:bench:RS256   access tokens are JWTs (RFC 9068), signed so
//   resource=urn:bench:opaque                   access tokens are opaque: its introspection endpoint refuses JWTs
//
// Client `bench`, secret `bench-secret`, may use client_credentials and the code flow with PKCE; its ID tokens are signed with ES256.
// Whoever comes to sign in is signed in as alice, and has approved everything.
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import { Provider } from 'oidc-provider';

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;

// Memory keeps everything in Maps, until the process ends. The adapter that the package brings for trials holds a thousand entries,
// and looks at all codes of a grant when there is another one, which costs more the longer a run is.
class Memory {
  #entries = new Map();
  #byUid = new Map();
  #byGrant = new Map();
  async upsert(id, payload) {
    this.#entries.set(id, payload);
    if (payload.uid) this.#byUid.set(payload.uid, id);
    if (payload.grantId) {
      if (!this.#byGrant.has(payload.grantId)) this.#byGrant.set(payload.grantId, new Set());
      this.#byGrant.get(payload.grantId).add(id);
    }
  }
  async find(id) { return this.#entries.get(id); }
  async findByUid(uid) { return this.#entries.get(this.#byUid.get(uid)); }
  async findByUserCode() { return undefined; }
  async consume(id) { this.#entries.get(id).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { this.#entries.delete(id); }
  async revokeByGrantId(grantId) {
    for (const id of this.#byGrant.get(grantId) ?? []) this.#entries.delete(id);
    this.#byGrant.delete(grantId);
  }
}

const memories = new Map();
const adapter = (model) => {
  if (!memories.has(model)) memories.set(model, new Memory());
  return memories.get(model);
};

// resourceServer says how the access tokens for a resource are made.
function resourceServer(ctx, resource) {
  const algorithm = resource.slice('urn:bench:'.length);
  return {
    scope: 'orders.read', audience: resource, accessTokenTTL: 600,
    ...(algorithm === 'opaque' ? { accessTokenFormat: 'opaque' } : { accessTokenFormat: 'jwt', jwt: { sign: { alg: algorithm } } }),
  };
}

// approved is the grant of a session, made at its first request: nobody is asked.
async function approved(ctx) {
  const { session, client, provider, params } = ctx.oidc;
  const id = session.grantIdFor(client.clientId);
  if (id) return provider.Grant.find(id);
  const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
  grant.addOIDCScope('openid');
  grant.addResourceScope(params.resource, 'orders.read');
  await grant.save();
  return grant;
}

const key = (type, options) => generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' });

const provider = new Provider(issuer, {
  adapter,
  clients: [{
    client_id: 'bench', client_secret: 'bench-secret', token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['client_credentials', 'authorization_code'], response_types: ['code'], redirect_uris: ['https://client.example/callback'],
    id_token_signed_response_alg: 'ES256',
  }],
  jwks: { keys: [{ ...key('ec', { namedCurve: 'P-256' }), alg: 'ES256', use: 'sig' }, { ...key('rsa', { modulusLength: 2048 }), alg: 'RS256', use: 'sig' }] },
  cookies: { keys: [randomBytes(32).toString('base64')] },
  findAccount: (ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  interactions: { url: (ctx, interaction) => `/sign-in/${interaction.uid}` },
  loadExistingGrant: approved,
  pkce: { required: () => true },
  ttl: { AuthorizationCode: 60, ClientCredentials: 3600, Grant: 43200, IdToken: 600, Interaction: 600, Session: 43200 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true },
    resourceIndicators: { enabled: true, getResourceServerInfo: resourceServer, useGrantedResource: () => true },
  },
});

const serve = provider.callback();
createServer(async (request, response) => {
  if (request.url.startsWith('/sign-in/')) {
    await provider.interactionFinished(request, response, { login: { accountId: 'alice' } });
    return;
  }
  serve(request, response);
}).listen(port, '127.0.0.1');
