#include "client/options/command_line.hpp"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "common/clock.hpp"
#include "common/command_words.hpp"
#include "keys/page.hpp"

namespace oneknock {
namespace {

// What the parser fills in; one subcommand at a time.
struct Words {
    KnockWords knock;
    bool pass_descriptor = false;
    std::string file;
    std::string page_template = installed_page;
    bool passphrase = false;
    bool remove = false;
    bool json = false;
};

constexpr const char* service_text = "A name from the key file, or tcp/22";

// `value` is what the help calls it.
template <class T>
CLI::Option* add(CLI::App& command, const char* name, T& to, const char* value, const char* text) {
    return command.add_option(name, to, text)->type_name(value);
}

void add_door(CLI::App& command, KnockWords& words) {
    add(command, "DOOR", words.door, "",
        "The name of an imported key, or the path of a key file (with a /, or ending in .json)")
        ->required();
}

CLI::Option* add_service(CLI::App& command, KnockWords& words, const char* text) {
    return add(command, "SERVICE", words.service, "", text);
}

void add_key_fd(CLI::App& command, KnockWords& words) {
    add(command, "--key-fd", words.key_fd, "N",
        "Read the key's passphrase from this descriptor instead of the terminal");
}

// How a knock is made; for every subcommand that knocks.
void add_knock_options(CLI::App& command, KnockWords& words) {
    add(command, "--for", words.duration, "TIME", "Time to stay open, such as 60s; default: the server's");
    add(command, "--via", words.via, "udp|tcp", "Carry the knock in UDP packets (default) or TCP connection attempts");
    add(command, "--knocks", words.packets, "N", "Packets per pass, from 36 (IPv4) or 48 (IPv6) to 64, the default");
    add(command, "--pace", words.pace, "TIME", "Pause between packets, such as 5ms; default: none");
    add(command, "--source", words.source, "ADDR|observed",
        "Address to open for, or observed, the one that the server sees; default: this machine's");
    command.add_flag("-4", words.ipv4, "Use the door's IPv4 addresses only");
    command.add_flag("-6", words.ipv6, "Use the door's IPv6 addresses only");
    add(command, "--wait", words.wait, "[=TIME]", "Watch the port and knock again until it answers, for 10s or TIME");
    add(command, "--time-offset", words.time_offset, "TIME",
        "Correct this machine's clock by this much, such as 5s or -5s");
    add_key_fd(command, words);
}

void add_open_or_close(CLI::App& command, Words& words) {
    add_door(command, words.knock);
    add_service(command, words.knock, service_text)->required();
    add_knock_options(command, words.knock);
    command.add_flag("--dry-run", words.knock.dry_run, "Print the ports and send nothing");
    add(command, "--write", words.knock.write, "FILE", "Also write the packets to a new pcap file");
    command.add_flag("--json", words.knock.json, "Print one JSON object per address");
}

void add_connect(CLI::App& command, Words& words) {
    add_door(command, words.knock);
    add_service(command, words.knock, "A name from the key file, or tcp/22; default: ssh");
    add_knock_options(command, words.knock);
    command.add_flag("--fdpass", words.pass_descriptor, "Pass the connection to ssh (ProxyUseFdpass)");
}

void add_run(CLI::App& command, Words& words) {
    add_door(command, words.knock);
    add_service(command, words.knock, service_text)->required();
    add_knock_options(command, words.knock);
}

void add_import(CLI::App& command, Words& words) {
    add(command, "FILE", words.file, "", "The key file; - is standard input")->required();
    command.add_flag("--passphrase", words.passphrase, "Encrypt the key with a passphrase");
    add_key_fd(command, words.knock);
}

void add_passphrase(CLI::App& command, Words& words) {
    add_door(command, words.knock);
    command.add_flag("--remove", words.remove, "Store the key without a passphrase");
    add_key_fd(command, words.knock);
}

void add_page(CLI::App& command, Words& words) {
    add_door(command, words.knock);
    add(command, "-o,--output", words.file, "FILE", "New web page with the sealed key in it")->required();
    add(command, "--page-template", words.page_template, "FILE", "The page without a key; default: the installed one");
    add_key_fd(command, words.knock);
}

void add_list(CLI::App& command, Words& words) { command.add_flag("--json", words.json, "Print JSON"); }

struct Subcommand {
    const char* name;
    const char* text;
    const char* examples;
    void (*add_options)(CLI::App& command, Words& words);
};
constexpr Subcommand subcommands[] = {
    {"open", "Open a service of a door for this machine",
     "  oneknock open home ssh --wait\n  oneknock open ./alice.json tcp/8080 --for 5m", add_open_or_close},
    {"close", "Close it again before its time is up", "  oneknock close home ssh\n  oneknock close home ssh --wait",
     add_open_or_close},
    {"connect", "Open, then connect standard input and output (ssh's ProxyCommand)",
     "  ssh -o ProxyCommand='oneknock connect home' home\n"
     "  ssh -o ProxyCommand='oneknock connect --fdpass home ssh' -o ProxyUseFdpass=yes home",
     add_connect},
    {"run", "Open, wait until it is open, then run the command after --",
     "  oneknock run home ssh -- ssh server.example.org\n  oneknock run home web --wait=30s -- curl "
     "https://server.example.org",
     add_run},
    {"import", "Check a key file and store it under the name of its door",
     "  oneknock import alice.json\n  oneknock import --passphrase alice.json", add_import},
    {"passphrase", "Set, change or remove the passphrase of an imported key",
     "  oneknock passphrase home\n  oneknock passphrase --remove home", add_passphrase},
    {"page", "Make a web page of a key, for a browser without oneknock", "  oneknock page home -o home.html", add_page},
    {"list", "Show the imported doors", "  oneknock list\n  oneknock list --json", add_list}};

// The words in the order that CLI11 expects, so that they may be typed in any: `oneknock --json list`.
struct Arguments {
    std::vector<std::string> words;    // the subcommand first, if there is one
    std::vector<std::string> command;  // of `run`: everything after "--"
};

// `--wait` alone becomes `--wait=10s`: it takes its value only with '=', never the next word.
Arguments arrange(std::vector<std::string> words) {
    Arguments result;
    const auto end = std::ranges::find(words, "--");
    const auto is_subcommand = [](const std::string& word) {
        return std::ranges::any_of(subcommands, [&](const Subcommand& subcommand) { return word == subcommand.name; });
    };
    if (!words.empty() && words.front() == "help")
        words.front() = "--help";  // of the command that follows, if one does
    const auto name = std::find_if(words.begin(), end, is_subcommand);
    if (name != end) std::rotate(words.begin(), name, name + 1);
    std::replace(words.begin(), end, std::string("--wait"), "--wait=" + duration_text(default_wait));
    if (end != words.end() && words.front() == "run") {
        result.command.assign(end + 1, words.end());
        words.erase(end, words.end());
    }
    result.words = std::move(words);
    return result;
}

// Only the chosen subcommand's options: setting up those of all takes longer than the knock.
void add_everything(CLI::App& app, const std::string& chosen, Words& words) {
    set_help_form(app, "oneknock " ONEKNOCK_VERSION,
                  "  oneknock open home ssh --wait\n  oneknock run home ssh -- ssh server.example.org");
    for (const auto& [name, text, examples, add_options] : subcommands) {
        CLI::App& command = *app.add_subcommand(name, text);
        if (chosen != name) continue;
        command.footer("Examples:\n" + std::string(examples));
        add_options(command, words);
    }
}

// The subcommands that imply --wait.
Result<KnockOptions> waiting_options(Words& words) {
    if (!words.knock.wait) words.knock.wait = duration_text(default_wait);
    if (words.knock.service.empty()) words.knock.service = "ssh";
    return read_knock_options(Operation::open, words.knock);
}

Error no_command_to_run() {
    return {ExitCode::usage, "run: put the command after --, for example: oneknock run home ssh -- ssh home"};
}

Result<Command> command_from(const std::string& name, Words& words, std::vector<std::string> tail) {
    const auto key_fd = read_key_fd(words.knock.key_fd);
    if (!key_fd) return tl::unexpected(key_fd.error());
    if (name == "import") return Command{ImportOptions{words.file, words.passphrase, *key_fd}};
    if (name == "passphrase") return Command{PassphraseOptions{words.knock.door, words.remove, *key_fd}};
    if (name == "page") return Command{PageOptions{words.knock.door, words.file, words.page_template, *key_fd}};
    if (name == "list") return Command{ListOptions{words.json}};
    if (name == "connect")
        return waiting_options(words).map([&](KnockOptions&& knock) {
            return Command{ConnectOptions{std::move(knock), words.pass_descriptor}};
        });
    if (name == "run") {
        if (tail.empty()) return tl::unexpected(no_command_to_run());
        return waiting_options(words).map([&](KnockOptions&& knock) {
            return Command{RunOptions{std::move(knock), std::move(tail)}};
        });
    }
    return read_knock_options(name == "open" ? Operation::open : Operation::close, words.knock)
        .map([](KnockOptions&& knock) { return Command{std::move(knock)}; });
}

// "--wait 5" leaves a word too many, and the reason is not to be guessed from that.
std::optional<Error> value_of_wait_apart(const std::vector<std::string>& words) {
    const auto end = std::ranges::find(words, "--");
    const auto wait = std::find(words.begin(), end, "--wait");
    if (wait == end || wait + 1 == end) return std::nullopt;
    const std::string& time = wait[1];
    for (const std::string& meant : {time, time + "s"})
        if (parse_duration(meant))
            return Error{ExitCode::usage, "--wait takes its time after an equals sign: --wait=" + meant};
    return std::nullopt;
}

}  // namespace

Result<Command> parse_command_line(std::vector<std::string> words) {
    CLI::App app("Opens and closes the services of a door by a single knock", "oneknock");
    Words values;
    const auto wait_apart = value_of_wait_apart(words);
    Arguments arguments = arrange(std::move(words));
    const std::string chosen = arguments.words.empty() ? "" : arguments.words.front();
    add_everything(app, chosen, values);
    auto text = parse_words(app, std::move(arguments.words));
    if (!text && wait_apart) return tl::unexpected(*wait_apart);
    if (!text && chosen == "run" && arguments.command.empty() && text.error().message.starts_with("unexpected word"))
        return tl::unexpected(no_command_to_run());
    if (!text) return tl::unexpected(text.error());
    if (*text) return Command{ShowText{**std::move(text)}};
    return command_from(app.get_subcommands().front()->get_name(), values, std::move(arguments.command));
}

}  // namespace oneknock
