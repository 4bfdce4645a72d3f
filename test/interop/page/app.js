// An application that has nothing but oidc-client-ts. Every button shows what came of it in #outcome, as JSON.
const settings = {
  response_type: 'code',
  redirect_uri: location.origin + '/callback',
  silent_redirect_uri: location.origin + '/silent',
  post_logout_redirect_uri: location.origin + '/signed-out',
  automaticSilentRenew: false,
  loadUserInfo: true,
  userStore: new oidc.WebStorageStateStore({ store: sessionStorage }),
};

const told = ({ profile, access_token, refresh_token, id_token, scope, expires_in }) => ({
  profile, access_token, refresh_token, id_token, scope, expires_in,
});

const actions = {
  'app-sign-in': (manager) => manager.signinRedirect(),
  'app-silent': async (manager) => { // without a refresh token there is only the iframe
    await manager.removeUser();
    return told(await manager.signinSilent());
  },
  'app-refresh': async (manager) => told(await manager.signinSilent()),
  'app-revoke': (manager) => manager.revokeTokens(),
  'app-sign-out': (manager) => manager.signoutRedirect(),
  'app-keys': async (manager) => {
    const answer = await fetch(await manager.metadataService.getKeysEndpoint());
    return answer.json();
  },
};

// What the application does where the authorization server sends the browser back to.
const arrivals = {
  '/callback': async (manager) => told(await manager.signinCallback()),
  '/silent': (manager) => manager.signinSilentCallback(),
  '/signed-out': async (manager) => { await manager.signoutCallback(); return { signedOut: true }; },
};

async function show(action) {
  document.getElementById('outcome')?.remove();
  const outcome = document.createElement('pre');
  try {
    outcome.textContent = JSON.stringify({ result: await action() ?? {} });
  } catch (e) {
    outcome.textContent = JSON.stringify({ error: e.error ?? String(e) });
  }
  outcome.id = 'outcome';
  document.body.append(outcome);
}

const manager = fetch('/client.json').then((answer) => answer.json())
  .then((client) => new oidc.UserManager({ ...settings, ...client }));
for (const [id, action] of Object.entries(actions)) {
  document.getElementById(id).addEventListener('click', () => show(async () => action(await manager)));
}
if (arrivals[location.pathname]) show(async () => arrivals[location.pathname](await manager));
