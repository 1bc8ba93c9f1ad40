package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand"
	"os"
	"sync"
	"sync/atomic"
	"time"

	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Labels that containerd sends; the first keeps its garbage collection away.
const (
	rootLabel   = "containerd.io/gc.root"
	targetLabel = "containerd.io/snapshot.ref"
	digestLabel = "containerd.io/snapshot/cri.layer-digest"
	otherLabel  = "containerd.io/snapshot/bench"
)

// Layers of a chain.
const depth = 20

// Between two commits of large snapshots.
const pause = 500 * time.Millisecond

// Callers that take away what was made.
const cleaners = 32

// Layer is one that the server's source has.
type Layer struct {
	Digest string `json:"digest"`
	DiffID string `json:"diff_id"`
}

// Load has what every operation needs.
type Load struct {
	client      snapshots.SnapshotsClient
	context     context.Context
	snapshotter string
	prefix      string
	layers      []Layer
	files       string
	lock        sync.Mutex
	made        []*Chain
}

// Chain has the names of snapshots, the lowest first.
type Chain struct {
	names []string
	base  bool
}

// Times of an operation that are not simply those of its step; zero where they are.
type Times struct {
	began time.Time // what came before was preparation
	ended time.Time // what came after was tidying up
	first time.Time // the first message of a stream
}

// Step does one operation.
type Step func() (Times, error)

// Operation gives each caller its step.
type Operation func(caller int) Step

var operations = map[string]func(*Load) (Operation, error){
	"prepare-remove": func(load *Load) (Operation, error) {
		base, err := load.chain("base", 1)
		return load.pair(base, load.prepare), err
	},
	"view-remove": func(load *Load) (Operation, error) {
		base, err := load.chain("base", 1)
		return load.pair(base, load.view), err
	},
	"prepare-commit": func(load *Load) (Operation, error) { return load.growing, nil },
	"remote":         (*Load).remote,
	"stat": func(load *Load) (Operation, error) {
		name, err := load.chain("base", 1)
		return same(func() error {
			_, err := load.client.Stat(load.context, &snapshots.StatSnapshotRequest{
				Snapshotter: load.snapshotter, Key: name,
			})
			return err
		}), err
	},
	"usage": func(load *Load) (Operation, error) {
		name, err := load.chain("base", 1)
		// A snapshotter may count in the background.
		time.Sleep(time.Second)
		return same(func() error {
			_, err := load.client.Usage(load.context, &snapshots.UsageRequest{
				Snapshotter: load.snapshotter, Key: name,
			})
			return err
		}), err
	},
	"mounts": func(load *Load) (Operation, error) {
		top, err := load.chain("base", depth)
		if err != nil {
			return nil, err
		}
		return load.mounts(top)
	},
	"mounts-remote": (*Load).mountsRemote,
	"two-calls":     func(load *Load) (Operation, error) { return load.pair("", load.prepare), nil },
	"three-calls":   func(load *Load) (Operation, error) { return same(load.three), nil },
	"list":          (*Load).list,
	"commit-empty":  func(load *Load) (Operation, error) { return load.committing(""), nil },
	"commit-full":   (*Load).commitFull,
}

func same(call func() error) Operation {
	return func(int) Step {
		return func() (Times, error) { return Times{}, call() }
	}
}

// Makes and removes a snapshot: one operation of two calls.
func (load *Load) pair(base string, begin func(key, parent string) error) Operation {
	return func(caller int) Step {
		count := 0
		return func() (Times, error) {
			key := fmt.Sprintf("%s/%d/%d", load.prefix, caller, count)
			count++
			if err := begin(key, base); err != nil {
				return Times{}, err
			}
			return Times{}, load.remove(key)
		}
	}
}

// Unpacks image after image of so many layers: one operation is one layer, prepared and committed.
func (load *Load) growing(caller int) Step {
	count := 0
	var made *Chain
	return func() (Times, error) {
		parent := ""
		if count%depth == 0 {
			made = load.newChain(false)
		} else {
			parent = made.names[len(made.names)-1]
		}
		name := fmt.Sprintf("%s/%d/%d", load.prefix, caller, count)
		count++
		if err := load.prepare(name+" extract", parent); err != nil {
			return Times{}, err
		}
		if err := load.commit(name, name+" extract"); err != nil {
			return Times{}, err
		}
		made.names = append(made.names, name)
		return Times{}, nil
	}
}

