package ui

import "time"

// Problems that a sign-in page can show.
const (
	ProblemCredentials = "The username or the password is not right. Check both and try again."
	ProblemThrottled   = "There were too many attempts to sign in. Wait a little, then try again."
	ProblemBusy        = "Many people are signing in at this moment. Try again in a few seconds."
	ProblemMissing     = "Enter your username and your password."
)

// Chrome is what every page has in common.
type Chrome struct {
	// IssuerName is what the page calls the authorization server.
	IssuerName string
	// IssuerHost is the host that a browser's address bar shows; the line that names it is left out when empty.
	IssuerHost string
	// BasePath is the issuer's path: "" or "/" and more, without a trailing slash.
	BasePath string
	// FormOrigins are CSP sources beside 'self' to which a form's submission may be redirected; see FormOrigin.
	FormOrigins []string
}

// LoginPage asks for a username and a password. The form posts the fields `username` and `password` to Action.
type LoginPage struct {
	Chrome
	// Action is the URL that the form posts to.
	Action string
	// ClientName and ClientHost tell to whom the user is about to sign in; see RedirectHost.
	ClientName, ClientHost string
	// Purpose is what signing in is for where no client is known yet, such as "connect a device"; empty otherwise.
	Purpose string
	// Username is filled in already.
	Username string
	// Problem is the reason why the page is shown again: one of the Problem texts, or empty.
	Problem string
	// RetryAfter, when positive, is sent in the header of that name.
	RetryAfter time.Duration
}

// Invalid says whether the problem is in what was filled in.
func (p LoginPage) Invalid() bool {
	return p.Problem == ProblemCredentials || p.Problem == ProblemMissing
}

// MaxUsername is the length in characters that the sign-in form takes.
func (LoginPage) MaxUsername() int { return 256 }

// MaxPassword is the length in characters that the sign-in form takes.
func (LoginPage) MaxPassword() int { return 1024 }

// ConsentPage asks whether a client may have what it asks for. The form posts `decision` to Action: `allow` or `deny`.
type ConsentPage struct {
	Chrome
	// Action is the URL that the form posts to.
	Action string
	// ClientName is the client's display name, ClientID its client_id.
	ClientName, ClientID string
	// RedirectHost is where the user is sent afterwards; see RedirectHost.
	RedirectHost string
	// UserName is the signed-in user's name, UserDisplayName the full name or empty.
	UserName, UserDisplayName string
	// Identity is what is asked for about the user; see IdentityScope and Claim.
	Identity []ScopeLine
	// Resources are the resource servers at which scopes are asked for.
	Resources []ConsentResource
	// Offline: the client wants to go on when the user is not there.
	Offline bool
	// Known is what the user allowed the client before. The rest is what is new then.
	Known []ScopeLine
	// SwitchUserURL leads to a sign-in as somebody else; no link when empty.
	SwitchUserURL string
}

// ConsentResource is a resource server with the scopes asked for there.
type ConsentResource struct {
	// Name is its display name, Identifier the audience of its tokens.
	Name, Identifier string
	// Scopes asked for there; none where it is to be told who the user is, and nothing else.
	Scopes []ScopeLine
}

// ScopeLine is a scope, or another thing that can be allowed, and what it means, in the words of its owner.
type ScopeLine struct{ Name, Description string }

// FormPostPage posts an authorization response to the client (OAuth 2.0 Form Post Response Mode): by itself where there is
// JavaScript, else at the press of its button.
type FormPostPage struct {
	Chrome
	// Action is the redirect URI, which has been validated, and Fields are the parameters.
	Action string
	Fields []Field
	// ClientName and ClientHost tell where the user goes; see RedirectHost.
	ClientName, ClientHost string
}

// Field is a parameter of a form. Its value comes back as it is.
type Field struct{ Name, Value string }

// ErrorPage tells of a failure. The element with the id `error-code` holds Code.
type ErrorPage struct {
	Chrome
	// Code is the OAuth error code; server_error when empty.
	Code string
	// Description is the detail for the people who run the client: the description of an oauth.Error.
	Description string
	// RestartURL is where the user can begin again; no link when empty.
	RestartURL string
	// RestartLabel is what the link says; "Start again" when empty.
	RestartLabel string
}
