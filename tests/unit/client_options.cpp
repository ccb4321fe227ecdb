#include "client/options/options.hpp"

#include "tests/catch.hpp"

using namespace oneknock;

namespace {

struct Case {
    const char* option;
    const char* value;
    bool accepted;
};

KnockWords words_with(const std::string& option, const std::string& value) {
    KnockWords words;
    words.door = "home";
    words.service = "ssh";
    if (option == "for") words.duration = value;
    if (option == "via") words.via = value;
    if (option == "knocks") words.packets = value;
    if (option == "pace") words.pace = value;
    if (option == "source") words.source = value;
    if (option == "wait") words.wait = value;
    if (option == "time-offset") words.time_offset = value;
    return words;
}

}  // namespace

TEST_CASE("every option has its limits") {
    const auto [option, value, accepted] =
        GENERATE(Case{"for", "0s", true}, Case{"for", "1s", true}, Case{"for", "65535s", true},
                 Case{"for", "65536s", false}, Case{"for", "-1s", false}, Case{"for", "500ms", false},
                 Case{"for", "60", false}, Case{"for", "", false}, Case{"via", "udp", true}, Case{"via", "tcp", true},
                 Case{"via", "icmp", false}, Case{"knocks", "35", false}, Case{"knocks", "36", true},
                 Case{"knocks", "64", true}, Case{"knocks", "65", false}, Case{"knocks", "40x", false},
                 Case{"knocks", "-40", false}, Case{"pace", "0ms", true}, Case{"pace", "31ms", true},
                 Case{"pace", "32ms", false}, Case{"pace", "5", false}, Case{"source", "observed", true},
                 Case{"source", "auto", true}, Case{"source", "192.0.2.7", true}, Case{"source", "2001:db8::7", true},
                 Case{"source", "0.0.0.0", false}, Case{"source", "::", false}, Case{"source", "127.0.0.1", false},
                 Case{"source", "::1", false}, Case{"source", "224.0.0.1", false}, Case{"source", "ff02::1", false},
                 Case{"source", "::ffff:192.0.2.7", false}, Case{"source", "host.example", false},
                 Case{"wait", "1ms", true}, Case{"wait", "1h", true}, Case{"wait", "0s", false},
                 Case{"wait", "61m", false}, Case{"wait", "10", false}, Case{"time-offset", "-5s", true},
                 Case{"time-offset", "5s", true}, Case{"time-offset", "5ms", false}, Case{"time-offset", "now", false});
    CAPTURE(option, value);
    const auto options = read_knock_options(Operation::open, words_with(option, value));
    CHECK(options.has_value() == accepted);
    if (!options) {
        CHECK(options.error().code == ExitCode::usage);
        CHECK(options.error().message.find(option) != std::string::npos);
    }
}

TEST_CASE("fewer packets leave room for longer pauses") {
    KnockWords words = words_with("pace", "57ms");
    CHECK_FALSE(read_knock_options(Operation::open, words));
    words.packets = "36";
    CHECK(read_knock_options(Operation::open, words));
}

TEST_CASE("options that exclude each other are refused") {
    KnockWords both = words_with("", "");
    both.ipv4 = both.ipv6 = true;
    CHECK_FALSE(read_knock_options(Operation::open, both));
    KnockWords dry = words_with("wait", "10s");
    dry.dry_run = true;
    CHECK_FALSE(read_knock_options(Operation::open, dry));
    KnockWords family = words_with("source", "192.0.2.7");
    family.ipv6 = true;
    CHECK_FALSE(read_knock_options(Operation::open, family));
}

TEST_CASE("without options a knock is one unpaced pass of 64 datagrams from this machine's address") {
    const auto options = read_knock_options(Operation::close, words_with("", ""));
    REQUIRE(options);
    CHECK(options->operation == Operation::close);
    CHECK(options->via == Via::udp);
    CHECK(options->packets == 64);
    CHECK(options->pace.count() == 0);
    CHECK(options->source.automatic());
    CHECK_FALSE(options->wait);
}
