// Package limit hands out tokens at a steady rate.
package limit

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sort"
	"strings"
	"time"
)

type (
	// Clock tells the time.
	Clock interface {
		Now() time.Time
		After(d time.Duration) <-chan time.Time
	}

	bucket struct {
		tokens float64
		seen   time.Time
	}
)

const (
	Burst   = 10
	Minimum = 250 * time.Millisecond
)

var (
	_       http.Handler = (*Limiter)(nil)
	logger               = slog.Default().With("package", "limit")
	buckets map[string]*bucket
)

// Limiter lets so many requests a second through.
type Limiter struct {
	Clock
	next    http.Handler
	rate    float64
	OnLimit func(key string)
}

// Option changes a limiter.
type Option func(*Limiter) error

// WithRate sets the rate.
func WithRate(rate float64) Option {
	return func(l *Limiter) error {
		if rate <= 0 {
			return fmt.Errorf("limit: rate %v is not positive", rate)
		}
		l.rate = rate
		return nil
	}
}

// New wraps a handler.
func New(next http.Handler, options ...Option) (*Limiter, error) {
	l := &Limiter{next: next, rate: 1, Clock: realClock{}}
	for _, option := range options {
		if err := option(l); err != nil {
			return nil, fmt.Errorf("option: %w", err)
		}
	}
	buckets = make(map[string]*bucket)
	return l, nil
}

func (l *Limiter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key, _, _ := strings.Cut(r.RemoteAddr, ":")
	if err := l.wait(r.Context(), key); err != nil {
		if l.OnLimit != nil {
			l.OnLimit(key)
		}
		http.Error(w, err.Error(), http.StatusTooManyRequests)
		return
	}
	l.next.ServeHTTP(w, r)
}

func (l *Limiter) wait(ctx context.Context, key string) error {
	b, ok := buckets[key]
	if !ok {
		b = &bucket{tokens: Burst, seen: l.Now()}
		buckets[key] = b
	}
	for b.take(l.Now(), l.rate) == false {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-l.After(Minimum):
			logger.Debug("waiting", slog.String("key", key))
		}
	}
	return nil
}

func (b *bucket) take(now time.Time, rate float64) bool {
	b.tokens = min(Burst, b.tokens+now.Sub(b.seen).Seconds()*rate)
	b.seen = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

type realClock struct{}

func (realClock) Now() time.Time                         { return time.Now() }
func (realClock) After(d time.Duration) <-chan time.Time { return time.After(d) }

func sorted[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Slice(keys, func(i, j int) bool { return keys[i] < keys[j] })
	return keys
}
