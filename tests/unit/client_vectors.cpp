// From key file and request to ports, as users of the client would come to them. Every client is checked against this
// file: the one in Python (docs/examples/knock.py) by tests/vectors/check.py. After new cases have been written into
// it, `bin/unit/client "[.answers]"` fills in what this implementation makes of them.
#include <cstdlib>
#include <fstream>

#include <fcntl.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "client/commands/commands.hpp"
#include "client/door/key_store.hpp"
#include "client/message/make_message.hpp"
#include "client/message/source_address.hpp"
#include "client_fixtures.hpp"
#include "client_known_answers.hpp"
#include "common/fd.hpp"
#include "common/protocol/knock.hpp"
#include "tests/catch.hpp"

using namespace oneknock;
using Json = nlohmann::ordered_json;

namespace {

// A file of the given text, with a path while it lives.
class FileWith {
public:
    explicit FileWith(std::string_view text) {
        const Descriptor fd(mkostemps(path.data(), 5, O_CLOEXEC));
        REQUIRE(write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    ~FileWith() { unlink(path.c_str()); }
    FileWith(const FileWith&) = delete;
    FileWith& operator=(const FileWith&) = delete;

    std::string path = "/tmp/oneknock-test-XXXXXX.json";
};

Result<OpenedDoor> open_key(const Json& vectors, const Json& knock, UnixTime time) {
    const FileWith file(test::key_text(vectors, knock));
    const FileWith passphrase(knock.value("passphrase", "none") + "\n");
    return open_door(file.path, time, open(passphrase.path.c_str(), O_RDONLY | O_CLOEXEC));
}

Result<KnockOptions> options_of(const Json& knock) {
    KnockWords words;
    words.door = "./key.json";
    words.service = knock["service"];
    words.duration = std::to_string(knock["duration_s"].get<std::int64_t>()) + "s";
    words.source = knock["source"];
    return read_knock_options(knock["operation"] == "open" ? Operation::open : Operation::close, words);
}

Address address_of(const Json& knock, const KnockOptions& options) {
    return options.source.named.value_or(Address::any(knock.value("family", 4) == 4 ? Family::ipv4 : Family::ipv6));
}

Result<Json> answer(const Json& vectors, const Json& knock) {
    const UnixTime time{Seconds{knock["time"].get<std::int64_t>()}};
    const auto door = open_key(vectors, knock, time);
    if (!door) return tl::unexpected(door.error());
    const auto options = options_of(knock);
    if (!options) return tl::unexpected(options.error());
    if (const auto carried = message_time(*options, time); !carried) return tl::unexpected(carried.error());
    const auto service = find_service(*door, options->service);
    if (!service) return tl::unexpected(service.error());
    const KeyFile& key = door->key;
    if (const auto fits = check_choice(options->source, key.client.source); !fits) return tl::unexpected(fits.error());
    Request request = make_message({key, *options, *service}, address_of(knock, *options), time).request;
    REQUIRE(from_hex(knock["nonce"].get<std::string>(), request.nonce));
    const Knock made = make_knock(request, key.client.secret, key.door.secret, key.door.id, key.door.span);
    return Json{{"message", to_hex(made.message.span())}, {"codeword", to_hex(made.codeword)}, {"ports", made.ports}};
}

std::string class_of(const Result<Json>& result) {
    if (result) return "none";
    if (result.error().code == ExitCode::data) return "data";
    return result.error().code == ExitCode::usage ? "usage" : "another";
}

}  // namespace

TEST_CASE("key files and requests lead to the known ports") {
    const Json vectors = test::read_client_vectors();
    REQUIRE(vectors["knocks"].size() >= 20);
    for (const Json& knock : vectors["knocks"]) {
        INFO(knock["what"].get<std::string>());
        const auto made = answer(vectors, knock);
        REQUIRE(class_of(made) == "none");
        CHECK(*made == knock["answer"]);
    }
}

TEST_CASE("wrong key files and requests are refused for the known class of reasons") {
    const Json vectors = test::read_client_vectors();
    REQUIRE(vectors["wrong"].size() >= 50);
    for (const Json& knock : vectors["wrong"]) {
        INFO(knock["what"].get<std::string>());
        CHECK(class_of(answer(vectors, knock)) == knock["class"]);
    }
}

TEST_CASE("the answers of new cases are written", "[.answers]") {
    Json vectors = test::read_client_vectors();
    for (Json& knock : vectors["knocks"]) {
        INFO(knock["what"].get<std::string>());
        knock["answer"] = answer(vectors, knock).value();
    }
    std::ofstream(ONEKNOCK_CLIENT_VECTORS) << vectors.dump(1) << "\n";
}
