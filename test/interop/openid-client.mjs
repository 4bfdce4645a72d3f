// openid-client v6: an OpenID Connect relying party.
import assert from 'node:assert/strict';
import * as oidc from 'openid-client';
import { client, privateKey, run, visit } from './harness.mjs';

// Every response is verified with the keys of jwks_uri, though TLS alone would do.
async function discover(authentication, { clientId, clientSecret } = client, metadata = {}) {
  const config = await oidc.discovery(new URL(client.issuer), clientId, { client_secret: clientSecret, ...metadata }, authentication);
  oidc.enableNonRepudiationChecks(config);
  return config;
}

const withKey = async (algorithm) => discover(oidc.PrivateKeyJwt(await privateKey(algorithm)));

// The authorization code flow, with all that protects it.
async function signIn(config, parameters = {}, { press, target, ...checks } = {}) {
  const expected = { expectedState: oidc.randomState(), expectedNonce: oidc.randomNonce(), pkceCodeVerifier: oidc.randomPKCECodeVerifier(), idTokenExpected: true };
  const { resources = [], ...others } = parameters;
  const query = new URLSearchParams({
    redirect_uri: client.redirectUri,
    scope: 'openid profile email',
    code_challenge: await oidc.calculatePKCECodeChallenge(expected.pkceCodeVerifier),
    code_challenge_method: 'S256',
    state: expected.expectedState,
    nonce: expected.expectedNonce,
    ...others,
  });
  for (const resource of resources) query.append('resource', resource);
  const back = await visit(oidc.buildAuthorizationUrl(config, query), { press });
  const tokens = await oidc.authorizationCodeGrant(config, back.method === 'POST' ? back : new URL(back.url), { ...expected, ...checks }, target);
  return Object.assign(tokens, { asked: back.asked });
}

const userinfo = (config, tokens) => oidc.fetchUserInfo(config, tokens.access_token, tokens.claims().sub);

const report = async (config, tokens) => ({ claims: tokens.claims(), userinfo: await userinfo(config, tokens) });

const code = (authentication, parameters) => async () => {
  const config = await discover(authentication?.(client.clientSecret));
  return report(config, await signIn(config, parameters));
};

const refused = (error) => (e) => e.error === error || assert.fail(e);
const unauthorized = (e) => e.cause?.[0]?.parameters?.error === 'invalid_token' || e.status === 401 || assert.fail(e);

