// Sequences of packets at the assembler with real codebooks: ports of real knocks, of the book, and any others, from a
// few sources, with pauses, late verdicts and a gatekeeper that has no room at times.
#include "server/listener/assembler.hpp"

#include <bit>
#include <deque>

#include "server/privsep/messages.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/home.hpp"

namespace oneknock::fuzz {
namespace {

constexpr std::size_t knock_count = 4, most_packets = 4096;
const std::array sources{*Address::parse("192.0.2.1"), *Address::parse("198.51.100.9"), *Address::parse("2001:db8::1"),
                         *Address::parse("2001:db8::2")};
const Address honest = *Address::parse("203.0.113.5");

Knock knock_of(const Address& address, std::uint8_t number) {
    Request request;
    request.port = ssh.port;
    request.address = address;
    request.time = static_cast<std::uint32_t>(noon.time_since_epoch().count());
    request.nonce[0] = number;
    return make_knock(request, secret_of(11), secret_of(1), home().id, home().span);
}

Codebook build_codes(Epoch epoch) {
    return Codebook::build(codebook_seed(secret_of(1), home().id, epoch), home().span);
}

// What does not change from run to run.
struct Real {
    MessageKeys keys = derive_message_keys(secret_of(11));
    Codebook codes = build_codes(epoch_of(noon));
    std::array<std::array<Knock, knock_count>, sources.size()> knocks = [] {
        std::array<std::array<Knock, knock_count>, sources.size()> all;
        for (std::size_t s = 0; s < sources.size(); ++s)
            for (std::size_t k = 0; k < knock_count; ++k)
                all[s][k] = knock_of(sources[s], static_cast<std::uint8_t>(k));
        return all;
    }();
    Knock last = knock_of(honest, 99);
};
const Real& real() {
    static const Real made;
    return made;
}

class House final : public CandidateSink {
public:
    House() { add_book(epoch_of(noon)); }

    void add_book(Epoch epoch) {
        assembler_.add_book({epoch, 1, noon - Seconds{3600}, noon + Seconds{3600}, build_codes(epoch)});
    }

    bool offer(const Candidate& candidate) override {
        if (full) return false;
        HOLDS(is_well_formed(candidate));
        HOLDS(candidate.id == ++last_id_ && candidate.door_generation == 1);
        HOLDS(candidate.first_packet_ns <= now.steady.count());
        HOLDS(candidate.source == honest || std::ranges::find(sources, candidate.source) != sources.end());
        if (unseal(candidate.message, real().keys, home().id)) verify(candidate);
        waiting_.push_back(candidate);
        return true;
    }

    void packet(const Address& source, std::uint16_t from, std::uint16_t to) {
        assembler_.packet({source, from, to}, now);
    }
    // A port may be of several knocks.
    void packet_of(std::size_t source, std::uint16_t from, std::uint16_t to) {
        for (std::size_t knock = 0; knock < knock_count; ++knock) {
            const auto& ports = real().knocks[source][knock].ports;
            if (const auto found = std::ranges::find(ports, to); found != ports.end())
                sent_[source][knock] |= std::uint64_t{1} << (found - ports.begin());
        }
        packet(sources[source], from, to);
    }

    void pass(Instant time) {
        now.steady += time;
        now.wall = std::min(noon + std::chrono::floor<Seconds>(now.steady - begin), noon + Seconds{3000});
        assembler_.advance(now.steady);
    }
    void answer(std::size_t count) {
        for (; count > 0 && !waiting_.empty(); --count) {
            const Candidate candidate = waiting_.front();
            waiting_.pop_front();
            const bool verified = unseal(candidate.message, real().keys, home().id).has_value();
            assembler_.verdict(candidate.id, verified, now.steady);
        }
    }
    void odd_verdict(RequestId id, bool verified) { assembler_.verdict(id, verified, now.steady); }

    // Whatever came before: when it is quiet again, an honest knock is read, and at once.
    void honest_knock() {
        full = false;
        for (int i = 0; i < 100; ++i) {
            pass(std::chrono::milliseconds{100});
            answer(waiting_.size());
        }
        for (const std::uint16_t port : real().last.ports) packet(honest, 40000, port);
        HOLDS(is_read_);
    }

