// What ssh_config(5) is told. What ssh makes of it is tested with ssh itself, in tests/netns/ssh_config.py.
#include "client/ssh/ssh_stanza.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

const std::string made = "# Made by oneknock ssh-config\nInclude oneknock.d/*.conf\n";

}  // namespace

TEST_CASE("the stanza is for the door's name and its address, with the port where it is not ssh's own") {
    CHECK(ssh_stanza({"home", "server.example.org", "ssh", {protocol_tcp, 22}}) ==
          "Host home server.example.org\n"
          "    HostName server.example.org\n"
          "    ProxyCommand oneknock connect --fdpass home ssh\n"
          "    ProxyUseFdpass yes\n");
    CHECK(ssh_stanza({"a.example", "a.example", "tcp/2222", {protocol_tcp, 2222}}) ==
          "Host a.example\n"
          "    HostName a.example\n"
          "    Port 2222\n"
          "    ProxyCommand oneknock connect --fdpass a.example tcp/2222\n"
          "    ProxyUseFdpass yes\n");
}

TEST_CASE("a scope in an address is no token of ssh's") {
    const std::string stanza = ssh_stanza({"home", "fe80::1%eth0", "ssh", {protocol_tcp, 22}});
    CHECK(stanza.find("HostName fe80::1%%eth0\n") != std::string::npos);
    CHECK(stanza.starts_with("Host home fe80::1%eth0\n"));
}

TEST_CASE("a file of ours is known by its beginning") {
    CHECK(is_ssh_file(ssh_file({"home", "192.0.2.1", "ssh", {protocol_tcp, 22}})));
    CHECK_FALSE(is_ssh_file(ssh_stanza({"home", "192.0.2.1", "ssh", {protocol_tcp, 22}})));
    CHECK_FALSE(is_ssh_file(""));
}

TEST_CASE("the line is put at the top, once, and taken away without touching the rest") {
    for (const std::string config : {"", "\n", "Host a\n  User b\n", "User b", "# only\r\n\r\nHost *\r\n",
                                     "Host a\n  Include oneknock.d/*.conf\n", "Include other/*.conf\n"}) {
        INFO(config);
        const std::string with = with_include(config);
        CHECK(with == "Include oneknock.d/*.conf\n" + config);
        CHECK(with_include(with) == with);
        CHECK(without_include(with) == config);
        CHECK(without_include(config) == config);
    }
}

TEST_CASE("a line of ours that the user has moved is found, as long as no block limits it") {
    const std::string moved = "User b\n  Include oneknock.d/*.conf \nHost a\n";
    CHECK(with_include(moved) == moved);
    CHECK(without_include(moved) == "User b\nHost a\n");
    const std::string without_end = "User b\nInclude oneknock.d/*.conf";
    CHECK(with_include(without_end) == without_end);
    CHECK(without_include(without_end) == "User b\n");
    for (const std::string block : {"host a\n", "MATCH all\n", "Host=a\n", "\tHost\ta\n"})
        CHECK(with_include(block + "Include oneknock.d/*.conf\n").starts_with("Include oneknock.d/*.conf\n" + block));
}

TEST_CASE("a configuration that was made for the line goes with it, unless something was added") {
    CHECK(with_include(std::nullopt) == made);
    CHECK(without_include(made) == std::nullopt);
    CHECK(without_include(made + "Host a\n") == "# Made by oneknock ssh-config\nHost a\n");
}
