#include "keys/page.hpp"

#include <fstream>
#include <set>
#include <sstream>

#include "keys/key_encryption.hpp"
#include "keys_texts.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

const std::string begin = "<script type=\"application/json\" id=\"key\">";
const std::string end = "</script>";

KeyFile observed_key(const std::string& address) {
    KeyFile key = parse_key_file(test::valid_key_file, "alice.json").value();
    key.door.address = address;
    return key;
}

std::string block_of(const Page& page) {
    const std::string text(page.text.text());
    const auto at = text.find(begin) + begin.size();
    return text.substr(at, text.find(end, at) - at);
}

}  // namespace

TEST_CASE("a page is the template with the sealed key and the door's addresses, which its passphrase opens") {
    const auto page = make_page(observed_key("2001:db8::1"), ONEKNOCK_PAGE_SOURCE);
    REQUIRE(page);
    const std::string block = block_of(*page);
    CHECK(block.find("\"x-addresses\": [\"2001:db8::1\"]") != std::string::npos);
    CHECK(block.find(test::secret_1) == std::string::npos);
    CHECK(block.find(test::secret_2) == std::string::npos);

    const auto stored = parse_stored_key(block, "page");
    REQUIRE(stored);
    REQUIRE(is_encrypted(*stored));
    const auto key = decrypt_key(std::get<EncryptedKey>(*stored), page->passphrase, "page");
    REQUIRE(key);
    CHECK(key->door.secret.equals(observed_key("x").door.secret));

    std::ifstream file(ONEKNOCK_PAGE_SOURCE);
    std::stringstream source;
    source << file.rdbuf();
    std::string without_key(page->text.text());
    without_key.replace(without_key.find(block), block.size(), "null");
    CHECK(without_key == source.str());
}

TEST_CASE("passphrases are six words of which none comes often") {
    std::set<std::string> words;
    for (int i = 0; i < 50; ++i) {
        const SecretBytes passphrase = generate_passphrase();
        std::istringstream in{std::string(passphrase.text())};
        std::string word;
        int count = 0;
        for (; in >> word; ++count) {
            CHECK(word.size() == 4);
            words.insert(word);
        }
        CHECK(count == 6);
    }
    CHECK(words.size() > 250);  // of 300 out of 6400; 293 on average
}

TEST_CASE("a page needs a policy that lets the server take the address it sees") {
    KeyFile key = observed_key("192.0.2.1");
    key.client.source = SourcePolicy();
    const auto page = make_page(key, ONEKNOCK_PAGE_SOURCE);
    REQUIRE_FALSE(page);
    CHECK(page.error().code == ExitCode::usage);
    CHECK(page.error().message.find("--source observed") != std::string::npos);
}

TEST_CASE("a template that is missing or something else is refused with its name") {
    const auto missing = make_page(observed_key("192.0.2.1"), "/nonexistent/page.html");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == ExitCode::no_input);
    const std::string page(ONEKNOCK_PAGE_SOURCE);
    const std::string package = page.substr(0, page.rfind('/')) + "/package.json";
    const auto other = make_page(observed_key("192.0.2.1"), package);
    REQUIRE_FALSE(other);
    CHECK(other.error().code == ExitCode::data);
    CHECK(other.error().message.starts_with(package));
}
