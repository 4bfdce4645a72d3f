package ui

import "net/http"

// SignOutPage asks whether the user wants to sign out. The form posts `decision` to Action: `sign-out`,
// `sign-out-everywhere` or `stay`.
type SignOutPage struct {
	Chrome
	// Action is the URL that the form posts to.
	Action string
	// UserName is the signed-in user's name, UserDisplayName the full name or empty.
	UserName, UserDisplayName string
	// ClientName is the display name of the client that asks for it, ClientID its client_id; both are empty when nobody knows.
	ClientName, ClientID string
}

// SignedOutPage says what came of it.
type SignedOutPage struct {
	Chrome
	// Stayed: the user did not want to.
	Stayed bool
	// Everywhere: not only this browser's session is over.
	Everywhere bool
}

// SignOut writes the page that asks whether to sign out.
func (p *Pages) SignOut(w http.ResponseWriter, v SignOutPage) error {
	return render(w, p.signOut, http.StatusOK, v.Chrome, 0, v)
}

// SignedOut writes the page that says whether the user is signed out.
func (p *Pages) SignedOut(w http.ResponseWriter, v SignedOutPage) error {
	return render(w, p.signedOut, http.StatusOK, v.Chrome, 0, v)
}
