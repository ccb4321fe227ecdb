// What setup reads of the machine, and of what is typed (keys/keygen/setup).
#include "keys/keygen/folder/door_folder.hpp"
#include "keys/keygen/setup/handover.hpp"
#include "keys/keygen/setup/listening.hpp"
#include "keys/keygen/setup/questions.hpp"
#include "keys/keygen/setup/shown_commands.hpp"
#include "tests/catch.hpp"

using namespace oneknock;
using namespace oneknock::keygen;

namespace {

constexpr const char* tcp_table =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 101 1 0 100 0 0 10 0\n"
    "   1: 0100007F:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 102 1 0 100 0 0 10 0\n"
    "   2: 01004D0A:0016 02004D0A:9C40 01 00000000:00000000 00:00000000 00000000     0        0 103 1 0 20 4 30 10 -1\n"
    "   3: nonsense\n";
constexpr const char* udp6_table =
    "  sl  local_address remote_address st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   9: 00000000000000000000000000000000:CA6C 00000000000000000000000000000000:0000 07 00000000:00000000 "
    "00:00000000 00000000     0        0 0 2 0 0\n"
    "  10: 00000000000000000000000001000000:0035 00000000000000000000000000000000:0000 07 00000000:00000000 "
    "00:00000000 00000000     0        0 7 2 0 0\n";

const Service ssh{protocol_tcp, 22}, second_ssh{protocol_tcp, 2222}, strange{protocol_tcp, 4}, vpn{protocol_udp, 51820};

}  // namespace

TEST_CASE("of a table of sockets those count that wait for strangers at an address that others reach") {
    CHECK(waiting_sockets(tcp_table, protocol_tcp) == std::vector<Socket>{{ssh, 101}});
    CHECK(waiting_sockets(udp6_table, protocol_udp) == std::vector<Socket>{{vpn, 0}});
    CHECK(waiting_sockets("", protocol_tcp).empty());
}

TEST_CASE("what listens is named after its program or its port, and no name is given twice") {
    const auto names = named({{ssh, "sshd"}, {second_ssh, "sshd"}, {strange, "a program"}, {vpn, ""}});
    CHECK(names ==
          std::map<std::string, Service>{{"ssh", ssh}, {"ssh-2222", second_ssh}, {"tcp", strange}, {"udp", vpn}});
}

TEST_CASE("what is proposed to be closed is where administrators come in") {
    const std::vector<Listening> listening{{ssh, "sshd"}, {strange, "nginx"}, {vpn, ""}};
    CHECK(proposed_services(listening, named(listening), std::nullopt) == "ssh");
    CHECK(proposed_services(listening, named(listening), SshSession{*Address::parse("192.0.2.1"), 4}) == "nginx ssh");
    CHECK(proposed_services({}, {}, std::nullopt).empty());
}

TEST_CASE("services are answered by what was listed or as init takes them") {
    const std::map<std::string, Service> known{{"ssh", ssh}};
    using Services = std::map<std::string, Service>;
    CHECK(services_answer(" ssh,  vpn=udp/51820 ", known).value() == Services{{"ssh", ssh}, {"vpn", vpn}});
    for (const char* wrong : {"", " , ", "https", "ssh ssh", "ssh other=tcp/22", "ssh=tcp/0"}) {
        INFO(wrong);
        CHECK_FALSE(services_answer(wrong, known));
    }
}

TEST_CASE("the command that fetches the key fits host, port and folder") {
    const Person alice{"alice", "/home/alice", 1000, 1000};
    CHECK(key_file_of(alice, "laptop") == "laptop.json");  // there is no such home
    CHECK(how_to_fetch(alice, "/home/alice/laptop.json", "server.example.org", 22) ==
          "scp alice@server.example.org:laptop.json . && oneknock import laptop.json");
    CHECK(how_to_fetch(alice, "/root/laptop.json", "2001:db8::1", 2222) ==
          "scp -P 2222 'alice@[2001:db8::1]:/root/laptop.json' . && oneknock import laptop.json");
    CHECK(how_to_log_in(alice, "2001:db8::1", 2222) == "ssh -p 2222 alice@2001:db8::1");
}

TEST_CASE("a door's folder is one word of the commands that are told of it") {
    CHECK(DoorFolder(default_folder).command("list") == "oneknock-keygen list");
    CHECK(DoorFolder("/srv/a door").command("list") == "oneknock-keygen list --dir '/srv/a door'");
    CHECK(DoorFolder("/srv/$(reboot)\x1b").command("list") == "oneknock-keygen list --dir $'/srv/$(reboot)\\x1b'");
}

TEST_CASE("the commands that are shown say what is not the default, quoted where a shell needs it") {
    Init door;
    door.name = "home";
    door.address = "server.example.org";
    door.services = {{"ssh", ssh}, {"vpn", vpn}};
    CHECK(init_command(door) ==
          "oneknock-keygen init --name home --address server.example.org --service ssh=tcp/22 --service vpn=udp/51820");
    CHECK(daemon_command(door, "--check-config") == "oneknockd --check-config");
    door.folder = "/etc/a door";
    door.interfaces = {"eth0", "ppp0"};
    door.span = *PortSpan::parse("20000-36383");
    door.table = "oneknock_office";
    CHECK(init_command(door) ==
          "oneknock-keygen init --dir '/etc/a door' --name home --address server.example.org --service ssh=tcp/22 "
          "--service vpn=udp/51820 --span 20000-36383 --interface eth0 --interface ppp0 --table oneknock_office");
    CHECK(daemon_command(door, "") == "oneknockd --config '/etc/a door/oneknockd.json'");
    Add add;
    add.client = "laptop";
    add.allow = {"ssh", "vpn"};
    add.output = "/root/laptop.json";
    add.max_duration = Seconds{300};
    CHECK(add_command(door, add) ==
          "oneknock-keygen add laptop --dir '/etc/a door' --allow ssh --allow vpn --max-duration 5m -o "
          "/root/laptop.json");
}
