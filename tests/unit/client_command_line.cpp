#include "client/options/command_line.hpp"

#include <iterator>
#include <sstream>
#include <tuple>

#include "tests/catch.hpp"

using namespace oneknock;
using Words = std::vector<std::string>;

TEST_CASE("the subcommand may come after options, and names of subcommands are words like any other after it") {
    CHECK(std::get<ListOptions>(*parse_command_line({"--json", "list"})).json);
    CHECK(std::get<KnockOptions>(*parse_command_line({"-4", "open", "home", "ssh"})).family == Family::ipv4);
    CHECK(std::get<KnockOptions>(*parse_command_line({"open", "list", "ssh"})).door == "list");
    CHECK_FALSE(parse_command_line({"--json", "--", "list"}));
}

TEST_CASE("--wait never takes the next word as its value") {
    const auto wait = [](const Words& words) { return std::get<KnockOptions>(*parse_command_line(words)).wait; };
    CHECK(wait({"open", "--wait", "home", "ssh"}) == Seconds{10});
    CHECK(wait({"open", "home", "ssh", "--wait"}) == Seconds{10});
    CHECK(wait({"open", "--wait=3s", "home", "ssh"}) == Seconds{3});
}

TEST_CASE("the command of run is left as it is") {
    const auto run = parse_command_line({"run", "--wait", "home", "ssh", "--", "list", "--wait", "--"});
    REQUIRE(run);
    CHECK(std::get<RunOptions>(*run).command == Words{"list", "--wait", "--"});
}

