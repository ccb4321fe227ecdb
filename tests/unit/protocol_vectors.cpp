// The known answers, computed by an independent implementation of docs/protocol.md.
#include <fstream>

#include <nlohmann/json.hpp>

#include "common/clock.hpp"
#include "common/protocol/codebook.hpp"
#include "common/protocol/codeword.hpp"
#include "common/protocol/key_schedule.hpp"
#include "common/protocol/knock.hpp"
#include "tests/catch.hpp"
#include "tests/unit/sha256.hpp"

using namespace oneknock;

namespace {

Secret32 secret_from_hex(const std::string& hex) {
    Bytes<Secret32::size> bytes{};
    REQUIRE(from_hex(hex, bytes));
    return Secret32::from(bytes);
}

struct Vector {
    nlohmann::json json;
    Secret32 door_secret, client_secret;
    DoorId door;
    PortSpan span;
    Epoch epoch;
    Request request;
};

Vector read_vector(const nlohmann::json& json) {
    Vector v{json, secret_from_hex(json["door"]["secret"]), secret_from_hex(json["client"]["secret"]), {}, {}, {}, {}};
    REQUIRE(from_hex(json["door"]["id"].get<std::string>(), v.door.bytes));
    v.span = PortSpan::parse(json["door"]["span"].get<std::string>()).value();
    v.epoch = Epoch{json["epoch"]};
    const auto& request = json["request"];
    v.request.operation = request["operation"] == "open" ? 1 : 2;
    v.request.protocol = request["protocol"];
    v.request.port = request["port"];
    v.request.duration_s = request["duration_s"];
    v.request.time = json["time"];
    REQUIRE(from_hex(request["nonce"].get<std::string>(), v.request.nonce));
    v.request.address = Address::parse(request["address"].get<std::string>()).value();
    return v;
}

std::vector<Vector> vectors() {
    std::ifstream file(ONEKNOCK_VECTORS);
    REQUIRE(file.good());
    std::vector<Vector> all;
    const auto parsed = nlohmann::json::parse(file);
    for (const auto& json : parsed["vectors"]) all.push_back(read_vector(json));
    REQUIRE(all.size() >= 10);
    return all;
}

}  // namespace

TEST_CASE("the keys, hints and epochs of the known answers are derived") {
    for (const Vector& v : vectors()) {
        const MessageKeys keys = derive_message_keys(v.client_secret);
        CHECK(to_hex(keys.mac.bytes()) == v.json["mac_key"]);
        CHECK(to_hex(keys.cipher.bytes()) == v.json["cipher_key"]);
        const Secret32 hint_key = derive_hint_key(v.client_secret);
        CHECK(to_hex(hint_key.bytes()) == v.json["hint_key"]);
        CHECK(epoch_of(UnixTime{Seconds{v.request.time}}) == v.epoch);
        CHECK(to_hex(hint_for(hint_key, v.epoch).bytes) == v.json["hint"]);
    }
}

TEST_CASE("the codebooks of the known answers are shuffled") {
    for (const Vector& v : vectors()) {
        const Codebook book = Codebook::build(codebook_seed(v.door_secret, v.door, v.epoch), v.span);
        std::vector<std::uint16_t> ports;
        std::vector<std::uint8_t> bytes;
        for (std::size_t i = 0; i < symbol_count; ++i) {
            const Symbol symbol{static_cast<std::uint8_t>(i / 256), static_cast<std::uint8_t>(i % 256)};
            ports.push_back(book.port(symbol));
            bytes.push_back(static_cast<std::uint8_t>(ports.back() >> 8));
            bytes.push_back(static_cast<std::uint8_t>(ports.back()));
            CHECK(book.symbol(ports.back()) == symbol);
        }
        const auto first = v.json["codebook_first"].get<std::vector<std::uint16_t>>();
        const auto last = v.json["codebook_last"].get<std::vector<std::uint16_t>>();
        CHECK(std::equal(first.begin(), first.end(), ports.begin()));
        CHECK(std::equal(last.rbegin(), last.rend(), ports.rbegin()));
        CHECK(sha256_hex(bytes) == v.json["codebook_sha256"]);
    }
}

TEST_CASE("the messages, codewords and ports of the known answers are made") {
    for (const Vector& v : vectors()) {
        const Knock knock = make_knock(v.request, v.client_secret, v.door_secret, v.door, v.span);
        CHECK(to_hex(knock.message.span()) == v.json["message"]);
        CHECK(to_hex(knock.codeword) == v.json["codeword"]);
        CHECK(std::vector<std::uint16_t>(knock.ports.begin(), knock.ports.end()) ==
              v.json["ports"].get<std::vector<std::uint16_t>>());
        CHECK(unseal(knock.message, derive_message_keys(v.client_secret), v.door) == v.request);
    }
}
