// What other software has in nf_tables (server/firewall/table/others).
#include "server/firewall/table/others.hpp"

#include <linux/netfilter.h>

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

const Service ssh{protocol_tcp, 22};

NamedChain chain(std::uint8_t family, const std::string& table, const std::string& name) {
    return {{family, table}, name, {}};
}

ChainImage base(std::uint32_t hook, std::uint32_t policy, std::vector<std::string> rules = {}) {
    return {true, "filter", hook, 0, policy, std::move(rules)};
}

TableImage with_rule(const std::string& rule) {
    TableImage table;
    table.chains["input"] = base(NF_INET_LOCAL_IN, NF_DROP, {rule});
    return table;
}

TableImage with_set(const ByteString& element, std::uint32_t key_length) {
    TableImage table;
    table.sets["ports"] = {0, key_length, 0, 0, {{element, std::nullopt}}};
    return table;
}

}  // namespace

TEST_CASE("software is known by its chains and tables, and named once") {
    CHECK(
        software_in({chain(NFPROTO_IPV4, "filter", "ufw-user-input"), chain(NFPROTO_IPV6, "filter", "ufw6-user-input"),
                     chain(NFPROTO_INET, "firewalld", "filter_INPUT"), chain(NFPROTO_IPV4, "nat", "DOCKER"),
                     chain(NFPROTO_INET, "f2b-table", "f2b-chain"), chain(NFPROTO_IPV4, "filter", "f2b-sshd")}) ==
        std::vector<std::string>{"ufw", "firewalld", "Docker", "fail2ban"});
    CHECK(software_in({chain(NFPROTO_IPV4, "filter", "INPUT")}).empty());
}

TEST_CASE("a chain is on the way of packets for this host by its family and its hook") {
    auto input = chain(NFPROTO_INET, "filter", "input");
    CHECK_FALSE(is_on_the_way(input));
    input.image = base(NF_INET_LOCAL_IN, NF_ACCEPT);
    CHECK(is_on_the_way(input));
    input.image.hook = NF_INET_FORWARD;
    CHECK_FALSE(is_on_the_way(input));
    input.image.hook = NF_INET_PRE_ROUTING;
    CHECK(is_on_the_way(input));
    input.table.family = NFPROTO_ARP;
    CHECK_FALSE(is_on_the_way(input));
}

TEST_CASE("a chain drops the rest by its policy or by a last rule without a condition") {
    CHECK(drops_the_rest(base(NF_INET_LOCAL_IN, NF_DROP)));
    CHECK_FALSE(drops_the_rest(base(NF_INET_LOCAL_IN, NF_ACCEPT)));
    const std::string drop = "[ counter pkts 0 bytes 0 ] [ immediate reg 0 drop ]";
    CHECK(drops_the_rest(base(NF_INET_LOCAL_IN, NF_ACCEPT, {drop})));
    CHECK(drops_the_rest(base(NF_INET_LOCAL_IN, NF_ACCEPT, {"[ reject type 1 code 0 ]"})));
    CHECK_FALSE(drops_the_rest(base(NF_INET_LOCAL_IN, NF_ACCEPT, {drop, "[ immediate reg 0 accept ]"})));
    CHECK_FALSE(drops_the_rest(base(NF_INET_LOCAL_IN, NF_ACCEPT, {"[ cmp eq reg 1 0x00000006 ] " + drop})));
}

TEST_CASE("a port is named by a rule that compares it or by a set that holds it") {
    const std::string compares = "[ payload load 2b @ transport header + 2 => reg 1 ] [ cmp eq reg 1 0x00001600 ]";
    CHECK(mention_of(ssh, with_rule(compares)) == Mention::named);
    CHECK(mention_of({protocol_tcp, 5632}, with_rule(compares)) == Mention::none);  // the other order of its bytes
    CHECK(mention_of(ssh, with_rule("[ ct load state => reg 1 ]")) == Mention::none);
    CHECK(mention_of(ssh, with_rule("[ match name multiport rev 1 ]")) == Mention::unreadable);
    CHECK(mention_of(ssh, with_set({0, 22}, 2)) == Mention::named);
    CHECK(mention_of(ssh, with_set({22, 0}, 2)) == Mention::none);
    CHECK(mention_of(ssh, with_set({0, 22, 0, 1}, 16)) == Mention::none);  // an address
    CHECK(mention_of(ssh, {}) == Mention::none);
}
