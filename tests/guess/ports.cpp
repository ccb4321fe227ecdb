#include "tests/guess/ports.hpp"

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <utility>

#include "tests/bench/costs/listener.hpp"

namespace oneknock {
namespace {

constexpr BenchListener::Turn turn{64, Instant{640'000}};  // so 100,000 packets a second

// A SYN to this host, from whom and to which port is yet to be said.
class Frame {
public:
    explicit Frame(Family family) : family_(family) {
        bytes_[0] = bytes_[6] = 0x02;  // local addresses
        if (family == Family::ipv4) {
            begin({0x08, 0x00, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, protocol_tcp});
            source_ = 26, ports_ = 34;
        } else {
            begin({0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, protocol_tcp, 64});
            source_ = 22, ports_ = 54;
        }
        bytes_[ports_ + 12] = 0x50, bytes_[ports_ + 13] = 0x02;  // no options; SYN
    }

    void from(const Address& source) { std::ranges::copy(source.span(), &bytes_[source_]); }
    void from(std::uint32_t address) { store_u32be(&bytes_[source_], address); }
    void from_port(std::uint16_t port) { store_u16be(&bytes_[ports_], port); }
    void to_port(std::uint16_t port) { store_u16be(&bytes_[ports_ + 2], port); }
    [[nodiscard]] ByteSpan bytes() const { return {bytes_.data(), ports_ + 20}; }
    [[nodiscard]] Family family() const { return family_; }

private:
    void begin(std::initializer_list<std::uint8_t> header) { std::ranges::copy(header, &bytes_[12]); }

    Family family_;
    Bytes<74> bytes_{};
    std::size_t source_, ports_;
};

// A client's knock from an address of its own.
bool real_knock_verifies(BenchDoor& door, BenchListener& listener, Family family, const char* address) {
    const Address source = *Address::parse(address);
    const std::uint64_t before = listener.verified();
    Frame frame(family);
    frame.from(source);
    frame.from_port(40000);
    for (const std::uint16_t port : door.knock(0, source).ports) {
        frame.to_port(port);
        listener.frame(frame.bytes());
    }
    listener.settle();
    return listener.verified() == before + 1;
}

bool real_knocks_verify(BenchDoor& door, BenchListener& listener) {
    return real_knock_verifies(door, listener, Family::ipv4, "198.51.100.7") &&
           real_knock_verifies(door, listener, Family::ipv6, "2001:db8:7::7");
}

using Aim = std::function<void(Dice&, Frame&)>;  // sets what is not random in all kinds

Outcome guess(BenchDoor& door, std::string kind, std::uint64_t count, Frame frame, const Aim& aim) {
    BenchListener listener(door, turn);
    Dice dice = fresh_dice();
    Outcome outcome{std::move(kind)};
    outcome.real_ones_verified = real_knocks_verify(door, listener);
    const std::uint64_t asked = listener.asked(), verified = listener.verified();
    frame.from_port(50000);
    const double begin = processor_seconds();
    for (; outcome.tried < count; ++outcome.tried) {
        frame.to_port(static_cast<std::uint16_t>(dice()));
        aim(dice, frame);
        listener.frame(frame.bytes());
    }
    listener.settle();
    outcome.seconds = processor_seconds() - begin;
    outcome.asked = listener.asked() - asked;
    outcome.opened = listener.verified() - verified;
    outcome.real_ones_verified = outcome.real_ones_verified && real_knocks_verify(door, listener);
    return outcome;
}

Frame frame_from(const char* address) {
    const Address source = *Address::parse(address);
    Frame frame(source.family);
    frame.from(source);
    return frame;
}

}  // namespace

std::vector<Outcome> guess_ports(BenchDoor& door, std::uint64_t count) {
    const Book book = door.book();
    const auto nothing_else = [](Dice&, Frame&) {};
    const auto any_source_port = [](Dice& dice, Frame& frame) { frame.from_port(static_cast<std::uint16_t>(dice())); };
    const auto one_of_a_thousand = [](Dice& dice, Frame& frame) {
        frame.from(0x0a000000U + static_cast<std::uint32_t>(dice() % 1000));
    };
    const auto any_source = [](Dice& dice, Frame& frame) {
        frame.from(0x20000000U | static_cast<std::uint32_t>(dice() >> 35));
    };
    const auto port_of_the_book = [&](Dice& dice, Frame& frame) {
        const auto number = dice();
        frame.to_port(book.codes.port(
            {static_cast<std::uint8_t>(number % codeword_length), static_cast<std::uint8_t>(number >> 8)}));
    };
    std::vector<Outcome> outcomes;
    const auto add = [&](const char* kind, const char* from, const Aim& aim) {
        outcomes.push_back(guess(door, kind, count, frame_from(from), aim));
    };
    add("random ports, one IPv4 source", "192.0.2.1", nothing_else);
    add("random ports, one IPv6 source", "2001:db8::1", nothing_else);
    add("random ports, one source, any source port", "192.0.2.1", any_source_port);
    add("random ports, a thousand sources", "192.0.2.1", one_of_a_thousand);
    add("random ports, random sources", "192.0.2.1", any_source);
    add("random ports of the codebook, one source", "192.0.2.1", port_of_the_book);
    return outcomes;
}

}  // namespace oneknock
