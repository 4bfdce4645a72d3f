// oauth4webapi: the messages of the protocol one by one.
import assert from 'node:assert/strict';
import * as oauth from 'oauth4webapi';
import { client, privateKey, run, visit } from './harness.mjs';

const issuer = new URL(client.issuer);
const me = { client_id: client.clientId };
const secret = ({ clientSecret } = client) => (clientSecret ? oauth.ClientSecretBasic(clientSecret) : oauth.None());

const discover = async (algorithm = 'oidc') => oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm }));

// The authorization code flow, with all that protects it. Signatures are verified, though TLS alone would do.
async function signIn(as, parameters = {}, authentication = secret()) {
  const verifier = oauth.generateRandomCodeVerifier(), state = oauth.generateRandomState(), nonce = oauth.generateRandomNonce();
  const address = new URL(as.authorization_endpoint);
  address.search = new URLSearchParams({
    client_id: client.clientId, redirect_uri: client.redirectUri, response_type: 'code', scope: 'openid profile email', state, nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...parameters,
  });
  const arrived = await visit(address);
  const sent = arrived.method === 'POST' ? new URLSearchParams(await arrived.text()) : new URL(arrived.url);
  const back = oauth.validateAuthResponse(as, me, sent, state);
  const response = await oauth.authorizationCodeGrantRequest(as, me, authentication, back, client.redirectUri, verifier);
  const tokens = await oauth.processAuthorizationCodeResponse(as, me, response, { expectedNonce: nonce, requireIdToken: true });
  await oauth.validateApplicationLevelSignature(as, response);
  return tokens;
}

const userinfo = async (as, tokens, as_me = me) => oauth.processUserInfoResponse(as, as_me,
  oauth.getValidatedIdTokenClaims(tokens).sub, await oauth.userInfoRequest(as, as_me, tokens.access_token));

const report = async (as, tokens) => ({ claims: oauth.getValidatedIdTokenClaims(tokens), userinfo: await userinfo(as, tokens) });

const refresh = async (as, token) => oauth.processRefreshTokenResponse(as, me, await oauth.refreshTokenGrantRequest(as, me, secret(), token));

const ownToken = async (as, authentication) => oauth.processClientCredentialsResponse(as, me,
  await oauth.clientCredentialsGrantRequest(as, me, authentication, { resource: client.resource, scope: 'orders.read' }));

const code = ({ algorithm, parameters, authentication } = {}) => async () => {
  const as = await discover(algorithm);
  return report(as, await signIn(as, parameters, authentication?.()));
};

const refused = (error) => (e) => e.error === error || assert.fail(e);

