// The assembler on its own, with keys that verify: what a network and an attacker can do to a knock's packets.
#include "server/listener/assembler.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>

#include "client/message/pass_schedule.hpp"
#include "common/protocol/knock.hpp"
#include "tests/catch.hpp"

using namespace oneknock;
using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

const Address client_ipv4 = *Address::parse("192.0.2.7");
const Address client_ipv6 = *Address::parse("2001:db8::7");
constexpr UnixTime start{Seconds{1'800'000'000}};

// A door with one client, an assembler with its book, and a gatekeeper that answers after 100 microseconds.
class House final : public CandidateSink {
public:
    explicit House(const char* span_text = "1024-65535") : span(*PortSpan::parse(span_text)) {
        assembler.add_book({epoch_of(start), 1, start - Seconds{3700}, start + Seconds{3700},
                            Codebook::build(codebook_seed(door_secret, door, epoch_of(start)), span)});
    }

    // As around a change of the hour, and while the door has two generations.
    void add_other_books() {
        const Epoch next{epoch_of(start).value + 1};
        const Secret32 other_secret = Secret32::random();
        for (const auto& [epoch, generation] : {std::pair{next, 1U}, {epoch_of(start), 2U}, {next, 2U}})
            assembler.add_book(
                {epoch, generation, start - Seconds{3700}, start + Seconds{3700},
                 Codebook::build(codebook_seed(generation == 1 ? door_secret : other_secret, door, epoch), span)});
    }

    bool offer(const Candidate& candidate) override {
        const bool verified = unseal(candidate.message, keys, door).has_value();
        if (verified) accepted.push_back(candidate.message.tag());
        verdicts.push_back({clock + microseconds{100}, candidate.id, verified});
        return true;
    }

    [[nodiscard]] Knock knock(const Address& address) {
        Request request;
        request.port = 22;
        request.address = address;
        request.time = static_cast<std::uint32_t>(start.time_since_epoch().count());
        fill_random(request.nonce);
        return make_knock(request, client_secret, door_secret, door, span);
    }

    void pass_until(Instant time) {
        for (;;) {
            Instant next = time;
            if (!verdicts.empty()) next = std::min(next, verdicts.front().when);
            if (const auto due = assembler.next_due()) next = std::min(next, std::max(*due, clock));
            clock = std::max(clock, next);
            if (!verdicts.empty() && verdicts.front().when <= clock) {
                const auto verdict = verdicts.front();
                verdicts.pop_front();
                assembler.verdict(verdict.id, verdict.verified, clock);
            } else if (assembler.next_due() && *assembler.next_due() <= clock && clock < time) {
                assembler.advance(clock);
                clock += microseconds{10};
            } else if (clock >= time) {
                return;
            }
        }
    }

    void send(std::uint16_t port, const Address& source, std::uint16_t source_port, Instant time) {
        pass_until(time);
        assembler.packet({source, source_port, port}, {start + std::chrono::floor<Seconds>(clock), clock});
    }

    [[nodiscard]] std::size_t distinct_accepted() const {
        auto tags = accepted;
        std::sort(tags.begin(), tags.end());
        return static_cast<std::size_t>(std::unique(tags.begin(), tags.end()) - tags.begin());
    }

    struct DueVerdict {
        Instant when;
        RequestId id;
        bool verified;
    };

    PortSpan span;
    Secret32 door_secret = Secret32::random();
    Secret32 client_secret = Secret32::random();
    DoorId door{{7}};
    MessageKeys keys = derive_message_keys(client_secret);
    Instant clock{Seconds{1000}};
    std::deque<DueVerdict> verdicts;
    std::vector<Tag> accepted;
    Assembler assembler{*this};
};

std::vector<std::uint16_t> shuffled(const Knock& knock, std::size_t keep = codeword_length) {
    std::vector<std::uint16_t> ports(knock.ports.begin(), knock.ports.end());
    for (std::size_t i = 0; i + 1 < ports.size(); ++i)
        std::swap(ports[i], ports[i + random_below(static_cast<std::uint32_t>(ports.size() - i))]);
    ports.resize(keep);
    return ports;
}

// What is on the wire, by time.
struct Sent {
    Instant time;
    std::uint16_t port;
    Address source;
    std::uint16_t source_port;
};

class Wire {
public:
    void burst(const std::vector<std::uint16_t>& ports, const Address& source, std::uint16_t source_port, Instant from,
               Instant length) {
        for (std::size_t i = 0; i < ports.size(); ++i)
            packets_.push_back({from + length * static_cast<long>(i) / static_cast<long>(ports.size()), ports[i],
                                source, source_port});
    }
    // Random ports of the widest span; source port 0: a random one each.
    void junk(int per_second, const Address& source, std::uint16_t source_port, Instant from, Instant until) {
        const auto gap = Instant{1'000'000'000 / per_second};
        for (Instant t = from; t < until; t += gap)
            packets_.push_back(
                {t, static_cast<std::uint16_t>(1024 + random_below(64512)), source,
                 source_port != 0 ? source_port : static_cast<std::uint16_t>(1024 + random_below(60000))});
    }
    void deliver(House& house) {
        std::stable_sort(packets_.begin(), packets_.end(),
                         [](const Sent& a, const Sent& b) { return a.time < b.time; });
        const Instant begin = house.clock;
        for (const Sent& p : packets_) house.send(p.port, p.source, p.source_port, begin + p.time);
        house.pass_until(begin + packets_.back().time + milliseconds{50});
    }

private:
    std::vector<Sent> packets_;
};

// A client that knocks with --wait, behind a translator that gives each packet a port of its own.
class WaitingClient {
public:
    WaitingClient(House& house, const Address& address, Instant begin)
        : house_(house),
          address_(address),
          schedule_({.packets = codeword_length, .repeat = true, .adapts = true}, begin) {}

    [[nodiscard]] Instant due() const { return queue_.empty() ? schedule_.due() : queue_.front().time; }

    // What is due at `now`: a pass is made, or the next packet of one goes out, and is lost unless it arrives.
    void act(Instant now, bool arrives) {
        if (queue_.empty()) {
            begin_turn(schedule_.take(now, milliseconds{random_below(repeat_jitter.count() + 1)}), now);
            return;
        }
        const Sent packet = queue_.front();
        queue_.pop_front();
        if (arrives) house_.send(packet.port, packet.source, packet.source_port, now);
    }

    [[nodiscard]] bool is_in() const {
        const auto accepted = [&](const Tag& tag) { return std::ranges::count(house_.accepted, tag) != 0; };
        return std::ranges::any_of(tags_, accepted);
    }

private:
    void begin_turn(const PassSchedule::Turn& turn, Instant now) {
        if (turn.new_message) {
            knock_ = house_.knock(address_);
            tags_.push_back(knock_->message.tag());
        }
        if (turn.first == 0) ports_ = shuffled(*knock_);
        for (std::size_t i = 0; i < turn.count; ++i)
            queue_.push_back({now + microseconds{15} * static_cast<long>(i), ports_[turn.first + i], address_,
                              static_cast<std::uint16_t>(1024 + random_below(60000))});
    }

    House& house_;
    Address address_;
    PassSchedule schedule_;
    std::deque<Sent> queue_;
    std::optional<Knock> knock_;
    std::vector<std::uint16_t> ports_;
    std::vector<Tag> tags_;
};

// How long it takes until all are in that start within a millisecond or two, from when their packets arrive; half a
// minute at most.
Instant time_until_all_are_in(const Address& address, int count, Instant before_any_arrives, std::uint32_t lost = 0) {
    House house;
    const Instant begin = house.clock;
    std::vector<WaitingClient> clients;
    for (int i = 0; i < count; ++i) clients.emplace_back(house, address, begin + microseconds{random_below(2000)});
    for (Instant now = begin;;) {
        WaitingClient* next = nullptr;
        for (WaitingClient& client : clients)
            if (!client.is_in() && (next == nullptr || client.due() < next->due())) next = &client;
        if (next == nullptr || now > begin + before_any_arrives + Seconds{30}) return now - begin - before_any_arrives;
        now = std::max(now, next->due());
        next->act(now, now >= begin + before_any_arrives && random_below(100) >= lost);
    }
}

}  // namespace

TEST_CASE("a clean knock is one candidate and one decode, in any order, with duplicates") {
    for (const Address& address : {client_ipv4, client_ipv6}) {
        House house;
        const Knock knock = house.knock(address);
        auto ports = shuffled(knock);
        const auto again = shuffled(knock, 20);
        ports.insert(ports.begin() + 30, again.begin(), again.end());
        Wire wire;
        wire.burst(ports, address, 4000, {}, milliseconds{1});
        wire.deliver(house);
        CHECK(house.accepted == std::vector{knock.message.tag()});
        CHECK(house.assembler.counters().decodes == 1);
        CHECK(house.assembler.counters().candidates == 1);
        CHECK(house.assembler.counters().sources == 1);
    }
}

TEST_CASE("any k of 64 packets are enough and k - 1 are not") {
    for (const Address& address : {client_ipv4, client_ipv6}) {
        const std::size_t k = message_length(address.family);
        for (int i = 0; i < test::trials(300); ++i) {
            House house;
            Wire wire;
            wire.burst(shuffled(house.knock(address), k), address, 4000, {}, milliseconds{1});
            wire.deliver(house);
            REQUIRE(house.accepted.size() == 1);
        }
        House house;
        Wire wire;
        wire.burst(shuffled(house.knock(address), k - 1), address, 4000, {}, milliseconds{1});
        wire.deliver(house);
        CHECK(house.accepted.empty());
    }
}

TEST_CASE("two passes add up, and a pass later than 5 s does not") {
    House house;
    const Knock knock = house.knock(client_ipv6);
    const auto ports = shuffled(knock);
    Wire wire;
    wire.burst({ports.begin(), ports.begin() + 40}, client_ipv6, 4000, {}, milliseconds{1});
    wire.burst({ports.begin() + 24, ports.end()}, client_ipv6, 4000, milliseconds{600}, milliseconds{1});
    wire.deliver(house);
    CHECK(house.accepted.size() == 1);

    House late;
    const auto late_ports = shuffled(late.knock(client_ipv6));
    Wire late_wire;
    late_wire.burst({late_ports.begin(), late_ports.begin() + 40}, client_ipv6, 4000, {}, milliseconds{1});
    late_wire.burst({late_ports.begin() + 40, late_ports.end()}, client_ipv6, 4000, milliseconds{5100},
                    milliseconds{1});
    late_wire.deliver(late);
    CHECK(late.accepted.empty());
}

TEST_CASE("one knock after the other costs one decode each, whatever other books are live") {
    struct Row {
        milliseconds apart, length;
        const char* span;
    };
    const Row rows[] = {
        {milliseconds{300}, milliseconds{1}, "1024-65535"},
        {milliseconds{100}, milliseconds{1}, "1024-65535"},
        {milliseconds{1000}, milliseconds{1}, "1024-65535"},
        {milliseconds{300}, milliseconds{250}, "1024-65535"},  // paced
        {milliseconds{300}, milliseconds{1}, "20000-36383"},   // where every port has a symbol in each book
        {milliseconds{300}, milliseconds{250}, "20000-36383"}};
    for (const Row& row : rows)
        for (const Address& address : {client_ipv4, client_ipv6})
            for (const bool one_port : {false, true}) {
                CAPTURE(row.apart.count(), row.length.count(), row.span, address.text(), one_port);
                House house(row.span);
                house.add_other_books();
                Wire wire;
                for (int i = 0; i < 20; ++i)
                    wire.burst(shuffled(house.knock(address)), address,
                               static_cast<std::uint16_t>(one_port ? 40000 : 40000 + i), row.apart * i, row.length);
                wire.deliver(house);
                CHECK(house.distinct_accepted() == 20);
                CHECK(house.accepted.size() == 20);
                // Or one more: the first packets may be as many symbols of a word in another book, by chance (once in
                // a thousand such knocks).
                CHECK(house.assembler.counters().candidates <= 21);
                CHECK(house.assembler.counters().decodes <= 21);
            }
}

TEST_CASE("knocks behind a translator that gives each packet a port of its own cost one decode each") {
    for (const milliseconds apart : {milliseconds{100}, milliseconds{300}, milliseconds{1000}})
        for (const Address& address : {client_ipv4, client_ipv6})
            for (const int passes : {1, 2}) {
                CAPTURE(apart.count(), address.text(), passes);
                House house;
                Wire wire;
                for (int i = 0; i < 20; ++i) {
                    const auto ports = shuffled(house.knock(address));
                    for (int at = 0; at < 64 * passes; ++at)
                        wire.burst({ports[static_cast<std::size_t>(at) % 64]}, address,
                                   static_cast<std::uint16_t>(10000 + 128 * i + at),
                                   apart * i + milliseconds{60} * (at / 64) + microseconds{10} * (at % 64), {});
                }
                wire.deliver(house);
                CHECK(house.distinct_accepted() == 20);
                CHECK(house.accepted.size() == 20);
                CHECK(house.assembler.counters().candidates == 20);
                CHECK(house.assembler.counters().decodes == 20);
            }
}

TEST_CASE("a knock of another book is read beside one that was played back from the same port") {
    House house;
    house.add_other_books();
    const auto old = shuffled(house.knock(client_ipv4));
    const Epoch next{epoch_of(start).value + 1};
    Request request;
    request.port = 22;
    request.address = client_ipv4;
    request.time = static_cast<std::uint32_t>(next.value * 3600);
    fill_random(request.nonce);
    const auto fresh = shuffled(make_knock(request, house.client_secret, house.door_secret, house.door, house.span));
    Wire wire;
    wire.burst(old, client_ipv4, 40000, Instant{0}, milliseconds{1});
    wire.burst(fresh, client_ipv4, 40000, microseconds{1}, milliseconds{1});
    wire.deliver(house);
    CHECK(house.distinct_accepted() == 2);
}

TEST_CASE("every packet from another source port still makes a knock, and the word is done once") {
    for (const Address& address : {client_ipv4, client_ipv6}) {
        House house;
        const Knock knock = house.knock(address);
        Wire wire;
        std::uint16_t source_port = 20000;
        Instant time{};
        for (int pass = 0; pass < 2; ++pass, time += milliseconds{400})
            for (const std::uint16_t port : shuffled(knock))
                wire.burst({port}, address, source_port++, time += microseconds{10}, microseconds{1});
        wire.deliver(house);
        CHECK(house.accepted == std::vector{knock.message.tag()});
    }
}

TEST_CASE("two knocks whose packets mingle are read as soon as one of them comes again") {
    for (const Address& address : {client_ipv4, client_ipv6}) {
        House house;
        const Knock first = house.knock(address), second = house.knock(address);
        const auto ports = shuffled(first), others = shuffled(second);
        std::uint16_t source_port = 20000;
        const auto send = [&](std::uint16_t port) {
            house.send(port, address, source_port++, house.clock + microseconds{10});
        };
        for (std::size_t i = 0; i < ports.size(); ++i) {
            send(ports[i]);
            send(others[i]);
        }
        house.pass_until(house.clock + milliseconds{300});
        for (const std::uint16_t port : ports) send(port);
        house.pass_until(house.clock + milliseconds{50});
        CHECK(house.accepted.size() == 2);
        CHECK(house.distinct_accepted() == 2);
    }
}

TEST_CASE("clients behind a translator that scatters ports begin at the same moment, and soon are all in") {
    for (const Address& address : {client_ipv4, client_ipv6})
        for (const int count : {2, 5})
            for (const Seconds before_any_arrives : {Seconds{0}, Seconds{10}})
                for (int trial = 0; trial < 5; ++trial) {
                    CAPTURE(address.text(), count, before_any_arrives.count());
                    CHECK(time_until_all_are_in(address, count, before_any_arrives) < Seconds{10});
                }
}

TEST_CASE("a wrong word that bears a knock's tag does not stand in its way") {
    for (const Address& address : {client_ipv4, client_ipv6}) {
        House house;
        const Knock knock = house.knock(address), other = house.knock(address);
        const std::size_t k = message_length(address.family);
        for (std::size_t p = 0; p < k; ++p)  // as many as make a word, and one of them is not of this knock
            house.send((p + 1 < k ? knock : other).ports[p], address, 4000, house.clock + microseconds{10});
        house.pass_until(house.clock + milliseconds{5});
        CHECK(house.assembler.counters().candidates == 1);
        for (std::size_t p = k; p < codeword_length; ++p)
            house.send(knock.ports[p], address, 4000, house.clock + microseconds{10});
        house.pass_until(house.clock + milliseconds{50});
        CHECK(house.accepted == std::vector{knock.message.tag()});
    }
}

TEST_CASE("SYNs that a kernel repeats for a minute, each from its own port, are one knock") {
    for (const Address& address : {client_ipv4, client_ipv6}) {
        House house;
        const auto ports = shuffled(house.knock(address));
        Wire wire;
        for (const int second : {0, 1, 3, 7, 15, 31, 63})  // tcp_syn_retries is 6
            for (std::size_t i = 0; i < ports.size(); ++i)
                wire.burst({ports[i]}, address, static_cast<std::uint16_t>(40000 + i),
                           Seconds{second} + microseconds{100} * static_cast<long>(i), Instant{0});
        wire.deliver(house);
        CHECK(house.accepted.size() == 1);
        CHECK(house.assembler.counters().candidates == 1);
        CHECK(house.assembler.counters().decodes <= 7);

        const auto next = shuffled(house.knock(address));
        for (std::size_t i = 0; i < next.size(); ++i)
            house.send(next[i], address, static_cast<std::uint16_t>(50000 + i), house.clock + microseconds{100});
        house.pass_until(house.clock + milliseconds{50});
        CHECK(house.accepted.size() == 2);
    }
}

TEST_CASE("what the kernels of many browsers behind one address repeat is offered once") {
    for (const Address& address : {client_ipv4, client_ipv6}) {
        House house;
        Wire wire;
        for (std::size_t browser = 0; browser < 40; ++browser) {
            const auto ports = shuffled(house.knock(address));
            for (const int second : {0, 1, 3, 7, 15, 31, 63})
                for (std::size_t i = 0; i < ports.size(); ++i)
                    wire.burst(
                        {ports[i]}, address, static_cast<std::uint16_t>(10000 + 64 * browser + i),
                        Seconds{second} + milliseconds{1510 * browser} + microseconds{100} * static_cast<long>(i),
                        Instant{0});
        }
        wire.deliver(house);
        CHECK(house.distinct_accepted() == 40);
        CHECK(house.assembler.counters().candidates == 40);
    }
}

TEST_CASE("knock after knock is read behind a translator that spreads packets over few ports") {
    for (const Address& address : {client_ipv4, client_ipv6})
        for (const std::size_t few : {std::size_t{16}, std::size_t{64}})
            for (const milliseconds apart : {milliseconds{500}, milliseconds{4900}}) {
                CAPTURE(address.text(), few, apart.count());
                House house;
                Wire wire;
                for (int i = 0; i < 40; ++i) {
                    const auto ports = shuffled(house.knock(address));
                    for (std::size_t at = 0; at < ports.size(); ++at)
                        wire.burst({ports[at]}, address, static_cast<std::uint16_t>(40000 + at % few),
                                   apart * i + microseconds{15} * static_cast<long>(at), Instant{0});
                }
                wire.deliver(house);
                CHECK(house.distinct_accepted() >= 39);  // by chance, a port may have said too much
            }
}

TEST_CASE("clients that go on behind a translator with few ports do not shut each other out") {
    for (const Address& address : {client_ipv4, client_ipv6}) {
        House house;
        const Instant begin = house.clock;
        int read = 0;
        for (int round = 0; round < 12; ++round)  // a message every five seconds, in two passes, and no service yet
            for (int client = 0; client < 5; ++client) {
                const Knock knock = house.knock(address);
                for (int pass = 0; pass < 2; ++pass) {
                    const auto ports = shuffled(knock);
                    for (std::size_t i = 0; i < ports.size(); ++i)
                        house.send(ports[i], address, static_cast<std::uint16_t>(40000 + random_below(64)),
                                   begin + Seconds{5} * round + milliseconds{400} * client + milliseconds{50} * pass +
                                       microseconds{15} * static_cast<long>(i));
                }
                house.pass_until(house.clock + milliseconds{20});
                read += std::ranges::count(house.accepted, knock.message.tag()) != 0;
            }
        CHECK(read >= 58);
    }
}

TEST_CASE("a word that was read before its source is split is done in its port's window, too") {
    for (const Address& address : {client_ipv4, client_ipv6}) {
        House house;
        const Knock first = house.knock(address), second = house.knock(address);
        const auto ports = shuffled(first, message_length(address.family) + 4);
        for (const std::uint16_t port : ports) house.send(port, address, 4000, house.clock + microseconds{1});
        house.send(house.knock(address).ports[0], address, 5555, house.clock + microseconds{1});  // before the verdict
        house.pass_until(house.clock + milliseconds{10});
        for (const std::uint16_t port : shuffled(second))
            house.send(port, address, 4000, house.clock + microseconds{10});
        house.pass_until(house.clock + milliseconds{50});
        CHECK(house.accepted == std::vector{first.message.tag(), second.message.tag()});
    }
}

TEST_CASE("clients behind one address with their own ports do not disturb each other") {
    for (const int clients : {2, 5}) {
        House house;
        Wire wire;
        for (int c = 0; c < clients; ++c)
            wire.burst(shuffled(house.knock(client_ipv4)), client_ipv4, static_cast<std::uint16_t>(4000 + c), {},
                       milliseconds{1});
        wire.deliver(house);
        CHECK(house.distinct_accepted() == static_cast<std::size_t>(clients));
    }
}

TEST_CASE("two passes of each of a hundred clients behind one address, one after the other, are a hundred candidates") {
    for (const Address& address : {client_ipv4, client_ipv6}) {
        House house;
        Wire wire;
        for (int c = 0; c < 100; ++c) {
            const auto ports = shuffled(house.knock(address));
            for (const int pass : {0, 300})  // as after a rest, on a machine that is busy
                wire.burst(ports, address, static_cast<std::uint16_t>(4000 + c), milliseconds{2 * c + pass},
                           milliseconds{1});
        }
        wire.deliver(house);
        CHECK(house.accepted.size() == 100);
        CHECK(house.assembler.counters().candidates == 100);
    }
}

TEST_CASE("a second knock 5 ms behind the first is read, from its own port and from the same") {
    for (const std::uint16_t second_port : {std::uint16_t{4001}, std::uint16_t{4000}}) {
        House house;
        Wire wire;
        wire.burst(shuffled(house.knock(client_ipv4)), client_ipv4, 4000, {}, milliseconds{1});
        wire.burst(shuffled(house.knock(client_ipv4)), client_ipv4, second_port, milliseconds{5}, milliseconds{1});
        wire.deliver(house);
        CHECK(house.distinct_accepted() == 2);
    }
}

TEST_CASE("a knock is read across a foreign packet that splits its source in the middle of the burst, once") {
    for (std::size_t at = 1; at < 64; ++at) {
        House house;
        const auto ports = shuffled(house.knock(client_ipv4));
        Wire wire;
        wire.burst({ports.begin(), ports.begin() + static_cast<long>(at)}, client_ipv4, 4000, {}, microseconds{500});
        wire.burst({house.knock(client_ipv4).ports[0]}, client_ipv4, 5555, microseconds{500}, microseconds{1});
        wire.burst({ports.begin() + static_cast<long>(at), ports.end()}, client_ipv4, 4000, microseconds{501},
                   microseconds{500});
        wire.deliver(house);
        REQUIRE(house.accepted.size() == 1);
    }
}

namespace {

// How many of `trials` knocks are read under junk with the client's address.
int read_under_junk(const Address& address, int per_second, std::uint16_t junk_port, Instant burst, int trials,
                    int recorded_knocks = 0) {
    int read = 0;
    for (int i = 0; i < trials; ++i) {
        House house;
        Wire wire;
        const Instant at = milliseconds{300};
        wire.junk(per_second, address, junk_port, {}, at + burst + milliseconds{20});
        for (int r = 0; r < recorded_knocks; ++r)
            wire.burst(shuffled(house.knock(address)), address, static_cast<std::uint16_t>(9000 + r),
                       milliseconds{10 * r}, milliseconds{5});
        const Knock knock = house.knock(address);
        wire.burst(shuffled(knock), address, 4000, at, burst);
        wire.deliver(house);
        read += std::ranges::find(house.accepted, knock.message.tag()) != house.accepted.end();
    }
    return read;
}

}  // namespace

TEST_CASE("junk with the client's address from random source ports does not keep a knock out") {
    for (const int rate : {1'000, 10'000, 50'000}) {
        constexpr int knocks = test::trials(20);
        CHECK(read_under_junk(client_ipv4, rate, 0, milliseconds{1}, knocks) == knocks);
        CHECK(read_under_junk(client_ipv6, rate, 0, milliseconds{1}, knocks) == knocks);
    }
}

TEST_CASE("junk on the client's very source port is survived at 10,000 a second by a short burst", "[unsanitized]") {
    CHECK(read_under_junk(client_ipv4, 10'000, 4000, milliseconds{1}, 20) >= 19);
    CHECK(read_under_junk(client_ipv4, 10'000, 4000, milliseconds{5}, 20) >= 18);
    CHECK(read_under_junk(client_ipv6, 10'000, 4000, milliseconds{1}, 20) >= 18);
}

// A quarter is read; a tenth, where times are left out of account.
TEST_CASE("a burst stands out of dense junk on its own port by when its packets came", "[unsanitized]") {
    CHECK(read_under_junk(client_ipv6, 50'000, 4000, milliseconds{2}, 200) >= 32);
}

TEST_CASE("ports of earlier knocks sent again from other source ports do not keep a knock out") {
    CHECK(read_under_junk(client_ipv4, 1'000, 0, milliseconds{1}, test::trials(10), 20) == test::trials(10));
    CHECK(read_under_junk(client_ipv6, 1'000, 0, milliseconds{1}, test::trials(10), 20) == test::trials(10));
}

TEST_CASE("whole recorded knocks sent from the client's very port again do not keep a new knock out") {
    int read = 0;
    for (int i = 0; i < 10; ++i) {
        House house;
        Wire first;
        std::vector<Knock> recorded;
        for (int r = 0; r < 6; ++r) {
            recorded.push_back(house.knock(client_ipv4));
            first.burst(shuffled(recorded.back()), client_ipv4, static_cast<std::uint16_t>(6000 + r),
                        milliseconds{20 * r}, milliseconds{1});
        }
        first.deliver(house);
        REQUIRE(house.distinct_accepted() == 6);
        house.pass_until(house.clock + Seconds{10});
        Wire second;
        const Knock knock = house.knock(client_ipv4);
        for (int r = 0; r < 6; ++r)
            second.burst(shuffled(recorded[static_cast<std::size_t>(r)]), client_ipv4, 4000, milliseconds{r},
                         milliseconds{4});
        second.burst(shuffled(knock), client_ipv4, 4000, milliseconds{5}, milliseconds{1});
        second.deliver(house);
        read += std::ranges::find(house.accepted, knock.message.tag()) != house.accepted.end();
    }
    CHECK(read == 10);
}

TEST_CASE("a flood of random sources does not keep a knock out") {
    House house;
    Wire wire;
    for (int i = 0; i < 400'000; ++i)
        wire.burst({static_cast<std::uint16_t>(1024 + random_below(64512))}, Address::ipv4(random_below(0xffffffff)),
                   static_cast<std::uint16_t>(random_below(65536)), microseconds{2} * i, microseconds{1});
    wire.burst(shuffled(house.knock(client_ipv4)), client_ipv4, 4000, milliseconds{700}, milliseconds{1});
    wire.deliver(house);
    CHECK(house.accepted.size() == 1);
}

TEST_CASE("hundreds of thousands of random ports from one address cost bounded decodes and open nothing") {
    House house;
    Wire wire;
    wire.junk(test::trials(200'000), client_ipv4, 4000, {}, Seconds{1});
    wire.junk(test::trials(200'000), client_ipv4, 0, Seconds{1}, Seconds{2});
    wire.deliver(house);
    CHECK(house.accepted.empty());
    CHECK(house.assembler.counters().decodes <=
          static_cast<std::uint64_t>(decodes_per_source.burst + 2.2 * decodes_per_source.per_second));
}

// The table of docs/protocol.md, "Why these numbers": bin/unit/listener "[.odds]"
TEST_CASE("how many knocks without a source port of their own are read under junk from their address", "[.odds]") {
    constexpr int trials = 30;
    for (const Address& address : {client_ipv4, client_ipv6})
        for (const int rate : {100, 300, 1000, 3000, 10'000})
            for (const int length : {20, 50, 100, 200}) {
                std::size_t read = 0;
                for (int trial = 0; trial < trials; ++trial) {
                    House house;
                    Wire wire;
                    const auto ports = shuffled(house.knock(address));
                    for (std::size_t i = 0; i < ports.size(); ++i)
                        wire.burst({ports[i]}, address, static_cast<std::uint16_t>(40000 + i),
                                   Seconds{1} + milliseconds{length} * static_cast<long>(i) / 64, Instant{0});
                    wire.junk(rate, address, 0, {}, Seconds{1} + milliseconds{length + 100});
                    wire.deliver(house);
                    read += house.distinct_accepted();
                }
                WARN(address.text() << ": " << rate << "/s, " << length << " ms: " << read << " of " << trials);
            }
}

// The table of docs/protocol.md, "Why these numbers": bin/unit/listener "[.together]"
TEST_CASE("how long clients take that begin together behind a translator that scatters ports", "[.together]") {
    constexpr std::size_t trials = 50;
    for (const Address& address : {client_ipv4, client_ipv6})
        for (const int count : {1, 2, 5, 20})
            for (const std::uint32_t lost : {0U, 10U, 20U, 30U}) {
                std::vector<double> took;
                for (std::size_t trial = 0; trial < trials; ++trial)
                    took.push_back(
                        std::chrono::duration<double>(time_until_all_are_in(address, count, Seconds{0}, lost)).count());
                std::sort(took.begin(), took.end());
                WARN(address.text() << ": " << count << " clients, " << lost << " % lost: " << took[trials / 2]
                                    << " s, at most " << took.back());
            }
}