// Asks for layers that a source has, as containerd does: Prepare, List for the name, Stat.
func (load *Load) remote() (Operation, error) {
	// The lowest layers first, so that every layer has been looked at before it is measured.
	bases := load.newChain(true)
	for number, layer := range load.layers {
		name, err := load.provide(fmt.Sprintf("%s/base/%d", load.prefix, number), "", layer.DiffID, layer)
		if err != nil {
			return nil, err
		}
		bases.names = append(bases.names, name)
	}
	var chains int64 = -1
	return func(caller int) Step {
		count, parent, target := 0, "", ""
		var order []int
		var made *Chain
		return func() (Times, error) {
			if count%depth == 0 {
				order = chainOf(int(atomic.AddInt64(&chains, 1)), len(load.layers))
				made = load.newChain(false)
				parent, target = bases.names[order[0]], load.layers[order[0]].DiffID
			}
			layer := load.layers[order[1+count%depth]]
			target = chainID(target, layer.DiffID)
			key := fmt.Sprintf("%s/%d/%d", load.prefix, caller, count)
			count++
			name, err := load.provide(key, parent, target, layer)
			if err != nil {
				return Times{}, err
			}
			made.names = append(made.names, name)
			parent = name
			return Times{}, nil
		}
	}, nil
}

// Gives the layers of a chain in their order; no two numbers share the lowest two.
func chainOf(number, layers int) []int {
	first := number / (layers - 1) % layers
	second := number % (layers - 1)
	order := []int{first}
	rest := make([]int, 0, layers)
	for layer := 0; layer < layers; layer++ {
		if layer != first {
			rest = append(rest, layer)
		}
	}
	rest[0], rest[second] = rest[second], rest[0]
	source := rand.New(rand.NewSource(int64(number)))
	others := rest[1:]
	source.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	return append(order, rest...)
}

func chainID(parent, diffID string) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(parent+" "+diffID)))
}

// Makes containerd's three calls for one layer and gives the name of its snapshot.
func (load *Load) provide(key, parent, target string, layer Layer) (string, error) {
	_, err := load.client.Prepare(load.context, &snapshots.PrepareSnapshotRequest{
		Snapshotter: load.snapshotter,
		Key:         key,
		Parent:      parent,
		Labels: map[string]string{
			targetLabel: target,
			digestLabel: layer.Digest,
			otherLabel:  load.prefix,
		},
	})
	if status.Code(err) != codes.AlreadyExists {
		return "", fmt.Errorf("Prepare of layer %s was answered %v", layer.Digest, err)
	}
	filter := fmt.Sprintf("labels.%q==%q,parent==%q", targetLabel, target, parent)
	found, _, err := load.names(filter)
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "", fmt.Errorf("List does not find %s", target)
	}
	_, err = load.client.Stat(load.context, &snapshots.StatSnapshotRequest{
		Snapshotter: load.snapshotter, Key: found[0],
	})
	return found[0], err
}

// Makes the calls of a remote layer and takes any answer: what they cost when a server does nothing.
func (load *Load) three() error {
	if err := load.prepare(load.prefix, ""); err != nil {
		return err
	}
	filter := fmt.Sprintf("labels.%q==%q,parent==%q", targetLabel, load.prefix, "")
	if _, _, err := load.names(filter); err != nil {
		return err
	}
	_, err := load.client.Stat(load.context, &snapshots.StatSnapshotRequest{
		Snapshotter: load.snapshotter, Key: load.prefix,
	})
	return err
}

func (load *Load) mounts(top string) (Operation, error) {
	key := load.prefix + "/container"
	if err := load.prepare(key, top); err != nil {
		return nil, err
	}
	load.newChain(false).names = []string{key}
	return same(func() error {
		answer, err := load.client.Mounts(load.context, &snapshots.MountsRequest{
			Snapshotter: load.snapshotter, Key: key,
		})
		if err == nil && len(answer.Mounts) == 0 {
			// The empty handler answers without mounts.
			return nil
		}
		return err
	}), nil
}

func (load *Load) mountsRemote() (Operation, error) {
	made := load.newChain(true)
	parent, target := "", ""
	for number, layer := range load.layers[:depth] {
		if number == 0 {
			target = layer.DiffID
		} else {
			target = chainID(target, layer.DiffID)
		}
		name, err := load.provide(fmt.Sprintf("%s/remote/%d", load.prefix, number), parent, target, layer)
		if err != nil {
			return nil, err
		}
		made.names = append(made.names, name)
		parent = name
	}
	return load.mounts(parent)
}

// Lists everything.
func (load *Load) list() (Operation, error) {
	return func(int) Step {
		return func() (Times, error) {
			_, first, err := load.names("")
			return Times{first: first}, err
		}
	}, nil
}

