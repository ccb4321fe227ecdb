#include "keys/compact_key.hpp"

#include "client_known_answers.hpp"
#include "keys/key_encryption.hpp"
#include "keys_texts.hpp"
#include "tests/catch.hpp"

using namespace oneknock;
using Json = nlohmann::ordered_json;

namespace {

const std::string mark(compact_key_mark);

EncryptedKey key_of(const Json& vectors, const Json& one) {
    return std::get<EncryptedKey>(parse_stored_key(test::key_text(vectors, one), "vectors").value());
}

EncryptedKey sealed_key() {
    const KeyFile key = parse_key_file(test::valid_key_file, "alice.json").value();
    constexpr std::string_view words = "correct horse";
    SecretBytes passphrase(words.size());
    std::ranges::copy(words, passphrase.bytes().begin());
    return encrypt_key(key, passphrase, {1, 8 << 10}).value();
}

std::string text_of(EncryptedKey key) { return std::string(stored_key_text(StoredKey(std::move(key))).text()); }

std::vector<Address> addresses_of(const Json& one) {
    std::vector<Address> addresses;
    for (const auto& text : one["addresses"]) addresses.push_back(Address::parse(text.get<std::string>()).value());
    return addresses;
}

}  // namespace

TEST_CASE("sealed keys in few bytes are the known texts and stand for the known key files") {
    const Json vectors = test::read_client_vectors();
    REQUIRE(vectors["compact"].size() >= 5);
    for (const Json& one : vectors["compact"]) {
        INFO(one["what"].get<std::string>());
        const std::string text = one["text"];
        CHECK(compact_key_text({key_of(vectors, one), addresses_of(one)}).value() == text);
        auto parsed = parse_compact_key(mark + text, "code");
        REQUIRE(parsed);
        CHECK(text_of(std::move(parsed->key)) == text_of(key_of(vectors, one)));
        CHECK(parsed->addresses == addresses_of(one));
    }
}

TEST_CASE("sealed keys in few bytes that are damaged are refused, with the file's name") {
    const Json vectors = test::read_client_vectors();
    REQUIRE(vectors["wrong_compact"].size() >= 25);
    for (const Json& one : vectors["wrong_compact"]) {
        INFO(one["what"].get<std::string>());
        const auto parsed = parse_compact_key(mark + one["text"].get<std::string>(), "code.txt");
        REQUIRE_FALSE(parsed);
        CHECK(parsed.error().code == ExitCode::data);
        CHECK(parsed.error().message.starts_with("code.txt"));
    }
}

TEST_CASE("a key is taken from the code's text and from a link, whatever line feed ends them") {
    const std::string key = compact_key_text({sealed_key(), {}}).value();
    for (const std::string& before : {mark, std::string("https://knock.example.org/#key="),
                                      std::string("https://example.org/oneknock-key:/?a=b#key=")})
        for (const std::string behind : {"", "\n", " \r\n"}) {
            INFO(before << key << behind);
            CHECK(is_compact_key(before + key + behind));
            CHECK(parse_compact_key(before + key + behind, "code"));
        }
    CHECK_FALSE(parse_compact_key("https://knock.example.org/", "code"));
    CHECK_FALSE(is_compact_key(text_of(sealed_key())));
    CHECK_FALSE(is_compact_key("// a comment\n" + text_of(sealed_key())));
}

TEST_CASE("the passphrase of a sealed key opens what was in few bytes") {
    constexpr std::string_view words = "correct horse";
    SecretBytes passphrase(words.size());
    std::ranges::copy(words, passphrase.bytes().begin());
    const auto parsed = parse_compact_key(mark + compact_key_text({sealed_key(), {}}).value(), "code");
    REQUIRE(parsed);
    const auto key = decrypt_key(parsed->key, passphrase, "code");
    REQUIRE(key);
    CHECK(key_file_text(*key).text() == test::valid_key_file);
}

TEST_CASE("a key that takes more than 300 bytes, or whose times the form does not hold, makes no code") {
    EncryptedKey key = sealed_key();
    const std::size_t length = 3 * compact_key_text({sealed_key(), {}}).value().size() / 4;
    key.key.door.address += std::string(longest_compact_key - length, 'a');
    CHECK(compact_key_text({sealed_key(), {}}));
    const auto last = compact_key_text({std::move(key), {}});
    REQUIRE(last);
    CHECK(last->size() == 400);

    key = sealed_key();
    key.key.door.address += std::string(longest_compact_key - length + 1, 'a');
    const auto longer = compact_key_text({std::move(key), {}});
    REQUIRE_FALSE(longer);
    CHECK(longer.error().code == ExitCode::data);
    CHECK(longer.error().message.starts_with("the key has 301 bytes"));

    for (const std::int64_t time : {std::int64_t{-1}, std::int64_t{0}, std::int64_t{1} << 40}) {
        INFO(time);
        key = sealed_key();
        key.key.expires = UnixTime{Seconds{time}};
        CHECK_FALSE(compact_key_text({std::move(key), {}}));
    }
}

TEST_CASE("no change of a byte makes another key of what was sealed") {
    const EncryptedKey sealed = sealed_key();
    const std::string text = compact_key_text({sealed_key(), {}}).value();
    constexpr std::string_view words = "correct horse";
    SecretBytes passphrase(words.size());
    std::ranges::copy(words, passphrase.bytes().begin());
    for (std::size_t at = 0; at < text.size(); ++at) {
        std::string changed = text;
        changed[at] = changed[at] == 'A' ? 'B' : 'A';
        const auto parsed = parse_compact_key(mark + changed, "code");
        if (!parsed) continue;
        const KeyEncryption& lock = parsed->key.lock;
        if (lock.operations > 4 || lock.memory > 1 << 20) continue;  // time
        const auto key = decrypt_key(parsed->key, passphrase, "code");
        INFO(at);
        CHECK((!key || (key->door.id == sealed.key.door.id && key->client.name == sealed.key.client.name)));
    }
}
