package site

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Poll asks until the condition holds, it fails, or time is up.
func Poll(ctx context.Context, timeout, interval time.Duration, condition func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("not within %v", timeout))
	defer cancel()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if done, err := condition(ctx); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// Get writes the body of an answer and returns its status.
func Get(ctx context.Context, url string, body io.Writer) (int, error) {
	return get(ctx, http.DefaultClient, url, body)
}

func get(ctx context.Context, client *http.Client, url string, body io.Writer) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(body, response.Body)
	return response.StatusCode, errors.Join(err, response.Body.Close())
}
