package site

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// Etcd speaks to etcd's JSON gateway (https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/), which needs no client library.
type Etcd struct{ url string }

// pair is a key and its value; JSON has bytes as base64, as the gateway wants it.
type pair struct {
	Key   []byte `json:"key"`
	Value []byte `json:"value"`
}

// transaction is how many pairs are put at once: etcd takes 128 operations at most.
const transaction = 100

// Value is what etcd has under a key.
func (e *Etcd) Value(ctx context.Context, key string) ([]byte, error) {
	var answer struct {
		Pairs []pair `json:"kvs"`
	}
	if err := e.call(ctx, "/v3/kv/range", map[string]any{"key": []byte(key)}, &answer); err != nil {
		return nil, err
	}
	if len(answer.Pairs) != 1 {
		return nil, fmt.Errorf("etcd has no %s", key)
	}
	return answer.Pairs[0].Value, nil
}

// put writes n pairs, a transaction at a time.
func (e *Etcd) put(ctx context.Context, n int, each func(i int) (pair, error)) error {
	for begin := 0; begin < n; begin += transaction {
		var operations []map[string]pair
		for i := begin; i < min(begin+transaction, n); i++ {
			p, err := each(i)
			if err != nil {
				return err
			}
			operations = append(operations, map[string]pair{"requestPut": p})
		}
		var answer struct{ Succeeded bool }
		if err := e.call(ctx, "/v3/kv/txn", map[string]any{"success": operations}, &answer); err != nil {
			return err
		}
		if !answer.Succeeded {
			return errors.New("etcd: a transaction without a condition did not succeed")
		}
	}
	return nil
}

// Remove deletes all keys with a prefix.
func (e *Etcd) Remove(ctx context.Context, prefix string) error {
	end := []byte(prefix)
	end[len(end)-1]++
	return e.call(ctx, "/v3/kv/deleterange", map[string][]byte{"key": []byte(prefix), "range_end": end}, &struct{}{})
}

func (e *Etcd) call(ctx context.Context, path string, body, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	text, err = io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("etcd: %s: %s", response.Status, text)
	}
	return json.Unmarshal(text, answer)
}
