package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2"
)

// photo and album are what the API answers.
type photo struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Prints int    `json:"prints"`
}

type album struct {
	Owner  string  `json:"owner"`
	Photos []photo `json:"photos"`
}

// maxReply bounds what is read of the API, in bytes.
const maxReply = 4 << 20

// call is step 6: it calls the API with the access token.
func (s *shop) call(r *http.Request, token *oauth2.Token, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(r.Context(), method, strings.TrimRight(s.photosURL, "/")+path, nil)
	if err != nil {
		return nil, err
	}
	token.SetAuthHeader(req)
	return s.client.Do(req)
}

// album is step 7 as the user sees it.
func (s *shop) album(w http.ResponseWriter, r *http.Request) {
	id, browser := s.sessions.load(r)
	if browser.token == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	res, err := s.call(r, browser.token, http.MethodGet, "/photos")
	if err != nil {
		s.fail(w, "The photos can't be reached", err)
		return
	}
	defer func() { _ = res.Body.Close() }() // it was read whole, or is of no use
	if res.StatusCode != http.StatusOK {
		s.refusedByAPI(w, res)
		return
	}
	var a album
	if err := json.NewDecoder(io.LimitReader(res.Body, maxReply)).Decode(&a); err != nil {
		s.fail(w, "The photos can't be read", err)
		return
	}
	view := map[string]any{
		"Album": a, "User": browser.claims.Name, "Subject": browser.claims.Subject, "Steps": browser.steps,
		"MayWrite": mayWrite(browser.token), "Notice": browser.notice, "Refusal": browser.refusal,
	}
	browser.notice, browser.refusal = "", nil
	s.sessions.save(id, browser)
	s.show(w, http.StatusOK, "photos.html", view)
}

// picture passes a picture on. The browser has no token, and needs none.
func (s *shop) picture(w http.ResponseWriter, r *http.Request) {
	_, browser := s.sessions.load(r)
	if browser.token == nil {
		http.Error(w, "not signed in", http.StatusUnauthorized)
		return
	}
	res, err := s.call(r, browser.token, http.MethodGet, "/photos/"+url.PathEscape(r.PathValue("id")))
	if err != nil {
		http.Error(w, "the photos can't be reached", http.StatusBadGateway)
		return
	}
	defer func() { _ = res.Body.Close() }() // it was read whole, or is of no use
	if res.StatusCode != http.StatusOK {
		http.Error(w, "the photo was not delivered: "+res.Status, res.StatusCode)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("Cache-Control", "private, no-store")
	if _, err := io.Copy(w, io.LimitReader(res.Body, maxReply)); err != nil {
		s.logger.Debug("a picture was not delivered to its end", "error", err)
	}
}

// order orders a print, for which the token may lack the scope.
func (s *shop) order(w http.ResponseWriter, r *http.Request) {
	id, browser := s.sessions.load(r)
	if browser.token == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return
	}
	res, err := s.call(r, browser.token, http.MethodPost, "/photos/"+url.PathEscape(r.PathValue("id"))+"/prints")
	if err != nil {
		s.fail(w, "The photos can't be reached", err)
		return
	}
	defer func() { _ = res.Body.Close() }() // it was read whole, or is of no use
	switch res.StatusCode {
	case http.StatusCreated:
		var p photo
		if err := json.NewDecoder(io.LimitReader(res.Body, maxReply)).Decode(&p); err != nil {
			s.fail(w, "The order can't be read", err)
			return
		}
		browser.notice = fmt.Sprintf("A print of “%s” is ordered.", p.Title)
	case http.StatusForbidden:
		browser.refusal = &refusal{Code: "insufficient_scope", Title: "The print shop may look, and not order", Text: "Ordering prints needs your permission for photos.write."}
	default:
		s.refusedByAPI(w, res)
		return
	}
	s.sessions.save(id, browser)
	http.Redirect(w, r, "/photos", http.StatusSeeOther)
}

// refusedByAPI tells that the token is no longer good, or that the API has a problem.
func (s *shop) refusedByAPI(w http.ResponseWriter, res *http.Response) {
	switch res.StatusCode {
	case http.StatusUnauthorized:
		s.refuse(w, http.StatusUnauthorized, refusal{Code: "invalid_token", Title: "The permission is over", Text: "The photos API no longer takes the access token: it has expired, or you or an administrator took the permission back."})
	case http.StatusForbidden:
		s.refuse(w, http.StatusForbidden, refusal{Code: "insufficient_scope", Title: "That is not permitted", Text: "The access token does not have the scope that this needs."})
	default:
		s.fail(w, "The photos are not to be had right now", errors.New(res.Status))
	}
}

// exchangeContext makes golang.org/x/oauth2 use the shop's own HTTP client.
func (s *shop) exchangeContext(r *http.Request) context.Context {
	return context.WithValue(r.Context(), oauth2.HTTPClient, s.client)
}
