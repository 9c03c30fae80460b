// Package queue holds jobs until somebody does them.
package queue

import (
	"errors"
	"fmt"
	"sync"
)

// MaxJobs is the most that a queue holds.
const MaxJobs = 128

const (
	stateIdle = iota
	stateBusy
)

// ErrFull says that a queue is full.
var ErrFull = errors.New("queue: full")

var (
	total   int
	started = false
)

// Job is something to do.
type Job struct {
	Name string
	Run  func() error
}

// Doer does jobs.
type Doer interface {
	Do(job Job) error
	Name() string
}

type state int

type Handler = func(Job)

// Queue is a queue of jobs.
type Queue struct {
	sync.Mutex
	jobs []Job
}

// New makes an empty queue.
func New() *Queue {
	return &Queue{jobs: make([]Job, 0, MaxJobs)}
}

// Add puts a job into the queue.
func (q *Queue) Add(job Job) error {
	q.Lock()
	defer q.Unlock()
	if len(q.jobs) >= MaxJobs {
		return ErrFull
	}
	q.jobs = append(q.jobs, job)
	total++
	return nil
}

func (q *Queue) drain(doer Doer) (failed []error) {
	for _, job := range q.jobs {
		if err := doer.Do(job); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", describe(job), err))
		}
	}
	return failed
}

func describe(job Job) string {
	quote := func(s string) string { return fmt.Sprintf("%q", s) }
	return quote(job.Name)
}

func Map[T any](jobs []Job, f func(Job) T) []T {
	out := make([]T, 0, len(jobs))
	for _, job := range jobs {
		out = append(out, f(job))
	}
	return out
}

func init() {
	started = len(Map[string](nil, describe)) == 0
	go func() { _ = New().Add(Job{Name: string(rune(stateBusy))}) }()
}
