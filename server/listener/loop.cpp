#include "server/listener/loop.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <sys/prctl.h>
#include <unistd.h>

#include "common/log.hpp"
#include "common/poll.hpp"
#include "common/secret.hpp"
#include "server/listener/arrival_clock.hpp"
#include "server/listener/assembler.hpp"
#include "server/listener/capture.hpp"
#include "server/listener/rest.hpp"
#include "server/privsep/system_calls.hpp"

namespace oneknock {
namespace {

using std::chrono::microseconds;

constexpr std::size_t most_queued_candidates = 256;
constexpr int most_messages_a_turn = 256;  // so that packets get their turn

class Listener final : public CandidateSink {
public:
    Listener(Capture capture, Channel gatekeeper)
        : capture_(std::move(capture)), gatekeeper_(std::move(gatekeeper)), assembler_(*this) {}

    ExitCode run() {
        for (;;) {
            wait();
            now_ = read_clocks();
            if (const auto end = handle_gatekeeper()) return *end;
            read_packets();
            if (capture_.is_deaf()) return ExitCode::unavailable;
            assembler_.advance(clock_.now());
            gatekeeper_.flush();
            rest();
        }
    }

    bool offer(const Candidate& candidate) override { return gatekeeper_.send(candidate, most_queued_candidates); }

private:
    void read_packets() {
        clock_.begin_turn(now_.steady, std::chrono::time_point_cast<microseconds>(std::chrono::system_clock::now()));
        const bool all = capture_.read([this](LinkLayer link, ByteSpan bytes, Capture::Stamp stamp) {
            const auto packet = parse_packet(link, bytes);
            if (packet) assembler_.packet(*packet, {now_.wall, clock_.packet(stamp)});
        });
        if (all) clock_.all_read();
    }

    void rest() {
        const std::uint64_t packets = capture_.packets_read();
        if (std::exchange(packets_seen_, packets) == packets) return;
        const std::chrono::nanoseconds time = rest_.next(now_.steady - rested_, assembler_.counters().sources);
        const timespec moment{0, time.count()};
        ppoll(nullptr, 0, &moment, nullptr);
        rested_ = read_clocks().steady;
    }

    void wait() {
        polled_.clear();
        polled_.push_back(gatekeeper_.polled());
        capture_.add_to(polled_);
        poll_until(polled_, assembler_.next_due());
    }

    // The exit code, if the room is to be left.
    std::optional<ExitCode> handle_gatekeeper() {
        for (int i = 0; i < most_messages_a_turn; ++i) {
            switch (gatekeeper_.receive(datagram_)) {
                case Channel::Received::nothing: return std::nullopt;
                case Channel::Received::closed: return ExitCode::ok;
                case Channel::Received::datagram: break;
            }
            if (const auto verdict = datagram_.as<WordVerdict>())
                assembler_.verdict(verdict->id, verdict->verified, clock_.now());
            else if (const auto request = datagram_.as<ReportRequest>()) report(request->id);
            else if (!handle_span() && !handle_seed()) {
                log::error("listener: the gatekeeper sent something unexpected");
                return ExitCode::software;
            }
            wipe(datagram_.bytes.data(), datagram_.size);  // it may have been a seed
        }
        return std::nullopt;
    }

    // Not with as<BookSeed>(), which leaves a copy behind.
    bool handle_seed() {
        if (datagram_.kind() != BookSeed::kind || datagram_.size != sizeof(BookSeed)) return false;
        BookSeed seed;
        std::memcpy(static_cast<void*>(&seed), datagram_.bytes.data(), sizeof seed);
        add_book(seed);
        wipe(&seed, sizeof seed);
        return true;
    }

    bool handle_span() {
        const auto told = datagram_.as<DoorSpan>();
        if (!told) return false;
        auto span = PortSpan::from_ranges({told->ranges, told->ranges + told->count});
        if (!span) return false;
        span_ = std::move(*span);
        return true;
    }

    void add_book(const BookSeed& seed) {
        assembler_.add_book({Epoch{seed.epoch}, seed.door_generation, UnixTime{Seconds{seed.live_from}},
                             UnixTime{Seconds{seed.live_until}}, Codebook::build(Secret32::from(seed.seed), span_)});
    }

    void report(RequestId id) {
        const auto captured = capture_.counters();
        const auto& assembled = assembler_.counters();
        CaptureReport report;
        report.dropped_lines = log::dropped();
        report.id = id;
        report.packets = captured.packets;
        report.dropped = captured.dropped;
        report.symbols = assembled.symbols;
        report.decodes = assembled.decodes;
        report.candidates = assembled.candidates;
        gatekeeper_.send(report);
    }

    Capture capture_;
    Channel gatekeeper_;
    Assembler assembler_;
    PortSpan span_;
    Now now_ = read_clocks();
    std::uint64_t packets_seen_ = 0;
    Rest rest_;
    Instant rested_{};  // the end of the last rest
    ArrivalClock clock_;
    Datagram datagram_;
    std::vector<pollfd> polled_;
};

bool say_ready(Descriptor parent) {
    if (write_all(parent.get(), Bytes<1>{1})) return true;
    if (errno != EPIPE)  // a parent that is gone has said why
        log::error(std::string("listener: cannot tell the parent that it is ready: ") + std::strerror(errno));
    return false;
}

ExitCode run_to_the_end(Listener& listener) {
    try {
        return listener.run();
    } catch (const LockedMemoryError& error) {  // for the seed of a book
        log::error(std::string("listener: ") + error.what());
        return ExitCode::permission;
    }
}

}  // namespace

ExitCode run_listener(const std::vector<std::string>& interfaces, const Identity& identity, Channel gatekeeper,
                      Descriptor ready) {
    harden_process("okd-listener", true);
    prctl(PR_SET_TIMERSLACK, 1UL);  // nanosecond: its rests are short
    raise_locked_memory_limit();
    auto capture = Capture::open(interfaces);
    if (!capture) {
        log::error(capture.error().message);
        return capture.error().code;
    }
    if (!codeword_self_test()) {
        log::error("this build of libfec does not give the known answer; install Debian's libfec0");
        return ExitCode::system;
    }
    const int channel = gatekeeper.descriptor();
    Listener listener(std::move(*capture), std::move(gatekeeper));
    auto dropped = drop_everything(identity);
    if (dropped) dropped = allow_listener_calls_only(channel, ready.get());
    if (!dropped) {
        log::error("listener: " + dropped.error().message);
        return dropped.error().code;
    }
    // Closing the captures would take system calls that are forbidden by now: the kernel closes them.
    _exit(static_cast<int>(say_ready(std::move(ready)) ? run_to_the_end(listener) : ExitCode::system));
}

}  // namespace oneknock