TEST_CASE("every order of options and words gives the same knock") {
    for (const Words& words : {Words{"open", "--wait", "home", "ssh", "--for", "5m", "-4"},
                               Words{"--wait", "open", "home", "-4", "ssh", "--for=5m"},
                               Words{"open", "-4", "--for", "5m", "home", "--wait", "ssh"}}) {
        const auto command = parse_command_line(words);
        REQUIRE(command);
        const auto& options = std::get<KnockOptions>(*command);
        CHECK(options.operation == Operation::open);
        CHECK(options.door == "home");
        CHECK(options.service == "ssh");
        CHECK(options.duration == Seconds{300});
        CHECK(options.family == Family::ipv4);
        CHECK(options.wait == std::chrono::milliseconds{10'000});
    }
}

// `open DOOR SERVICE` and `connect DOOR [SERVICE]` are read without a parser; a "--" takes them to it.
TEST_CASE("plain words mean what they mean to the parser") {
    const auto all_of = [](const KnockOptions& knock) {
        return std::tuple{knock.operation,
                          knock.door,
                          knock.service,
                          knock.duration,
                          knock.via,
                          knock.via_chosen,
                          knock.packets,
                          knock.pace,
                          knock.pace_chosen,
                          knock.passes_chosen,
                          knock.family,
                          knock.wait,
                          knock.source.named,
                          knock.time_offset,
                          knock.dry_run,
                          knock.verbose,
                          knock.source.observed,
                          knock.write,
                          knock.key_fd,
                          knock.json};
    };
    const DefaultsOf defaults = [](const std::string& door) {
        if (door == "wrong") return DoorDefaults{"/c/wrong.conf", {{"pace", "9s"}, {"packets", "1"}}};
        return DoorDefaults{"/c/home.conf", {{"via", "tcp"}, {"for", "5m"}, {"family", "6"}, {"wait", "3s"}}};
    };
    for (Words words : {Words{"open", "home", "ssh"}, Words{"open", "./key.json", "tcp/22"},
                        Words{"open", "open", "run"}, Words{"connect", "home"}, Words{"connect", "home", "web"},
                        Words{"open", "wrong", "ssh"}, Words{"connect", "wrong"}}) {
        CAPTURE(words);
        const auto plain = parse_command_line(words, defaults);
        words.insert(words.begin() + 1, "--");
        const auto parsed = parse_command_line(words, defaults);
        REQUIRE(plain.has_value() == parsed.has_value());
        if (!plain) {
            CHECK(plain.error().message == parsed.error().message);
        } else if (const auto* connect = std::get_if<ConnectOptions>(&*plain)) {
            CHECK(all_of(connect->knock) == all_of(std::get<ConnectOptions>(*parsed).knock));
            CHECK(connect->pass_descriptor == std::get<ConnectOptions>(*parsed).pass_descriptor);
        } else {
            CHECK(all_of(std::get<KnockOptions>(*plain)) == all_of(std::get<KnockOptions>(*parsed)));
        }
    }
}

TEST_CASE("words the command line does not know are usage errors") {
    for (const Words& words :
         {Words{}, Words{"opn", "home", "ssh"}, Words{"open", "home"}, Words{"open", "a", "b", "c"},
          Words{"open", "home", "ssh", "--bogus"}, Words{"run", "home", "ssh"}, Words{"run", "home", "ssh", "--"},
          Words{"open", "home", "ssh", "--fdpass"}}) {
        const auto command = parse_command_line(words);
        REQUIRE_FALSE(command);
        CHECK(command.error().code == ExitCode::usage);
    }
}

TEST_CASE("words in places that are often mistaken get a sentence of their own") {
    const std::pair<Words, const char*> cases[] = {
        {{"open", "home", "ssh", "--wait", "5"}, "--wait takes its time after an equals sign: --wait=5s"},
        {{"open", "--wait", "2m", "home", "ssh"}, "--wait takes its time after an equals sign: --wait=2m"},
        {{"open", "home", "ssh", "--wate"},
         "there is no option --wate; did you mean --wait? See: oneknock open --help"},
        {{"opne", "home", "ssh"}, "there is no command \"opne\"; did you mean open? See: oneknock --help"},
        {{"help", "clsoe"}, "there is no command \"clsoe\"; did you mean close? See: oneknock --help"},
        {{"run", "home", "ssh", "ls"},
         "run: put the command after --, for example: oneknock run home ssh -- ssh home"}};
    for (const auto& [words, wanted] : cases) {
        const auto command = parse_command_line(words);
        REQUIRE_FALSE(command);
        CHECK(command.error().message == wanted);
    }
    CHECK(std::get<KnockOptions>(*parse_command_line({"open", "--wait", "5", "ssh"})).door == "5");
}

TEST_CASE("connect and run always wait, and connect means ssh unless told") {
    const auto connect = parse_command_line({"connect", "home", "--fdpass"});
    REQUIRE(connect);
    CHECK(std::get<ConnectOptions>(*connect).pass_descriptor);
    CHECK(std::get<ConnectOptions>(*connect).knock.service == "ssh");
    CHECK(std::get<ConnectOptions>(*connect).knock.wait == default_wait);
    const auto run = parse_command_line({"run", "home", "web", "--wait=3s", "--", "curl", "--json"});
    REQUIRE(run);
    CHECK(std::get<RunOptions>(*run).knock.wait == Seconds{3});
    CHECK(std::get<RunOptions>(*run).command == Words{"curl", "--json"});
}

TEST_CASE("help and version are text, not errors") {
    for (const Words& words : {Words{"--help"}, Words{"open", "--help"}, Words{"--version"}, Words{"help"},
                               Words{"help", "open"}, Words{"-V"}}) {
        const auto command = parse_command_line(words);
        REQUIRE(command);
        CHECK(std::get<ShowText>(*command).text.find("oneknock") != std::string::npos);
    }
}

TEST_CASE("the examples of a subcommand's help are its own, and can be parsed") {
    for (const char* name :
         {"open", "close", "connect", "run", "import", "list", "set", "passphrase", "unlock", "lock", "remove"}) {
        const auto help = parse_command_line({name, "--help"});
        REQUIRE(help);
        const std::string text = std::get<ShowText>(*help).text;
        const auto examples = text.find("Examples:\n");
        REQUIRE(examples != std::string::npos);
        std::istringstream lines(text.substr(examples + 10));
        int count = 0;
        for (std::string line; std::getline(lines, line);) {
            const auto start = line.find("oneknock ");
            if (start == std::string::npos) continue;
            std::istringstream words(line.substr(start + 9, line.find('\'', start) - start - 9));
            const auto command = parse_command_line({std::istream_iterator<std::string>(words), {}});
            CAPTURE(line);
            CHECK(command);
            CHECK(line.find(std::string("oneknock ") + name) != std::string::npos);
            ++count;
        }
        CHECK(count == 2);
    }
}

TEST_CASE("the words of an imported door reach its subcommands") {
    const auto import = parse_command_line({"import", "--as", "office", "key.json"});
    CHECK(std::get<ImportOptions>(*import).as == "office");
    const auto set = parse_command_line({"set", "home", "via=tcp", "for=5m"});
    CHECK(std::get<SetOptions>(*set).assignments == Words{"via=tcp", "for=5m"});
    CHECK(std::get<SetOptions>(*parse_command_line({"set", "home"})).assignments.empty());
    CHECK(std::get<RemoveOptions>(*parse_command_line({"remove", "home"})).door == "home");
    CHECK_FALSE(parse_command_line({"remove"}));
    CHECK(std::get<UnlockOptions>(*parse_command_line({"unlock", "home"})).time == usual_unlocked);
    CHECK(std::get<UnlockOptions>(*parse_command_line({"unlock", "home", "--for", "8h"})).time == Seconds{8 * 3600});
    for (const char* time : {"0s", "31d", "500ms", "8"})
        CHECK_FALSE(parse_command_line({"unlock", "home", "--for", time}));
    CHECK(std::get<LockOptions>(*parse_command_line({"lock", "home"})).door == "home");
    CHECK_FALSE(std::get<LockOptions>(*parse_command_line({"lock"})).door);
}

TEST_CASE("the words of an enrolment reach it, and the import that ends it") {
    CHECK(std::get<EnrolOptions>(*parse_command_line({"enrol"})).time == Seconds{7 * 86400});
    CHECK(std::get<EnrolOptions>(*parse_command_line({"enrol", "--for", "1d"})).time == Seconds{86400});
    for (const char* time : {"0s", "31d", "500ms", "8", "soon"})
        CHECK_FALSE(parse_command_line({"enrol", "--for", time}));
    const auto import = parse_command_line({"import", "--words", "bako lumi", "key.json"});
    CHECK(std::get<ImportOptions>(*import).words == "bako lumi");
    CHECK(std::get<ImportOptions>(*parse_command_line({"import", "--yes", "-"})).yes);
    CHECK_FALSE(parse_command_line({"import", "--words", "bako", "--yes", "key.json"}));
}

TEST_CASE("a rotation knows where ssh goes, and uses sudo there unless its user is root") {
    const auto rotation = [](Words words) {
        words.insert(words.begin(), "rotate");
        return std::get<RotateOptions>(*parse_command_line(words));
    };
    const auto options = rotation({"home", "--via", "admin@example.org", "--", "-p", "2222", "--wait"});
    CHECK(options.host == "admin@example.org");
    CHECK(options.ssh_options == Words{"-p", "2222", "--wait"});
    CHECK(options.folder == "/etc/oneknock");
    CHECK(options.knock.service == "ssh");
    CHECK(options.knock.wait == default_wait);
    CHECK(options.sudo);
    CHECK_FALSE(rotation({"home", "vpn", "--via", "ssh://root@example.org:2222"}).sudo);
    CHECK_FALSE(rotation({"home", "--via", "root@example.org"}).sudo);
    CHECK_FALSE(rotation({"home", "--no-sudo", "--via", "example.org"}).sudo);
    for (const Words& words :
         {Words{"rotate", "home"}, Words{"rotate", "--via", "example.org"},
          Words{"rotate", "home", "--via", "-oProxyCommand=true"}, Words{"rotate", "home", "--via", ""},
          Words{"rotate", "home", "--via", "example.org", "--dir", "etc"}})
        CHECK(parse_command_line(words).error().code == ExitCode::usage);
}
