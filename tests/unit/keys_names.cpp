#include "keys/names.hpp"

#include <string>

#include "tests/catch.hpp"

using namespace oneknock;
using namespace std::string_literals;

TEST_CASE("names are what may safely be a file's name and a word in a log line") {
    const std::string longest(64, 'a');
    for (const std::string& name : {"a"s, "0"s, "Laptop-2.home_x@example"s, longest}) CHECK(is_valid_name(name));
    for (const std::string& name : {""s, longest + "a", "."s, ".."s, ".hidden"s, "-x"s, "_x"s, "@x"s, "a/b"s, "a b"s,
                                    "a\n"s, "a\0b"s, "\xc3\xa9"s, "a\x1b[31m"s, "a:b"s}) {
        CAPTURE(name);
        CHECK_FALSE(is_valid_name(name));
    }
}

TEST_CASE("interface names are those Linux accepts") {
    for (const std::string& name :
         {"any"s, "eth0"s, "enp3s0.100"s, "ppp0"s, "wg-home"s, "tun0@x"s, "..."s, std::string(15, 'x')})
        CHECK(is_valid_interface_name(name));
    for (const std::string& name : {""s, "."s, ".."s, "a/b"s, "a b"s, "a\tb"s, "eth0:1"s, "a\n"s, "a\0b"s, "a\x7f"s,
                                    "a\xa0"s, std::string(16, 'x')}) {
        CAPTURE(name);
        CHECK_FALSE(is_valid_interface_name(name));
    }
}

TEST_CASE("hosts are names and numeric addresses, and never look like an option") {
    for (const std::string& host : {"a"s, "server.example.org"s, "xn--bcher-kva.example"s, "192.0.2.1"s, "2001:db8::1"s,
                                    "::1"s, "fe80::1%eth0"s, "my_host"s, std::string(253, 'a')})
        CHECK(is_valid_host(host));
    for (const std::string& host : {""s, "-oProxyCommand"s, "a b"s, "a\n"s, "[::1]"s, "b\xc3\xbc"s, "a\0b"s, "a;b"s,
                                    "$(x)"s, std::string(254, 'a')}) {
        CAPTURE(host);
        CHECK_FALSE(is_valid_host(host));
    }
}
