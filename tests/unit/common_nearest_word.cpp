#include "common/nearest_word.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

TEST_CASE("a word that was mistyped names the one that was meant") {
    const std::vector<std::string> known{"laptop", "desk", "phone", "--version", "status", "open", "bob"};
    const std::pair<const char*, const char*> cases[] = {
        {"laptpo", "laptop"},
        {"lptop", "laptop"},
        {"laptopp", "laptop"},
        {"laptap", "laptop"},
        {"LAPTOP", "laptop"},
        {"lap", "laptop"},
        {"dsek", "desk"},
        {"opne", "open"},
        {"stauts", "status"},
        {"--verison", "--version"},
        {"version", "--version"},
        {"Bob", "bob"},
        {"bop", "bob"},
        {"phone1", "phone"},
        {"statistics", ""},
        {"gatekeeper", ""},
        {"xy", ""},
        {"de", ""},
        {"", ""},
        {"--", ""},
    };
    for (const auto& [word, meant] : cases) {
        CAPTURE(word);
        CHECK(nearest_word(word, known) == meant);
    }
    CHECK(nearest_word("laptop", {}).empty());
    CHECK(nearest_word("ab", {"cd"}).empty());
    CHECK(nearest_word("desl", {"desk", "deal"}) == "desk");                     // the first of two equally near
    CHECK(nearest_word("--wate", {"--pace", "--wait", "--write"}) == "--wait");  // and so begins
    CHECK(nearest_word(std::string(5000, 'a'), {std::string(5000, 'b')}).empty());
}

TEST_CASE("the question is asked only when there is something to ask") {
    CHECK(did_you_mean("dsek", {"desk"}) == "; did you mean desk?");
    CHECK(did_you_mean("phone", {"desk"}).empty());
}
