#include "keys/enrolment.hpp"

#include <set>
#include <sstream>

#include "keys/spelled_words.hpp"
#include "keys_texts.hpp"
#include "tests/catch.hpp"

using namespace oneknock;

namespace {

const UnixTime end = *parse_time("2027-01-31T12:00:00Z");

KeyFile sample_key() { return parse_key_file(test::valid_key_file, "alice.json").value(); }

std::string text_of(const KeyFile& key) { return std::string(key_file_text(key).text()); }

}  // namespace

TEST_CASE("what is sealed for an enrolment is opened by its other half, and by no other") {
    const EnrolmentKey key = EnrolmentKey::generate(end), other = EnrolmentKey::generate(end);
    const auto sealed = seal_for_one(sample_key(), key.shown());
    REQUIRE(sealed);
    CHECK(sealed->recipient == key.shown().id);
    CHECK(text_of(open_sealed(*sealed, key, "sealed.json").value()) == text_of(sample_key()));
    const auto refused = open_sealed(*sealed, other, "sealed.json");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ExitCode::data);
    CHECK(refused.error().message.starts_with("sealed.json: "));
}

TEST_CASE("a sealed key shows nothing of what is in it") {
    const EnrolmentKey key = EnrolmentKey::generate(end);
    const auto sealed = seal_for_one(sample_key(), key.shown()).value();
    const std::string text(sealed_text(sealed).text());
    for (const std::string& hidden : {test::secret_1, test::secret_2, std::string("door.example.org")})
        CHECK(text.find(hidden) == std::string::npos);
}

TEST_CASE("a box of which a byte was changed does not open, and has other words") {
    const EnrolmentKey key = EnrolmentKey::generate(end);
    const auto sealed = seal_for_one(sample_key(), key.shown()).value();
    for (std::size_t at = 0; at < sealed.box.size(); ++at) {
        SealedForOne changed = sealed;
        changed.box[at] ^= 1U;
        CHECK_FALSE(open_sealed(changed, key, "sealed.json"));
        CHECK(enrolment_words(changed) != enrolment_words(sealed));
    }
}

TEST_CASE("a sealed key is the same when written and read again, and its damage is told by file and field") {
    const EnrolmentKey key = EnrolmentKey::generate(end);
    const auto sealed = seal_for_one(sample_key(), key.shown()).value();
    std::string text(sealed_text(sealed).text());
    CHECK(is_sealed_for_one(text));
    CHECK(is_sealed_for_one(text.substr(0, 200)));
    const auto again = parse_sealed(text, "sealed.json");
    REQUIRE(again);
    CHECK(again->recipient == sealed.recipient);
    CHECK(again->box == sealed.box);
    for (const auto& [field, damage] : {std::pair{"\"for\": \"", "x"}, std::pair{"\"sealed\": \"", "!"}}) {
        std::string damaged = text;
        damaged.replace(damaged.find(field) + std::string_view(field).size(), 1, damage);
        CHECK(is_sealed_for_one(damaged));
        const auto refused = parse_sealed(damaged, "sealed.json");
        REQUIRE_FALSE(refused);
        CHECK(refused.error().message.starts_with("sealed.json:"));
    }
    CHECK_FALSE(parse_sealed("{\"oneknock\": \"sealed-client-key\", \"version\": 1, \"for\": \"" +
                                 to_hex(sealed.recipient) + "\", \"sealed\": \"AAAA\"}",
                             "sealed.json"));
    CHECK_FALSE(is_sealed_for_one(test::valid_key_file));
    CHECK_FALSE(is_sealed_for_one("oneknock-key:AAAA"));
}