    bool full = false;
    static constexpr Instant begin{Seconds{1000}};
    Now now{noon, begin};

private:
    // Of a source, k of whose symbols were on the wire.
    void verify(const Candidate& candidate) {
        if (candidate.source == honest) {
            is_read_ = true;
            return HOLDS(candidate.message == real().last.message);
        }
        const auto source = static_cast<std::size_t>(std::ranges::find(sources, candidate.source) - sources.begin());
        for (std::size_t knock = 0; knock < knock_count; ++knock)
            if (candidate.message == real().knocks[source][knock].message)
                return HOLDS(std::popcount(sent_[source][knock]) >=
                             static_cast<int>(message_length(candidate.source.family)));
        broken("a message verifies that somebody made", __FILE__, __LINE__);
    }

    Assembler assembler_{*this};
    RequestId last_id_ = 0;
    std::deque<Candidate> waiting_;
    std::array<std::array<std::uint64_t, knock_count>, sources.size()> sent_{};
    bool is_read_ = false;
};

std::uint16_t port_of(std::size_t source, std::size_t knock, std::size_t position) {
    return real().knocks[source][knock % knock_count].ports[position % codeword_length];
}

void burst(House& house, Input& input, std::size_t source) {
    const std::uint8_t what = input.u8();
    const std::size_t first = input.u8() % codeword_length, count = input.u8() % (codeword_length + 1U);
    for (std::size_t i = 0; i < count; ++i) {
        if ((what & 4) != 0) house.pass(std::chrono::microseconds{20});
        const auto from = static_cast<std::uint16_t>(4000 + what / 8 % 4 + ((what & 128) != 0 ? i : 0));
        house.packet_of(source, from, port_of(source, what, first + i));
    }
}

void one_step(House& house, Input& input) {
    const std::uint8_t step = input.u8();
    const std::size_t source = step / 16 % sources.size();
    const auto from = static_cast<std::uint16_t>(4000 + step / 64);
    switch (step % 16) {
        case 0:
        case 1:
        case 2: return burst(house, input, source);
        case 3: {
            const std::uint8_t knock = input.u8();
            return house.packet_of(source, from, port_of(source, knock, input.u8()));
        }
        case 4:
        case 5: {
            const std::uint8_t position = input.u8() % codeword_length;
            return house.packet_of(source, from, real().codes.port({position, input.u8()}));
        }
        case 6: {
            const std::uint16_t any = input.u16();
            return house.packet_of(source, any, input.u16());
        }
        case 7: return house.pass(std::chrono::microseconds{input.u16()});
        case 8: return house.pass(std::chrono::milliseconds{input.u16() % 8192});
        case 9: return house.answer(input.u8());
        case 10: return house.odd_verdict(input.u8(), input.flag());
        case 11: house.full = input.flag(); return;
        case 12:
            for (std::size_t i = input.u8(); i > 0; --i)  // junk on the book's ports
                house.packet_of(
                    source, from,
                    real().codes.port({static_cast<std::uint8_t>(i % 64), static_cast<std::uint8_t>(i * 37)}));
            return;
        case 13: return house.add_book(Epoch{epoch_of(noon).value + input.u8() % 4});
        default: return house.answer(64);
    }
}

}  // namespace

void one_input(Input input) {
    House house;
    for (std::size_t steps = 0; !input.empty() && steps < most_packets; ++steps) one_step(house, input);
    house.honest_knock();
}

std::vector<Bytes> seeds() {
    const std::uint8_t whole = 64;
    return {
        {},
        {0, 0, 0, whole, 9, 9},                                      // a clean knock
        {32, 1, 0, whole, 9, 9},                                     // IPv6
        {0, 0, 0, 36, 9, 9, 0, 1, 10, 50, 9, 9},                     // k of 64, and another one
        {0, 128, 0, whole, 9, 9},                                    // each packet from its own port
        {12, 200, 0, 4, 0, whole, 8, 0, 50, 14},                     // in junk
        {0, 0, 0, 30, 8, 2, 88, 0, 0, 25, 39, 9, 9},                 // in two passes
        {11, 1, 0, 0, 0, whole, 7, 1, 0, 11, 0, 8, 0, 5, 9, 9},      // no room at first
        {0, 4, 0, whole, 0, 5, 0, whole, 9, 9, 0, 4, 0, whole, 14},  // two, and the first again
        {13, 1, 0, 0, 0, whole, 13, 0, 9, 9},                        // with two books
    };
}

}  // namespace oneknock::fuzz
