// What `oneknockctl status --watch` writes to a terminal.
#include "server/ctl/screen.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

TEST_CASE("a text is drawn over the one before it, line by line, and nothing below is left of that") {
    CHECK(drawn_over("one\ntwo\n", {}) == "\033[Hone\033[K\r\ntwo\033[K\r\n\033[J");
    CHECK(drawn_over("", {}) == "\033[H\033[J");
}

TEST_CASE("a text larger than the terminal neither wraps nor scrolls") {
    CHECK(drawn_over("1234\n12345\n", {3, 4}) == "\033[H1234\033[K\r\n1234\033[K\r\n\033[J");
    CHECK(drawn_over("1\n2\n3\n", {3, 4}) == "\033[H1\033[K\r\n...\033[K\r\n\033[J");
    CHECK(drawn_over("1\n2\n3\n", {4, 4}) == "\033[H1\033[K\r\n2\033[K\r\n3\033[K\r\n\033[J");
}

TEST_CASE("a character of several bytes takes one column and is not cut in two") {
    CHECK(drawn_over("a\u00e9b", {2, 2}) == "\033[Ha\u00e9\033[K\r\n\033[J");
}
