// What a knock costs in each part of the daemon, how that grows, and what it would cost at the least: the disk's own
// time and the kernel's. Needs root: the netlink part makes a network namespace for itself. The record lies in
// $ONEKNOCK_BENCH_DISK (default: /var/tmp), which should be a disk and not memory.
#include <sched.h>
#include <chrono>
#include <cstdlib>
#include <thread>

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include "server/firewall/firewall.hpp"
#include "server/firewall/table/element_key.hpp"
#include "server/gatekeeper/decide/decider.hpp"
#include "server/listener/assembler.hpp"
#include "tests/bench/costs/door.hpp"
#include "tests/bench/costs/folder.hpp"

using namespace oneknock;

namespace {

using Clock = std::chrono::steady_clock;

const Address home = *Address::parse("192.0.2.7");

// Knocks are rare: the disk and the processor have gone to rest meanwhile, and wake for each of them.
constexpr std::chrono::milliseconds between_knocks{10};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// --- assembly -----------------------------------------------------------------------------------------------------

class Sink final : public CandidateSink {
public:
    bool offer(const Candidate& candidate) override {
        last = candidate;
        return true;
    }
    Candidate last;
};

// 64 packets in, one candidate out; each knock comes from another address.
void assembly(benchmark::State& state) {
    BenchDoor door(1);
    Sink sink;
    Assembler assembler(sink);
    assembler.add_book(door.book());
    Now now{BenchDoor::noon, Seconds{1000}};
    std::uint32_t number = 0x0a000000;
    for (auto _ : state) {
        const Address source = Address::ipv4(++number);
        const auto knock = door.knock(0, source);
        const auto start = Clock::now();
        for (const std::uint16_t port : knock.ports) {
            now.steady += std::chrono::microseconds{5};
            assembler.packet({source, 40000, port}, now);
        }
        assembler.verdict(sink.last.id, true, now.steady);
        state.SetIterationTime(seconds_since(start));
        now.steady += std::chrono::milliseconds{1};
    }
}

// --- verification -------------------------------------------------------------------------------------------------

void verification(benchmark::State& state) {
    const auto clients = static_cast<std::uint32_t>(state.range(0));
    BenchDoor door(clients);
    for (auto _ : state) {
        const auto candidate = door.candidate(random_below(clients), home);
        const auto start = Clock::now();
        const bool verified = door.verify(candidate);
        state.SetIterationTime(seconds_since(start));
        if (!verified) state.SkipWithError("a knock did not verify");
    }
}

// The longest that the change of the hour keeps a knock waiting: one slice of the next hour's table, its sorting
// included.
void hour_change(benchmark::State& state) {
    const auto clients = static_cast<std::size_t>(state.range(0));
    BenchDoor door(clients);
    Epoch epoch = epoch_of(BenchDoor::noon);
    constexpr std::size_t slice = 250;  // as in the gatekeeper's loop
    double longest = 0;
    for (auto _ : state) {
        const Epoch next{epoch.value + 1};
        auto start = Clock::now();
        const auto begun = start;
        door.verifier().set_epochs({epoch, next});
        for (bool more = true; more;) {
            more = door.verifier().build_hints(slice);
            longest = std::max(longest, seconds_since(start));
            start = Clock::now();
        }
        door.verifier().set_epochs({next});
        longest = std::max(longest, seconds_since(start));
        state.SetIterationTime(seconds_since(begun));
        epoch = next;
    }
    state.counters["longest_ms"] = longest * 1000;
}

// --- the record ---------------------------------------------------------------------------------------------------

AuditEntry line(std::size_t number) {
    AuditEntry entry;
    entry.when = BenchDoor::noon - Seconds{1'000'000} + Seconds{static_cast<std::int64_t>(number)};
    entry.client = "client-" + std::to_string(number * 7919 % 10'000);
    entry.source = entry.address = Address::ipv4(static_cast<std::uint32_t>(number * 2654435761U));
    entry.request.port = 22;
    entry.decision = "accepted";
    return entry;
}

Audit audit_with(const std::string& folder, std::size_t lines) {
    auto audit = Audit::open(folder, BenchDoor::noon);
    if (!audit) std::abort();
    for (std::size_t i = 0; i < lines;) {
        std::vector<AuditEntry> some;
        for (std::size_t end = std::min(lines, i + 50'000); i < end; ++i) some.push_back(line(i));
        if (!audit->write(some)) std::abort();
    }
    return std::move(*audit);
}

Record new_record(const std::string& folder) {
    auto record = Record::open(folder, DoorId{{7}}, {BenchDoor::noon - Seconds{1'000'000}, {}}, Seconds{60});
    if (!record) std::abort();
    return std::move(*record);
}

// Decided and durable: verification, policy, and the record's commit. Each knock is of another client, so that neither
// its rate nor its share of the record limits it.
void decision_and_record(benchmark::State& state) {
    const Folder folder;
    BenchDoor door(10'000);
    Decider decider(door.take_verifier(), new_record(folder.path()),
                    audit_with(folder.path(), static_cast<std::size_t>(state.range(0))), Limits{});
    std::size_t client = 0;
    Now now{BenchDoor::noon, Seconds{1000}};
    for (auto _ : state) {
        const auto candidate = door.candidate(client++ % door.clients(), home);
        now.steady += std::chrono::milliseconds{10};
        const auto start = Clock::now();
        auto decisions = decider.decide({candidate}, now);
        decider.make_durable(decisions, now);
        state.SetIterationTime(seconds_since(start));
        if (decisions.front().refused) state.SkipWithError("a knock was refused");
        decider.note_for_audit(decisions, now);
        if (!decider.write_audit()) state.SkipWithError("the audit was not written");  // after the grant
        std::this_thread::sleep_for(between_knocks);
    }
}

// What any durable record costs at the least, a page and fdatasync: written over (0), or appended (1).
void fdatasync_alone(benchmark::State& state) {
    const Folder folder;
    const int fd = open((folder.path() + "log").c_str(), O_WRONLY | O_CREAT, 0600);
    const std::vector<char> page(4096, 'x');
    for (int i = 0; i < 1000; ++i)
        if (write(fd, page.data(), page.size()) < 0) std::abort();
    fsync(fd);
    off_t at = state.range(0) == 0 ? 0 : 1000 * 4096;
    for (auto _ : state) {
        const auto start = Clock::now();
        if (pwrite(fd, page.data(), page.size(), at) < 0 || fdatasync(fd) != 0) std::abort();
        state.SetIterationTime(seconds_since(start));
        at += 4096;  // fewer than a thousand times
        std::this_thread::sleep_for(between_knocks);
    }
    close(fd);
}

// --- netlink ------------------------------------------------------------------------------------------------------

Instant steady_now() { return std::chrono::duration_cast<Instant>(Clock::now().time_since_epoch()); }

void own_network() {
    static const int made = unshare(CLONE_NEWNET);
    if (made != 0) std::abort();
}

void open_grant(benchmark::State& state) {
    own_network();
    auto firewall = Firewall::open({}, {BenchDoor::ssh});
    if (!firewall || !firewall->install({}, steady_now()))
        return state.SkipWithError("the firewall's table cannot be made");
    std::uint32_t number = 0x0a000000;
    for (std::int64_t i = 0; i < state.range(0); ++i)
        if (firewall->open_grant(BenchDoor::ssh, Address::ipv4(++number), Seconds{3600}, steady_now()) != 0)
            std::abort();
    for (auto _ : state) {
        const Address address = Address::ipv4(number + 1);
        const auto start = Clock::now();
        const int error = firewall->open_grant(BenchDoor::ssh, address, Seconds{60}, steady_now());
        state.SetIterationTime(seconds_since(start));
        if (error != 0) state.SkipWithError("a grant was refused");
        if (firewall->close_grant(BenchDoor::ssh, address, steady_now()) != 0)
            state.SkipWithError("a grant was not closed");
        std::this_thread::sleep_for(between_knocks);
    }
    if (!firewall->remove()) state.SkipWithError("the table was not removed");
}

// What any change costs at the least: a batch with one element.
void batch_alone(benchmark::State& state) {
    own_network();
    auto firewall = Firewall::open({}, {BenchDoor::ssh});
    auto socket = nft::Socket::open();
    if (!firewall || !socket || !firewall->install({}, steady_now()))
        return state.SkipWithError("the firewall's table cannot be made");
    const FirewallConfig config;
    const auto names = grant_sets(config);
    std::uint32_t number = 0x0a000000;
    for (auto _ : state) {
        const std::vector<Element> element{{element_key({BenchDoor::ssh, Address::ipv4(++number)}), Seconds{60}}};
        const auto start = Clock::now();
        nft::Batch batch(names.table);
        batch.add_elements(names.of(Family::ipv4), element);
        const int error = socket->commit(batch);
        state.SetIterationTime(seconds_since(start));
        if (error != 0) state.SkipWithError("an element was refused");
        std::this_thread::sleep_for(between_knocks);
    }
    if (!firewall->remove()) state.SkipWithError("the table was not removed");
}

}  // namespace

BENCHMARK(assembly)->UseManualTime()->Iterations(5'000);
BENCHMARK(verification)->Arg(1)->Arg(100)->Arg(10'000)->Arg(100'000)->UseManualTime()->Iterations(20'000);
BENCHMARK(hour_change)->Arg(100'000)->UseManualTime()->Iterations(5);
BENCHMARK(fdatasync_alone)->Arg(0)->Arg(1)->UseManualTime()->Iterations(300);
BENCHMARK(decision_and_record)->Arg(0)->Arg(10'000)->Arg(100'000)->Arg(1'000'000)->UseManualTime()->Iterations(300);
BENCHMARK(batch_alone)->UseManualTime()->Iterations(300);
BENCHMARK(open_grant)->Arg(0)->Arg(1'000)->Arg(10'000)->Arg(65'000)->UseManualTime()->Iterations(300);
