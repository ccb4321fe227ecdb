#include "common/text.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

TEST_CASE("a list is joined with its separator between items, and nowhere else") {
    CHECK(join(std::vector<std::string>{}).empty());
    CHECK(join(std::vector<std::string>{"ssh"}) == "ssh");
    CHECK(join(std::vector<std::string>{"", "ssh", ""}) == ", ssh, ");
    CHECK(join(
              std::vector<int>{1, 22, 333}, [](int number) { return std::to_string(number); }, "-") == "1-22-333");
}

TEST_CASE("one of a thing has no s") {
    CHECK(counted(0, "client") == "0 clients");
    CHECK(counted(1, "client") == "1 client");
    CHECK(counted(2, "client") == "2 clients");
}

TEST_CASE("a table's columns are as wide as their widest cell, and its rows end without spaces") {
    CHECK(table({}).empty());
    CHECK(table({{"NAME", "PORT"}, {"s", "22"}, {"website", "443"}}) == "NAME     PORT\ns        22\nwebsite  443\n");
}

TEST_CASE("a character of UTF-8 is whole, in its shortest form, and one that exists") {
    const std::pair<std::string_view, std::size_t> cases[] = {{"", 0},
                                                              {"a", 1},
                                                              {"\x7f", 1},
                                                              {"\x80", 0},
                                                              {"\xc1\xbf", 0},
                                                              {"\xc2\x80", 2},
                                                              {"\xc2", 0},
                                                              {"\xc2\x41", 0},
                                                              {"\xdf\xbf!", 2},
                                                              {"\xe0\x9f\xbf", 0},
                                                              {"\xe0\xa0\x80", 3},
                                                              {"\xe2\x82", 0},
                                                              {"\xed\x9f\xbf", 3},
                                                              {"\xed\xa0\x80", 0},
                                                              {"\xef\xbf\xbf", 3},
                                                              {"\xf0\x8f\xbf\xbf", 0},
                                                              {"\xf0\x90\x80\x80", 4},
                                                              {"\xf4\x8f\xbf\xbf", 4},
                                                              {"\xf4\x90\x80\x80", 0},
                                                              {"\xf5\x80\x80\x80", 0},
                                                              {"\xff", 0}};
    for (const auto& [text, length] : cases) CHECK(utf8_length(text) == length);
    CHECK(utf8_length(std::string_view("\0", 1)) == 1);
}

TEST_CASE("what is shown of a name steers no terminal and forges no line") {
    CHECK(printable("laptop.json") == "laptop.json");
    CHECK(printable("caf\u00e9 \u20ac") == "caf\u00e9 \u20ac");
    CHECK(printable("a\nb\x1b[2J\x7f") == "a\\x0ab\\x1b[2J\\x7f");
    CHECK(printable("caf\xe9.json") == "caf\\xe9.json");
    CHECK(printable("\u009b2J") == "\\xc2\\x9b2J");  // the same as ESC [ for some terminals
    CHECK(printable("\xf0\x90\x80") == "\\xf0\\x90\\x80");
}

TEST_CASE("a word for a shell is that word again once the shell has read it") {
    CHECK(shell_word("/home/alice/laptop-1.json") == "/home/alice/laptop-1.json");
    CHECK(shell_word("-rf") == "./-rf");
    CHECK(shell_word("my key.json") == "'my key.json'");
    CHECK(shell_word("it's") == R"('it'\''s')");
    CHECK(shell_word("$(reboot);*~") == "'$(reboot);*~'");
    CHECK(shell_word("caf\u00e9") == "'caf\u00e9'");
    CHECK(shell_word("a'\\\n") == R"($'a\'\\\x0a')");
    CHECK(shell_word("") == "''");
}
