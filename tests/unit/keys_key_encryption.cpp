#include "keys/key_encryption.hpp"

#include "common/files.hpp"
#include "tests/unit/keys_fixtures.hpp"

using namespace oneknock;
using namespace oneknock::test;

namespace {

constexpr PassphraseCost cheap{1, 64 << 10};

SecretBytes passphrase(const std::string& text) {
    SecretBytes bytes(text.size());
    std::ranges::copy(text, bytes.bytes().begin());
    return bytes;
}

KeyFile valid_key() { return *parse_key_file(valid_key_file, "k.json"); }

EncryptedKey locked_key(const std::string& text = "correct horse") {
    return *encrypt_key(valid_key(), passphrase(text), cheap);
}

std::string text_of(const EncryptedKey& locked) {
    return std::string(stored_key_text(StoredKey{EncryptedKey{valid_key(), locked.lock}}).text());
}

Result<KeyFile> unlocked_from(const std::string& text, const std::string& with) {
    auto stored = parse_stored_key(text, "k.json");
    if (!stored) return tl::unexpected(stored.error());
    return decrypt_key(std::get<EncryptedKey>(*stored), passphrase(with), "k.json");
}

}  // namespace

TEST_CASE("a locked key is the same key again under its passphrase, and under no other") {
    const EncryptedKey locked = locked_key();
    const auto key = decrypt_key(locked, passphrase("correct horse"), "k.json");
    REQUIRE(key);
    CHECK(key_file_text(*key).text() == valid_key_file);
    for (const char* wrong : {"", "correct hors", "correct horse ", "Correct horse"}) {
        const auto refused = decrypt_key(locked, passphrase(wrong), "k.json");
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ExitCode::data);
        CHECK_THAT(refused.error().message, Catch::StartsWith("k.json: wrong passphrase"));
    }
}

TEST_CASE("the file of a locked key says all but the secrets") {
    const std::string text = text_of(locked_key());
    CHECK_THAT(text, !Catch::Contains("AQEB") && !Catch::Contains("AgIC") && !Catch::Contains("0101010101"));
    const auto stored = parse_stored_key(text, "k.json");
    REQUIRE(stored);
    REQUIRE(is_encrypted(*stored));
    CHECK(clear_part(*stored).door.address == "2001:db8::1");
    CHECK(clear_part(*stored).client.generation == 2);
    CHECK(clear_part(*stored).client.secret.equals(Secret32()));
    CHECK(stored_key_text(*stored).text() == text);
    CHECK_THAT(parse_key_file(text, "k.json").error().message, Catch::Contains("locked-client-key"));
    CHECK(key_file_text(*unlocked_from(text, "correct horse")).text() == valid_key_file);
}

TEST_CASE("each lock has a salt of its own") {
    const EncryptedKey one = locked_key(), two = locked_key();
    CHECK(one.lock.salt != two.lock.salt);
    CHECK(one.lock.sealed != two.lock.sealed);
}

TEST_CASE("locked secrets stay with the door, the client and the generations they belong to") {
    const std::string text = text_of(locked_key());
    const std::pair<const char*, const char*> moved[] = {{"000102", "000103"},
                                                         {"\"alice\"", "\"alicf\""},
                                                         {"\"generation\": 3", "\"generation\": 4"},
                                                         {"\"generation\": 2", "\"generation\": 1"}};
    for (const auto& [from, to] : moved) {
        CAPTURE(from);
        CHECK_FALSE(unlocked_from(edited(text, from, to), "correct horse"));
    }
    const auto at_new_address = unlocked_from(edited(text, "2001:db8::1", "2001:db8::2"), "correct horse");
    REQUIRE(at_new_address);
    CHECK(at_new_address->door.address == "2001:db8::2");
}

TEST_CASE("every bit of the sealed secrets counts") {
    EncryptedKey locked = locked_key();
    for (std::size_t bit = 0; bit < 8 * locked.lock.sealed.size(); bit += 7) {
        locked.lock.sealed[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        REQUIRE_FALSE(decrypt_key(locked, passphrase("correct horse"), "k.json"));
        locked.lock.sealed[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
    }
    CHECK(decrypt_key(locked, passphrase("correct horse"), "k.json"));
}

TEST_CASE("a locked key file with a wrong field is refused with the field's place") {
    const std::string text = text_of(locked_key());
    const Edit edits[] = {
        {"\"locked-client-key\"", "\"locked\"", "k.json:2: field \"oneknock\": is \"locked\""},
        {"\"name\": \"home\"", "\"name\": \"home\", \"secret\": \"AAAA\"", "k.json:"},
        {"\"argon2id-", "\"argon2i-", "k.json:23: field \"lock.algorithm\": must be \"argon2id-xchacha20poly1305\""},
        {"\"operations\": 1", "\"operations\": 65", "k.json:24: field \"lock.operations\": must be from 1 to 64"},
        {"\"memory_kib\": 64", "\"memory_kib\": 7", "k.json:25: field \"lock.memory_kib\": must be from 8 to"},
        {"\"salt\": \"", "\"salt\": \"0", "k.json:26: field \"lock.salt\": must be 32 hexadecimal digits"},
        {"\"sealed\": \"", "\"sealed\": \"0", "k.json:27: field \"lock.sealed\": must be 160 hexadecimal digits"},
        {"\"sealed\"", "\"x-sealed\"", "k.json:22: field \"lock.sealed\": is missing"},
    };
    require_refusals(text, edits,
                     [](const std::string& edited_text) { return parse_stored_key(edited_text, "k.json"); });
}

TEST_CASE("a file is replaced whole, with its mode, and nothing else is left in its folder") {
    const TemporaryFolder folder;
    const std::string path = folder.write("a", "old", 0644);
    REQUIRE(replace_file(path, as_bytes("new")));
    CHECK(read_private_file(path)->text() == "new");
    REQUIRE(replace_file(path, as_bytes("newer"), 0644));
    CHECK(read_private_file(path).error().code == ExitCode::permission);
    const std::string taken = folder.path() + "/folder";
    std::filesystem::create_directories(taken + "/full");
    CHECK_FALSE(replace_file(taken, as_bytes("x")));
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 2);
}