await run({
  code_found_by_openid_discovery: code({ algorithm: 'oidc' }),
  code_found_by_oauth_metadata: code({ algorithm: 'oauth2' }),
  code_with_client_secret_post: code({ authentication: () => oauth.ClientSecretPost(client.clientSecret) }),
  code_of_a_public_client: code({ authentication: oauth.None }),
  code_by_form_post: code({ parameters: { response_mode: 'form_post' } }),

  async code_with_private_key_jwt() {
    const as = await discover();
    return report(as, await signIn(as, {}, oauth.PrivateKeyJwt(await privateKey('ES256'))));
  },

  // What a service does with a JWT access token (RFC 9068 section 4).
  async jwt_access_token() {
    const as = await discover();
    const { access_token } = await signIn(as, { scope: 'openid orders.read', resource: client.resource });
    const call = () => new Request(client.resource, { headers: { authorization: `Bearer ${access_token}` } });
    const claims = await oauth.validateJwtAccessToken(as, call(), client.resource);
    await assert.rejects(oauth.validateJwtAccessToken(as, call(), 'https://elsewhere.interop.svc'));
    return { claims };
  },

  async signed_userinfo() {
    const as = await discover();
    const signed = { ...me, id_token_signed_response_alg: 'PS256', userinfo_signed_response_alg: 'RS256' };
    Object.assign(me, signed);
    const tokens = await signIn(as);
    const response = await oauth.userInfoRequest(as, me, tokens.access_token);
    const claims = oauth.getValidatedIdTokenClaims(tokens);
    const told = await oauth.processUserInfoResponse(as, me, claims.sub, response);
    await oauth.validateApplicationLevelSignature(as, response);
    return { claims, userinfo: told };
  },

  async refresh() {
    const as = await discover();
    const first = await signIn(as, { scope: 'openid profile email offline_access' });
    const second = await refresh(as, first.refresh_token);
    assert.notEqual(second.refresh_token, first.refresh_token);
    const third = await refresh(as, second.refresh_token);
    const reported = await report(as, third);
    await assert.rejects(refresh(as, first.refresh_token), refused('invalid_grant'));
    await assert.rejects(refresh(as, third.refresh_token), refused('invalid_grant'));
    return reported;
  },

  async client_credentials() {
    const { scope, refresh_token } = await ownToken(await discover(), secret());
    assert.equal(refresh_token, undefined);
    return { scope };
  },

  async client_credentials_with_private_key_jwt() {
    const as = await discover();
    for (const algorithm of ['ES256', 'RS256', 'PS256', 'EdDSA']) {
      const { scope } = await ownToken(as, oauth.PrivateKeyJwt(await privateKey(algorithm)));
      assert.equal(scope, 'orders.read');
    }
    await assert.rejects(ownToken(as, oauth.PrivateKeyJwt(await privateKey('ES256'), {
      [oauth.modifyAssertion]: (header, payload) => { payload.aud = 'https://elsewhere.example'; },
    })), { status: 401 });
  },

  async device() {
    const as = await discover();
    const asked = await oauth.deviceAuthorizationRequest(as, me, oauth.None(), { scope: 'openid profile email orders.read' });
    const device = await oauth.processDeviceAuthorizationResponse(as, me, asked);
    const poll = async () => oauth.processDeviceCodeResponse(as, me, await oauth.deviceCodeGrantRequest(as, me, oauth.None(), device.device_code));
    await assert.rejects(poll(), refused('authorization_pending'));
    await assert.rejects(poll(), refused('slow_down'));
    await visit(device.verification_uri, { code: device.user_code });
    return report(as, await poll());
  },

  async device_denied() {
    const as = await discover();
    const asked = await oauth.deviceAuthorizationRequest(as, me, oauth.None(), { scope: 'openid' });
    const device = await oauth.processDeviceAuthorizationResponse(as, me, asked);
    await visit(device.verification_uri_complete, { press: 'deny' });
    const answer = await oauth.deviceCodeGrantRequest(as, me, oauth.None(), device.device_code);
    await assert.rejects(oauth.processDeviceCodeResponse(as, me, answer), refused('access_denied'));
  },

  // RFC 8693: the API, which is a client too, calls another on behalf of the user.
  async token_exchange() {
    const as = await discover(), api = { client_id: client.api.clientId };
    const { access_token } = await signIn(as, { scope: 'openid orders.read', resource: client.resource });
    const type = 'urn:ietf:params:oauth:token-type:access_token';
    const exchange = async (subject_token) => oauth.processGenericTokenEndpointResponse(as, api, await oauth.genericTokenEndpointRequest(as, api,
      secret(client.api), 'urn:ietf:params:oauth:grant-type:token-exchange', new URLSearchParams({
        subject_token, subject_token_type: type, audience: 'https://stock.interop.svc', scope: 'stock.read',
      })));
    const got = await exchange(access_token);
    assert.equal(got.issued_token_type, type);
    const call = new Request('https://stock.interop.svc', { headers: { authorization: `Bearer ${got.access_token}` } });
    const claims = await oauth.validateJwtAccessToken(as, call, 'https://stock.interop.svc');
    assert.deepEqual(claims.act, { sub: api.client_id });
    await assert.rejects(exchange(got.access_token), refused('invalid_request'));
    return { claims };
  },

  // RFC 7662, and RFC 9701 where the reply is signed.
  async introspection_and_revocation() {
    const as = await discover(), api = { client_id: client.api.clientId };
    const introspect = async (token, options) => {
      const response = await oauth.introspectionRequest(as, api, secret(client.api), token, options);
      const answer = await oauth.processIntrospectionResponse(as, api, response);
      if (options) await oauth.validateApplicationLevelSignature(as, response);
      return answer;
    };
    const tokens = await signIn(as, { scope: 'openid orders.read', resource: client.resource });
    const before = await introspect(tokens.access_token);
    const signed = await introspect(tokens.access_token, { requestJwtResponse: true });
    const revoked = await oauth.revocationRequest(as, me, secret(), tokens.access_token);
    await oauth.processRevocationResponse(revoked);
    const after = await introspect(tokens.access_token);
    return { before, signed: signed.token_introspection ?? signed, after };
  },
});
