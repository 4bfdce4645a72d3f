package ui

import "github.com/latchkey-io/latchkey/server/oauth"

// explanation is what a page says of an error code, for a person who has never heard of it.
type explanation struct {
	// Heading and What happened; Whose doing it probably is; what to Do.
	Heading, What, Whose, Do string
}

// explainedPage is an ErrorPage with the words for its code.
type explainedPage struct {
	ErrorPage
	explanation
}

const (
	clientsDoing = "This is most likely a mistake in the application, not something that you did."
	startAgain   = "Go back to the application and try again. If this page comes back, tell the people who run the application, and give them the details below."
)

func (e ErrorPage) explained() explainedPage {
	if e.Code == "" {
		e.Code = string(oauth.ServerError)
	}
	return explainedPage{ErrorPage: e, explanation: explain(oauth.Code(e.Code))}
}

// explain chooses the words for a code. A code without words of its own comes from a request that the client made.
func explain(code oauth.Code) explanation {
	switch code {
	case oauth.InvalidClient, oauth.UnauthorizedClient:
		return explanation{"This application is not known here",
			"The application that sent you here is not registered with this sign-in service, or may not use it in this way.", clientsDoing, startAgain}
	case oauth.AccessDenied:
		return explanation{"Access was not given",
			"What the application asked for was declined, or your account may not give it.",
			"Nothing is broken.", "If you need this access, ask the people who manage your account."}
	case oauth.Forbidden:
		return explanation{"This page is no longer valid",
			"The form that you sent was open for too long, was already used, or was opened in another browser.",
			"Nothing is wrong with your account, and nothing was changed.",
			"Start again, in this browser and one window. The browser must accept cookies from this site."}
	case oauth.NotFound:
		return explanation{"There is no such page",
			"The address leads to nothing on this sign-in service.",
			"The link that you followed may be old, or the address was mistyped.", "Go back to the application and start again from there."}
	case oauth.MethodNotAllowed:
		return explanation{"This page cannot be opened in this way",
			"The address is there, but it was called in a way that it does not answer.",
			clientsDoing, "Go back to the application and start again from there."}
	case oauth.TooLarge:
		return explanation{"That was too much at once",
			"More was sent to this page than it takes.", clientsDoing, startAgain}
	case oauth.TooManyRequests:
		return explanation{"Too many requests",
			"Too many requests have come from your network in a short time.",
			"Others behind the same address may have caused it.", "Wait a minute, then go back to the application and try again."}
	case oauth.TemporarilyUnavailable:
		return explanation{"Not available at this moment",
			"This sign-in service cannot answer at this moment.",
			"This is a problem on our side, not something that you did.", "Wait a minute, then go back to the application and try again."}
	case oauth.ServerError:
		return explanation{"Something went wrong here",
			"This sign-in service met a problem that it did not expect, and stopped before anything was shared.",
			"This is a problem on our side, not something that you did.",
			"Go back to the application and try again. If this page comes back, tell the people who run this sign-in service, and give them the details below."}
	}
	return explanation{"This request cannot be completed",
		"The application sent you here with a request that this sign-in service does not accept. Nothing was shared with it.", clientsDoing, startAgain}
}
