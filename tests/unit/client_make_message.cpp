#include "client/message/make_message.hpp"

#include <algorithm>
#include <array>
#include <set>

#include <nlohmann/json.hpp>

#include "client/commands/report.hpp"
#include "client_fixtures.hpp"
#include "common/protocol/codebook.hpp"
#include "common/protocol/codeword.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

struct Read {
    Request request;
    std::size_t positions;
};

// What a server makes of the ports: look-up, decode, unseal.
std::optional<Read> read_ports(const std::vector<std::uint16_t>& ports, Family family, const KeyFile& key,
                               UnixTime time) {
    const Epoch epoch = epoch_of(time);
    const Codebook book = Codebook::build(codebook_seed(key.door.secret, key.door.id, epoch), key.door.span);
    Codeword word{};
    std::set<std::uint8_t> present;
    for (const std::uint16_t port : ports) {
        const auto symbol = book.symbol(port);
        if (!symbol || !present.insert(symbol->position).second) return std::nullopt;
        word[symbol->position] = symbol->byte;
    }
    std::vector<std::uint8_t> missing;
    for (std::uint8_t position = 0; position < codeword_length; ++position)
        if (!present.contains(position)) missing.push_back(position);
    const Code code(family);
    const auto decoded = code.decode(word, missing);
    if (!decoded) return std::nullopt;
    const auto request = unseal(code.message_of(*decoded), derive_message_keys(key.client.secret), key.door.id);
    if (!request) return std::nullopt;
    return Read{*request, present.size()};
}

}  // namespace

TEST_CASE("the ports that --json prints lead back to the request") {
    for (const char* text : {"192.0.2.7", "2001:db8::7", "0.0.0.0", "::"}) {
        const KeyFile key = sample_key();
        const KnockOptions options = sample_options();
        const Task task{key, options, {protocol_tcp, 22}};
        const auto address = *Address::parse(text);
        Report report;
        const KnockMessage message = make_message(task, address, sample_time);
        report.request = message.request;
        report.ports = ports_of_pass(message, 64);
        const auto printed = nlohmann::json::parse(json_line(report));
        const auto read = read_ports(printed["ports"].get<std::vector<std::uint16_t>>(), address.family, key,
                                     UnixTime{Seconds{printed["time"].get<std::int64_t>()}});
        REQUIRE(read);
        CHECK(read->request == report.request);
        CHECK(read->positions == 64);
    }
}

TEST_CASE("the smallest number of packets still makes a knock") {
    for (const auto& [text, packets] : {std::pair{"192.0.2.7", std::size_t{36}}, {"2001:db8::7", std::size_t{48}}}) {
        const KeyFile key = sample_key();
        const KnockOptions options = sample_options();
        const Task task{key, options, {protocol_udp, 51820}};
        const auto address = *Address::parse(text);
        const KnockMessage message = make_message(task, address, sample_time);
        const auto ports = ports_of_pass(message, packets);
        CHECK(ports.size() == packets);
        CHECK(read_ports(ports, address.family, key, sample_time)->request == message.request);
    }
}

TEST_CASE("a request carries what was asked, and a close no duration") {
    const KeyFile key = sample_key();
    KnockOptions options = sample_options();
    options.duration = Seconds{90};
    options.time_offset = Seconds{-5};
    const Task task{key, options, {protocol_tcp, 22}};
    const Request open = make_message(task, *Address::parse("192.0.2.7"), sample_time).request;
    CHECK(open.operation == 1);
    CHECK(open.service() == Service{protocol_tcp, 22});
    CHECK(open.duration_s == 90);
    CHECK(open.time == 1'799'999'995);
    options.operation = Operation::close;
    const Request close = make_message(task, *Address::parse("192.0.2.7"), sample_time).request;
    CHECK(close.operation == 2);
    CHECK(close.duration_s == 0);
    CHECK(close.nonce != open.nonce);
}

TEST_CASE("a time that 32 bits cannot carry is refused") {
    KnockOptions options = sample_options();
    CHECK(*message_time(options, sample_time) == sample_time);
    options.time_offset = Seconds{4'294'967'295 - 1'800'000'000};
    CHECK(message_time(options, sample_time));
    options.time_offset += Seconds{1};
    CHECK_FALSE(message_time(options, sample_time));
    options.time_offset = Seconds{-1'800'000'001};
    CHECK_FALSE(message_time(options, sample_time));
}

TEST_CASE("the sending order has each position at most once") {
    for (const std::size_t count : {std::size_t{36}, std::size_t{48}, std::size_t{64}}) {
        const auto order = sending_order(count);
        const std::set<std::uint8_t> distinct(order.begin(), order.end());
        CHECK(order.size() == count);
        CHECK(distinct.size() == count);
        CHECK(*distinct.rbegin() < 64);
    }
}

TEST_CASE("every position is equally likely at every place of the sending order") {
    // 64,000 draws: 1,000 a cell, standard deviation 31; beyond 7 of these once in 10^8 runs.
    std::array<std::array<int, 64>, 64> counts{};
    std::array<int, 64> chosen{};
    for (int draw = 0; draw < 64'000; ++draw) {
        const auto order = sending_order(64);
        for (std::size_t place = 0; place < 64; ++place) ++counts[place][order[place]];
        for (const std::uint8_t position : sending_order(36)) ++chosen[position];
    }
    for (const auto& place : counts) {
        CHECK(*std::ranges::min_element(place) > 780);
        CHECK(*std::ranges::max_element(place) < 1220);
    }
    // 36 of 64: 36,000 expected, standard deviation 125.
    CHECK(*std::ranges::min_element(chosen) > 35'000);
    CHECK(*std::ranges::max_element(chosen) < 37'000);
}

TEST_CASE("an IPv6 message needs more packets than an IPv4 one") {
    CHECK(check_packet_count(36, Family::ipv4));
    CHECK(check_packet_count(48, Family::ipv6));
    CHECK(check_packet_count(35, Family::ipv4).error().message.find("36 to 64") != std::string::npos);
    const auto refused = check_packet_count(47, Family::ipv6);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ExitCode::usage);
    CHECK(refused.error().message.find("48 to 64") != std::string::npos);
}