await run({
  code_with_client_secret_basic: code(oidc.ClientSecretBasic),
  code_with_client_secret_post: code(oidc.ClientSecretPost),
  code_of_a_public_client: code(oidc.None),
  code_by_form_post: code(undefined, { response_mode: 'form_post' }),

  async code_with_private_key_jwt() {
    const config = await withKey('ES256');
    return report(config, await signIn(config));
  },

  async deny() {
    await assert.rejects(signIn(await discover(), {}, { press: 'deny' }), refused('access_denied'));
  },

  async prompt_none_of_a_stranger() {
    await assert.rejects(signIn(await discover(), { prompt: 'none' }), refused('login_required'));
  },

  // What was approved is remembered, within the session, where an application is not on the user's machine.
  async prompt_none_and_login() {
    const config = await discover();
    const first = await signIn(config);
    assert.equal(first.asked[0], 'sign-in');
    const silent = await signIn(config, { prompt: 'none', id_token_hint: first.id_token });
    assert.deepEqual(silent.asked, []);
    assert.equal(silent.claims().sid, first.claims().sid);
    const again = await signIn(config, { prompt: 'login' });
    assert.deepEqual(again.asked, ['sign-in']);
    assert.deepEqual((await signIn(config, { prompt: 'consent' })).asked, ['allow']);
    assert.deepEqual((await signIn(config, { max_age: '0' }, { maxAge: 10 })).asked, ['sign-in']);
    return report(config, again);
  },

  async max_age() {
    const config = await discover();
    return report(config, await signIn(config, { max_age: '60' }, { maxAge: 60 }));
  },

  async claims_parameter() {
    const config = await discover();
    const claims = { id_token: { email: { essential: true }, auth_time: null }, userinfo: { given_name: null, zoneinfo: null } };
    const tokens = await signIn(config, { scope: 'openid', claims: JSON.stringify(claims) });
    return report(config, tokens);
  },

  async signed_userinfo() {
    const config = await discover(undefined, client, { userinfo_signed_response_alg: 'ES256', id_token_signed_response_alg: 'ES256' });
    return report(config, await signIn(config));
  },

  async replay() {
    const config = await discover();
    const pkceCodeVerifier = oidc.randomPKCECodeVerifier();
    const back = new URL((await visit(oidc.buildAuthorizationUrl(config, {
      redirect_uri: client.redirectUri, scope: 'openid',
      code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
    }))).url);
    const tokens = await oidc.authorizationCodeGrant(config, back, { pkceCodeVerifier });
    await userinfo(config, tokens);
    await assert.rejects(oidc.authorizationCodeGrant(config, back, { pkceCodeVerifier }), refused('invalid_grant'));
    await assert.rejects(userinfo(config, tokens), unauthorized);
  },

  // Two resources, and a token for each (RFC 8707).
  async resources() {
    const config = await discover();
    const stock = 'https://stock.interop.svc';
    const tokens = await signIn(config, { scope: 'openid orders.read stock.read offline_access', resources: [client.resource, stock] }, { target: { resource: client.resource } });
    let { refresh_token } = tokens;
    const of = async (parameters) => {
      const renewed = await oidc.refreshTokenGrant(config, refresh_token, parameters);
      ({ refresh_token } = renewed);
      return renewed.scope;
    };
    await assert.rejects(of({ resource: 'https://elsewhere.interop.svc' }), refused('invalid_target'));
    return {
      orders: await of({ resource: client.resource }),
      stock: await of({ resource: stock }),
      less: await of({ resource: client.resource, scope: 'orders.read' }),
    };
  },

  // A new refresh token each time; the last one again for a client that lost the answer; and an older one ends it all.
  async refresh() {
    const config = await discover();
    const first = await signIn(config, { scope: 'openid profile email orders.read offline_access' });
    const second = await oidc.refreshTokenGrant(config, first.refresh_token);
    assert.notEqual(second.refresh_token, first.refresh_token);
    assert.equal(second.claims().sub, first.claims().sub);
    assert.equal(second.claims().auth_time, first.claims().auth_time);
    const retried = await oidc.refreshTokenGrant(config, first.refresh_token);
    assert.equal(retried.refresh_token, second.refresh_token);
    await assert.rejects(oidc.refreshTokenGrant(config, second.refresh_token, { scope: 'orders.write' }), refused('invalid_scope'));
    const third = await oidc.refreshTokenGrant(config, second.refresh_token);
    const reported = await report(config, third);
    await assert.rejects(oidc.refreshTokenGrant(config, first.refresh_token), refused('invalid_grant'));
    await assert.rejects(oidc.refreshTokenGrant(config, third.refresh_token), refused('invalid_grant'));
    await assert.rejects(userinfo(config, third), unauthorized);
    return reported;
  },

  async refresh_without_rotation() {
    const config = await discover();
    const first = await signIn(config, { scope: 'openid profile offline_access' });
    const second = await oidc.refreshTokenGrant(config, first.refresh_token);
    const third = await oidc.refreshTokenGrant(config, second.refresh_token ?? first.refresh_token);
    assert.equal(third.refresh_token ?? first.refresh_token, first.refresh_token);
    return report(config, third);
  },

  async without_pkce() {
    const config = await discover();
    return report(config, await oidc.authorizationCodeGrant(config, new URL(
      (await visit(oidc.buildAuthorizationUrl(config, { redirect_uri: client.redirectUri, scope: 'openid profile' }))).url)));
  },

  async client_credentials() {
    const config = await discover();
    const tokens = await oidc.clientCredentialsGrant(config, { resource: client.resource, scope: 'orders.read' });
    assert.equal(tokens.refresh_token, undefined);
    const all = await oidc.clientCredentialsGrant(config, { resource: client.resource });
    return { scope: tokens.scope, all: all.scope };
  },

  async client_credentials_with_private_key_jwt() {
    for (const algorithm of ['ES256', 'RS256', 'PS256', 'EdDSA']) {
      await oidc.clientCredentialsGrant(await withKey(algorithm), { resource: client.resource, scope: 'orders.read' });
    }
  },

  async device() {
    const config = await discover(oidc.None());
    const device = await oidc.initiateDeviceAuthorization(config, { scope: 'openid profile email orders.read offline_access' });
    await visit(device.verification_uri_complete);
    const tokens = await oidc.pollDeviceAuthorizationGrant(config, device);
    await oidc.refreshTokenGrant(config, tokens.refresh_token);
    return report(config, tokens);
  },

  async introspection_and_revocation() {
    const config = await discover(), api = await discover(undefined, client.api);
    const tokens = await signIn(config, { scope: 'openid orders.read offline_access' });
    const before = await oidc.tokenIntrospection(api, tokens.access_token);
    assert.equal((await oidc.tokenIntrospection(config, tokens.access_token)).active, false, 'a client that is not declared for it');
    assert.equal((await oidc.tokenIntrospection(api, tokens.refresh_token)).active, false);
    await oidc.tokenRevocation(config, tokens.refresh_token);
    assert.deepEqual(await oidc.tokenIntrospection(api, tokens.access_token), { active: false });
    await assert.rejects(oidc.refreshTokenGrant(config, tokens.refresh_token), refused('invalid_grant'));
    await oidc.tokenRevocation(config, tokens.refresh_token); // again, which changes nothing
    return { before };
  },

  async logout() {
    const config = await discover();
    const tokens = await signIn(config);
    const state = oidc.randomState();
    const back = await visit(oidc.buildEndSessionUrl(config, { id_token_hint: tokens.id_token, post_logout_redirect_uri: client.signedOutUri, state }));
    assert.equal(back.url, `${client.signedOutUri}?state=${state}`);
    assert.deepEqual(back.asked, [], 'the hint says whose session it is');
    await assert.rejects(signIn(config, { prompt: 'none' }), refused('login_required'));
    await assert.rejects(userinfo(config, tokens), unauthorized);
    return { claims: tokens.claims() };
  },
});