TEST_CASE("words bind the enrolling key, the sealing key and all that is sealed") {
    const EnrolmentKey key = EnrolmentKey::generate(end), other = EnrolmentKey::generate(end);
    const auto sealed = seal_for_one(sample_key(), key.shown()).value();
    const std::string words = enrolment_words(sealed);
    CHECK(words == enrolment_words(sealed));
    SealedForOne for_another = sealed;
    for_another.recipient = other.shown().id;
    CHECK(enrolment_words(for_another) != words);
    CHECK(enrolment_words(seal_for_one(sample_key(), key.shown()).value()) != words);  // by another pair for the box
    CHECK(enrolment_words(seal_for_one(sample_key(), other.shown()).value()) != words);
}

TEST_CASE("words are the known ones") {
    SealedForOne sealed;
    for (std::uint8_t i = 0; i < 32; ++i) sealed.recipient[i] = i;
    for (std::uint8_t i = 0; i < 100; ++i) sealed.box.push_back(static_cast<std::uint8_t>(255 - i));
    CHECK(enrolment_words(sealed) == "gope sozi pide nidi zuli nado fite");
}

TEST_CASE("seven words show 88 bits, each number has a word of its own, and reading them out changes nothing") {
    std::set<std::string> words;
    for (std::uint32_t number = 0; number < spelled_words; ++number) {
        Bytes<spelled_length> word{};
        spell(number, word);
        words.insert({word.begin(), word.end()});
    }
    CHECK(words.size() == spelled_words);
    std::istringstream spoken(digest_words({}));
    std::size_t count = 0;
    for (std::string word; spoken >> word; ++count) CHECK(words.contains(word));
    CHECK(count == 7);
    CHECK(are_same_words("bako lumi tesa", " Bako-LUMI\ttesa\n"));
    CHECK_FALSE(are_same_words("bako lumi tesa", "bako lumi tese"));
    CHECK_FALSE(are_same_words("bako lumi tesa", "bako lumi"));
    CHECK_FALSE(are_same_words("bako", ""));
}

TEST_CASE("the string of an enrolment is read again, also from the lines of a mail") {
    const Enrolment shown = EnrolmentKey::generate(end).shown();
    const std::string text = enrolment_text(shown);
    CHECK(text.size() == 99);
    for (const std::string& form : {text, text + "\n", "  " + text, text.substr(0, 40) + "\r\n  " + text.substr(40)}) {
        const auto read = parse_enrolment(form);
        REQUIRE(read);
        CHECK(read->id == shown.id);
        CHECK(read->expires == end);
    }
}

TEST_CASE("a string that was damaged on its way is refused, whatever became of it") {
    const std::string text = enrolment_text(EnrolmentKey::generate(end).shown());
    for (std::size_t at = 0; at < text.size(); ++at) {
        std::string changed = text;
        changed[at] = changed[at] == '0' ? '1' : '0';
        CHECK(parse_enrolment(changed).error().code == ExitCode::usage);
        CHECK_FALSE(parse_enrolment(text.substr(0, at)));
    }
    for (const std::string& wrong :
         {text + "0", text + text, std::string("oneknock-enrol:"), std::string("oneknock-key:AAAA"), text.substr(15)})
        CHECK_FALSE(parse_enrolment(wrong));
}

TEST_CASE("nothing is sealed for a key that everybody has the other half of") {
    const auto refused = seal_for_one(sample_key(), Enrolment{{}, end});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == ExitCode::usage);
}

TEST_CASE("the half that a client keeps is the same when written and read again, and shows nothing when damaged") {
    const EnrolmentKey key = EnrolmentKey::generate(end);
    const SecretBytes text = enrolment_key_text(key);
    const auto again = parse_enrolment_key(text.text(), "x.enrolment");
    REQUIRE(again);
    CHECK(again->secret.equals(key.secret));
    CHECK(again->expires == end);
    CHECK(again->shown().id == key.shown().id);
    std::string damaged(text.text());
    damaged.replace(damaged.find("\"expires\""), 9, "\"expired\"");
    const auto refused = parse_enrolment_key(damaged, "x.enrolment");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message.starts_with("x.enrolment:"));
}
