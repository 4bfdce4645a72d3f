// oauth4webapi: the protocol's messages one by one.
import assert from 'node:assert/strict';
import * as oauth from 'oauth4webapi';
import { client, run, visit } from './harness.mjs';

const issuer = new URL(client.issuer);
const me = { client_id: client.clientId };
const secret = () => oauth.ClientSecretBasic(client.clientSecret);

const discover = async (algorithm = 'oidc') => oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm }));

// The authorization code flow, with all that protects it. Signatures are verified though TLS already protects them.
async function signIn(as, parameters = {}, authentication = secret()) {
  const verifier = oauth.generateRandomCodeVerifier(), state = oauth.generateRandomState(), nonce = oauth.generateRandomNonce();
  const address = new URL(as.authorization_endpoint);
  address.search = new URLSearchParams({
    client_id: client.clientId, redirect_uri: client.redirectUri, response_type: 'code', scope: 'openid profile', state, nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256', ...parameters,
  });
  const back = oauth.validateAuthResponse(as, me, new URL((await visit(address)).url), state);
  const response = await oauth.authorizationCodeGrantRequest(as, me, authentication, back, client.redirectUri, verifier);
  const tokens = await oauth.processAuthorizationCodeResponse(as, me, response, { expectedNonce: nonce, requireIdToken: true });
  await oauth.validateApplicationLevelSignature(as, response);
  return tokens;
}

const code = (algorithm, authentication) => async () => {
  const as = await discover(algorithm);
  const tokens = await signIn(as, {}, authentication?.());
  const claims = oauth.getValidatedIdTokenClaims(tokens);
  const userinfo = await oauth.processUserInfoResponse(as, me, claims.sub, await oauth.userInfoRequest(as, me, tokens.access_token));
  return { claims, userinfo };
};

await run({
  code_found_by_openid_discovery: code('oidc'),
  code_found_by_oauth_metadata: code('oauth2'),
  code_with_client_secret_post: code('oidc', () => oauth.ClientSecretPost(client.clientSecret)),
  code_of_a_public_client: code('oidc', oauth.None),

  // What a service does with a JWT access token (RFC 9068 section 4).
  async jwt_access_token() {
    const as = await discover();
    const { access_token } = await signIn(as, { scope: 'openid orders.read', resource: client.resource });
    const call = () => new Request(client.resource, { headers: { authorization: `Bearer ${access_token}` } });
    const claims = await oauth.validateJwtAccessToken(as, call(), client.resource);
    await assert.rejects(oauth.validateJwtAccessToken(as, call(), 'https://elsewhere.interop.svc'));
    return { claims };
  },
});
