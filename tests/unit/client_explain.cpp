#include "client/explain/explain.hpp"

#include <algorithm>
#include <random>

#include "client/explain/ports_in_text.hpp"
#include "client_fixtures.hpp"
#include "common/protocol/codebook.hpp"
#include "common/protocol/key_schedule.hpp"
#include "common/protocol/knock.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

using Ports = std::vector<std::uint16_t>;

constexpr std::chrono::hours lately{1};  // sanitizers take their time

Request asked(const char* address, UnixTime time = sample_time) {
    Request request;
    request.port = 22;
    request.duration_s = 90;
    request.time = static_cast<std::uint32_t>(time.time_since_epoch().count());
    request.address = *Address::parse(address);
    fill_random(request.nonce);
    return request;
}

// Shuffled, as a client sends them.
Ports ports_for(const Request& request, const KeyFile& key, std::size_t count = codeword_length) {
    const auto all = make_knock(request, key.client.secret, key.door.secret, key.door.id, key.door.span).ports;
    Ports ports(all.begin(), all.end());
    std::shuffle(ports.begin(), ports.end(), std::mt19937(7));
    ports.resize(count);
    return ports;
}

Ports operator+(Ports one, const Ports& other) {
    one.insert(one.end(), other.begin(), other.end());
    return one;
}

}  // namespace

TEST_CASE("the ports of a knock are found in what people have of it") {
    CHECK(ports_in("time: 2026-11-30 (17)\nudp from port 9 to 3 ports: 6491 3138 65535\n") == Ports{6491, 3138, 65535});
    CHECK(ports_in(R"({"port":22,"ports":[31568,10430],"sent":false})"
                   "\n"
                   R"({"ports":[7],"x":8})") == Ports{31568, 10430, 7});
    CHECK(ports_in("03:53:41.000001 IP 192.0.2.2.56208 > 192.0.2.1.16421: UDP, length 0\n"
                   "03:53:41.000002 IP6 2001:db8::2.56208 > 2001:db8::1.63097: Flags [S], seq 1616562152, win 64240\n"
                   "03:53:41.000003 ARP, Request who-has 192.0.2.1\n"
                   "03:53:41.000004 IP 192.0.2.1 > 192.0.2.2: ICMP 192.0.2.1 udp port 16421 unreachable\n") ==
          Ports{16421, 63097, 2});
    CHECK(ports_in("40000, 40001;40002\n0 65536 99999999999 40003") == Ports{40000, 40001, 40002, 40003});
    CHECK(ports_in("").empty());
    CHECK(ports_in("no > more").empty());
}

TEST_CASE("a knock is taken apart with what a server needs of it") {
    const KeyFile key = sample_key();
    for (const char* address : {"192.0.2.7", "0.0.0.0", "2001:db8::7"}) {
        const Request request = asked(address);
        const std::size_t k = message_length(request.address.family);
        for (const std::size_t count : {codeword_length, k}) {
            const auto found = take_apart(ports_for(request, key, count), key, sample_time, lately);
            REQUIRE(found.size() == 1);
            CHECK(found[0].request == request);
            CHECK(found[0].hint_is_ours);
            CHECK(found[0].symbols == count);
            CHECK(found[0].wrong == 0);
        }
        CHECK(take_apart(ports_for(request, key, k - 1), key, sample_time, lately).empty());
    }
}

TEST_CASE("other packets between a knock's are no hindrance, nor are those of another knock") {
    const KeyFile key = sample_key();
    const Request first = asked("192.0.2.7"), second = asked("192.0.2.7");
    const Ports one = ports_for(first, key), other = ports_for(second, key);
    const Ports cut_off(other.begin(), other.begin() + 20), noise{22, 443, 40000, 50000, 60000, 1024, 2048, 4096};
    const auto requests = [&](const Ports& ports) {
        std::vector<Request> found;
        for (const TakenApart& knock : take_apart(ports, key, sample_time, lately)) found.push_back(knock.request);
        return found;
    };
    CHECK(requests(noise + one + noise) == std::vector{first});
    CHECK(requests(one + one) == std::vector{first});  // two passes
    CHECK(requests(one + other) == std::vector{first, second});
    CHECK(requests(cut_off + one) == std::vector{first});
}

TEST_CASE("all that has come of a knock is counted, whatever came in its place") {
    const KeyFile key = sample_key();
    const Codebook book =
        Codebook::build(codebook_seed(key.door.secret, key.door.id, epoch_of(sample_time)), key.door.span);
    const Ports knock = ports_for(asked("192.0.2.7"), key);
    const auto others = [&](std::size_t i) {  // another byte for the same position
        const Symbol symbol = *book.symbol(knock.at(i));
        return book.port({symbol.position, static_cast<std::uint8_t>(symbol.byte + 1)});
    };
    for (const std::size_t i : {std::size_t{0}, std::size_t{20}, std::size_t{45}, std::size_t{63}}) {
        for (const Ports& ports : {Ports{others(i)} + knock, knock + Ports{others(i)}}) {
            const auto found = take_apart(ports, key, sample_time, lately);
            REQUIRE(found.size() == 1);
            CHECK((found[0].symbols == codeword_length && found[0].wrong == 0));
        }
        Ports changed = knock;
        changed.at(i) = others(i);
        const auto found = take_apart(changed, key, sample_time, lately);
        REQUIRE(found.size() == 1);
        CHECK((found[0].symbols == codeword_length - 1 && found[0].wrong == 1));
    }
}

TEST_CASE(
    "the hour of a knock is found, as far back as is looked, and a clock's hour ahead, and not with another key") {
    const KeyFile key = sample_key();
    const std::chrono::hours day{24};
    for (const auto ago : {std::chrono::hours{-1}, std::chrono::hours{1}, day}) {
        const auto found = take_apart(ports_for(asked("192.0.2.7", sample_time - ago), key), key, sample_time, day);
        REQUIRE(found.size() == 1);
        CHECK(found[0].hour == epoch_of(sample_time - ago));
    }
    KeyFile other = sample_key();
    const Ports ports = ports_for(asked("192.0.2.7"), key);
    CHECK(take_apart(ports, other, sample_time, lately).empty());
    other.door.id = key.door.id;
    other.door.secret = key.door.secret.copy();
    CHECK(take_apart(ports, other, sample_time, lately).empty());
    const BestHour best = best_hour(ports, other, sample_time, lately);
    CHECK((best.hour == epoch_of(sample_time) && best.symbols == codeword_length));
}

TEST_CASE("an explanation names each field") {
    const KeyFile key = sample_key();
    const auto found = take_apart(ports_for(asked("192.0.2.7"), key), key, sample_time, lately);
    const std::string text = explanation_text(found.at(0), key, sample_time + Seconds{90});
    for (const char* part :
         {"64 of 64 symbols", "right for client alice, generation 1", "1: open", "which the key calls ssh", "90 s",
          "1800000000: 2027-01-15T08:00:00Z, 90s ago", "192.0.2.7"})
        CHECK(text.find(part) != std::string::npos);
}
