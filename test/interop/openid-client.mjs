// openid-client v6: OpenID Connect relying party.
import assert from 'node:assert/strict';
import * as oidc from 'openid-client';
import { client, run, visit } from './harness.mjs';

// Every response is verified with the keys of jwks_uri, which the specification leaves to TLS.
const discover = async (authentication, metadata) => {
  const config = await oidc.discovery(new URL(client.issuer), client.clientId, metadata ?? client.clientSecret, authentication);
  oidc.enableNonRepudiationChecks(config);
  return config;
};

// The authorization code flow, with all that protects it.
async function signIn(config, parameters = {}, press, checks = {}) {
  const verifier = oidc.randomPKCECodeVerifier();
  const expected = { expectedState: oidc.randomState(), expectedNonce: oidc.randomNonce(), pkceCodeVerifier: verifier, idTokenExpected: true };
  const address = oidc.buildAuthorizationUrl(config, {
    redirect_uri: client.redirectUri,
    scope: 'openid profile email',
    code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state: expected.expectedState,
    nonce: expected.expectedNonce,
    ...parameters,
  });
  return oidc.authorizationCodeGrant(config, await visit(address, press), { ...expected, ...checks });
}

const userinfo = (config, tokens) => oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);

const code = (authentication) => async () => {
  const config = await discover(authentication?.(client.clientSecret));
  const tokens = await signIn(config);
  return { claims: tokens.claims(), userinfo: await userinfo(config, tokens), scope: tokens.scope };
};

const refused = (error) => (e) => e.error === error || e.cause?.error === error || assert.fail(e);

await run({
  code_with_client_secret_basic: code(oidc.ClientSecretBasic),
  code_with_client_secret_post: code(oidc.ClientSecretPost),
  code_of_a_public_client: code(oidc.None),

  async resource() {
    const config = await discover();
    const tokens = await signIn(config, { scope: 'openid orders.read orders.write', resource: client.resource });
    return { scope: tokens.scope, accessToken: tokens.access_token };
  },

  async deny() {
    await assert.rejects(signIn(await discover(), {}, 'deny'), refused('access_denied'));
  },

  async prompt_none_of_a_stranger() {
    await assert.rejects(signIn(await discover(), { prompt: 'none' }), refused('login_required'));
  },

  async max_age() {
    const config = await discover();
    const tokens = await signIn(config, { max_age: '60' }, 'allow', { maxAge: 60 });
    const { auth_time } = tokens.claims();
    return { auth_time };
  },

  async replay() {
    const config = await discover();
    const exchange = oidc.authorizationCodeGrant;
    const verifier = oidc.randomPKCECodeVerifier();
    const address = oidc.buildAuthorizationUrl(config, {
      redirect_uri: client.redirectUri, scope: 'openid',
      code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
    });
    const back = new URL((await visit(address)).url);
    const tokens = await exchange(config, back, { pkceCodeVerifier: verifier });
    await userinfo(config, tokens);
    await assert.rejects(exchange(config, back, { pkceCodeVerifier: verifier }), refused('invalid_grant'));
    await assert.rejects(userinfo(config, tokens));
  },
});
