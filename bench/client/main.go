// The load generator: it calls a snapshot service on a unix socket and measures each operation.
//
// It is written in Go, with the stubs of containerd's own client, because a client in Python costs
// as much as the server that it measures. All callers share one connection, as those of containerd
// do. The result is one line of JSON on standard output.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"sort"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	snapshots "github.com/containerd/containerd/api/services/snapshots/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Result is what one run has measured; times are in microseconds.
type Result struct {
	Operations int     `json:"operations"`
	Seconds    float64 `json:"seconds"`
	P50        float64 `json:"p50"`
	P99        float64 `json:"p99"`
	First      float64 `json:"first"`
	ServerCPU  float64 `json:"server_cpu"`
	HelperCPU  float64 `json:"helper_cpu"`
	ClientCPU  float64 `json:"client_cpu"`
}

// One operation as it was seen by its caller.
type sample struct {
	whole time.Duration
	first time.Duration
}

func main() {
	socket := flag.String("socket", "", "path of the server's socket")
	snapshotter := flag.String("snapshotter", "overlayfs", "name of the snapshotter")
	name := flag.String("operation", "", "what to measure")
	prefix := flag.String("prefix", "", "beginning of all keys")
	layers := flag.String("layers", "", "file with the layers that the server's source has")
	files := flag.String("files", "", "directory for the files of large snapshots, on their file system")
	callers := flag.Int("callers", 1, "how many call at the same time")
	seconds := flag.Float64("seconds", 2, "how long to measure")
	warm := flag.Float64("warm", 0.3, "how long to call before that")
	count := flag.Int("count", 0, "operations to do instead, without measuring and cleaning up")
	server := flag.Int("server", 0, "identifier of the server's process")
	helpers := flag.String("helpers", "", "identifiers of its helpers' processes, with commas")
	flag.Parse()

	if *name == "wait" {
		check(wait(*socket))
	}
	connection, err := grpc.Dial(
		"unix://"+*socket,
		grpc.WithInsecure(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(16<<20)),
	)
	check(err)
	load := &Load{
		client:      snapshots.NewSnapshotsClient(connection),
		context:     metadata.AppendToOutgoingContext(context.Background(), "containerd-namespace", "bench"),
		snapshotter: *snapshotter,
		prefix:      *prefix,
		files:       *files,
	}
	if *name == "wait" {
		_, err := load.client.Stat(load.context, &snapshots.StatSnapshotRequest{Key: "nothing"})
		if status.Code(err) != codes.NotFound {
			check(fmt.Errorf("the first answer was %v", err))
		}
		// As Python's time.time_ns() does, so that the two can be compared.
		fmt.Println(time.Now().UnixNano())
		return
	}
	if *layers != "" {
		data, err := os.ReadFile(*layers)
		check(err)
		check(json.Unmarshal(data, &load.layers))
	}
	make, found := operations[*name]
	if !found {
		check(fmt.Errorf("there is no operation %q", *name))
	}
	operation, err := make(load)
	check(err)
	if *count > 0 {
		check(fill(operation, *callers, *count))
		return
	}
	result, err := measure(operation, *callers, duration(*warm), duration(*seconds), *server, *helpers)
	check(err)
	check(load.clean())
	check(json.NewEncoder(os.Stdout).Encode(result))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Waits until a server listens, and says before that it does.
func wait(socket string) error {
	fmt.Println("waiting")
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		connection, err := net.Dial("unix", socket)
		if err == nil {
			return connection.Close()
		}
		time.Sleep(time.Millisecond)
	}
	return fmt.Errorf("nobody listens at %s", socket)
}

func duration(value float64) time.Duration {
	return time.Duration(value * float64(time.Second))
}

// Does so many operations as fast as possible.
func fill(operation Operation, callers, count int) error {
	each := (count + callers - 1) / callers
	return together(callers, func(caller int) error {
		step := operation(caller)
		for done := 0; done < each; done++ {
			if _, err := step(); err != nil {
				return err
			}
		}
		return nil
	})
}

// Runs operations for a while, and counts those that began and ended in the time measured.
func measure(
	operation Operation, callers int, warm, length time.Duration, server int, helpers string,
) (*Result, error) {
	begin := time.Now().Add(warm)
	end := begin.Add(length)
	samples := make([][]sample, callers)
	result := &Result{}
	var before, after [3]float64
	var watch sync.WaitGroup
	watch.Add(1)
	var trouble error
	go func() {
		defer watch.Done()
		time.Sleep(time.Until(begin))
		before, trouble = processor(server, helpers)
		if trouble == nil {
			time.Sleep(time.Until(end))
			after, trouble = processor(server, helpers)
		}
	}()
	err := together(callers, func(caller int) error {
		step := operation(caller)
		for {
			started := time.Now()
			if started.After(end) {
				return nil
			}
			times, err := step()
			if err != nil {
				return err
			}
			ended := time.Now()
			if !times.began.IsZero() {
				started, ended = times.began, times.ended
			}
			if started.After(begin) && ended.Before(end) {
				one := sample{whole: ended.Sub(started)}
				if !times.first.IsZero() {
					one.first = times.first.Sub(started)
				}
				samples[caller] = append(samples[caller], one)
			}
		}
	})
	watch.Wait()
	if err == nil {
		err = trouble
	}
	if err != nil {
		return nil, err
	}
	var all []sample
	for _, one := range samples {
		all = append(all, one...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no operation ended within %v", length)
	}
	sort.Slice(all, func(i, j int) bool { return all[i].whole < all[j].whole })
	result.Operations = len(all)
	result.Seconds = length.Seconds()
	result.P50 = microseconds(all[len(all)/2].whole)
	result.P99 = microseconds(all[len(all)*99/100].whole)
	sort.Slice(all, func(i, j int) bool { return all[i].first < all[j].first })
	result.First = microseconds(all[len(all)/2].first)
	operations := float64(len(all))
	result.ServerCPU = (after[0] - before[0]) / operations
	result.HelperCPU = (after[1] - before[1]) / operations
	result.ClientCPU = (after[2] - before[2]) / operations
	return result, nil
}

func microseconds(duration time.Duration) float64 {
	return float64(duration.Nanoseconds()) / 1000
}

// Runs work for each caller and gives the first error.
func together(callers int, work func(caller int) error) error {
	failures := make(chan error, callers)
	for caller := 0; caller < callers; caller++ {
		go func(caller int) { failures <- work(caller) }(caller)
	}
	var first error
	for caller := 0; caller < callers; caller++ {
		if err := <-failures; err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Tells the processor time of the server, its helpers and this process, in microseconds.
func processor(server int, helpers string) (times [3]float64, err error) {
	if server > 0 {
		if times[0], err = used(strconv.Itoa(server)); err != nil {
			return times, err
		}
	}
	for _, helper := range strings.FieldsFunc(helpers, func(r rune) bool { return r == ',' }) {
		time, err := used(helper)
		if err != nil {
			return times, err
		}
		times[1] += time
	}
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return times, err
	}
	times[2] = float64(usage.Utime.Nano()+usage.Stime.Nano()) / 1000
	return times, nil
}

// Tells the processor time of a process with all its threads (proc(5), utime and stime).
func used(process string) (float64, error) {
	data, err := os.ReadFile("/proc/" + process + "/stat")
	if err != nil {
		return 0, err
	}
	text := string(data)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+2:])
	user, err := strconv.ParseFloat(fields[11], 64)
	if err != nil {
		return 0, err
	}
	system, err := strconv.ParseFloat(fields[12], 64)
	// In ticks, which have been a hundredth of a second on every Linux for decades.
	return (user + system) * 10_000, err
}