func (load *Load) names(filter string) ([]string, time.Time, error) {
	request := &snapshots.ListSnapshotsRequest{Snapshotter: load.snapshotter}
	if filter != "" {
		request.Filters = []string{filter}
	}
	var first time.Time
	var names []string
	stream, err := load.client.List(load.context, request)
	if err != nil {
		return nil, first, err
	}
	for {
		answer, err := stream.Recv()
		if first.IsZero() {
			first = time.Now()
		}
		if err == io.EOF {
			return names, first, nil
		}
		if err != nil {
			return nil, first, err
		}
		for _, info := range answer.Info {
			names = append(names, info.Name)
		}
	}
}

// Makes a chain of committed snapshots and gives the name of the topmost.
func (load *Load) chain(name string, layers int) (string, error) {
	made := load.newChain(true)
	parent := ""
	for number := 0; number < layers; number++ {
		each := fmt.Sprintf("%s/%s/%d", load.prefix, name, number)
		if err := load.prepare(each+" extract", parent); err != nil {
			return "", err
		}
		if err := load.commit(each, each+" extract"); err != nil {
			return "", err
		}
		made.names = append(made.names, each)
		parent = each
	}
	return parent, nil
}

func (load *Load) labels() map[string]string {
	return map[string]string{rootLabel: "bench", otherLabel: load.prefix}
}

func (load *Load) prepare(key, parent string) error {
	_, err := load.client.Prepare(load.context, &snapshots.PrepareSnapshotRequest{
		Snapshotter: load.snapshotter, Key: key, Parent: parent, Labels: load.labels(),
	})
	return err
}

func (load *Load) view(key, parent string) error {
	_, err := load.client.View(load.context, &snapshots.ViewSnapshotRequest{
		Snapshotter: load.snapshotter, Key: key, Parent: parent, Labels: load.labels(),
	})
	return err
}

func (load *Load) commit(name, key string) error {
	_, err := load.client.Commit(load.context, &snapshots.CommitSnapshotRequest{
		Snapshotter: load.snapshotter, Name: name, Key: key, Labels: load.labels(),
	})
	return err
}

func (load *Load) remove(key string) error {
	_, err := load.client.Remove(load.context, &snapshots.RemoveSnapshotRequest{
		Snapshotter: load.snapshotter, Key: key,
	})
	return err
}

// Commits a snapshot with many files, of which there is one set: it moves from one to the next.
func (load *Load) commitFull() (Operation, error) {
	for directory := 0; directory < 500; directory++ {
		path := fmt.Sprintf("%s/%d", load.files, directory)
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, err
		}
		for file := 0; file < 100; file++ {
			if err := os.WriteFile(fmt.Sprintf("%s/%d", path, file), []byte("x"), 0o644); err != nil {
				return nil, err
			}
		}
	}
	return load.committing(load.files), nil
}

// Commits snapshot after snapshot; only the Commit counts, what comes before and after does not. A
// pause before it keeps what the server does in the background about the last one out of it.
func (load *Load) committing(files string) Operation {
	return func(caller int) Step {
		count := 0
		return func() (times Times, err error) {
			name := fmt.Sprintf("%s/%d/%d", load.prefix, caller, count)
			key := name + " extract"
			count++
			answer, err := load.client.Prepare(load.context, &snapshots.PrepareSnapshotRequest{
				Snapshotter: load.snapshotter, Key: key, Labels: load.labels(),
			})
			if err != nil {
				return times, err
			}
			// A snapshot without a parent is mounted as it is.
			inside := answer.Mounts[0].Source + "/files"
			if files != "" {
				if err := os.Rename(files, inside); err != nil {
					return times, err
				}
			}
			time.Sleep(pause)
			times.began = time.Now()
			if err := load.commit(name, key); err != nil {
				return times, err
			}
			times.ended = time.Now()
			if files != "" {
				if err := os.Rename(inside, files); err != nil {
					return times, err
				}
			}
			return times, load.remove(name)
		}
	}
}

// Gives a chain that clean removes; one that others stand on is a base.
func (load *Load) newChain(base bool) *Chain {
	load.lock.Lock()
	defer load.lock.Unlock()
	chain := &Chain{base: base}
	load.made = append(load.made, chain)
	return chain
}

// Removes what the operations have made, and the directories where that is a call of its own.
func (load *Load) clean() error {
	for _, base := range []bool{false, true} {
		chains := make(chan *Chain, len(load.made))
		for _, chain := range load.made {
			if chain.base == base {
				chains <- chain
			}
		}
		close(chains)
		err := together(cleaners, func(int) error {
			for chain := range chains {
				for number := len(chain.names) - 1; number >= 0; number-- {
					if err := load.remove(chain.names[number]); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	_, err := load.client.Cleanup(load.context, &snapshots.CleanupRequest{
		Snapshotter: load.snapshotter,
	})
	if status.Code(err) == codes.Unimplemented {
		return nil
	}
	return err
}
