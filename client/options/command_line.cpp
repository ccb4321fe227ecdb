#include "client/options/command_line.hpp"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "client/options/door_subcommands.hpp"
#include "common/clock.hpp"
#include "common/command_words.hpp"
#include "common/text.hpp"

namespace oneknock {
namespace {

constexpr const char* service_text = "A name from the key file, or tcp/22";

CLI::Option* add_service(CLI::App& command, KnockWords& words, const char* text) {
    return add(command, "SERVICE", words.service, "", text);
}

// How a knock is made; for every subcommand that knocks.
void add_knock_options(CLI::App& command, KnockWords& words) {
    add(command, "--for", words.duration, "TIME", "Time to stay open, such as 60s; default: the server's");
    add(command, "--via", words.via, "udp|tcp",
        "Carry the knock in UDP packets (the first choice) or TCP connection attempts");
    add(command, "--knocks", words.packets, "N", "Packets per pass, from 36 (IPv4) or 48 (IPv6) to 64, the default");
    add(command, "--pace", words.pace, "TIME", "Pause between packets, such as 5ms; default: none");
    add(command, "--source", words.source, "auto|observed|ADDR",
        "Open for this address, for the one that the server sees, or (auto, the default) for this machine's own where "
        "the server will see it, else observed");
    command.add_flag("-4", words.ipv4, "Use the door's IPv4 addresses only");
    command.add_flag("-6", words.ipv6, "Use the door's IPv6 addresses only");
    add(command, "--wait", words.wait, "[=TIME]", "Watch the port and knock again until it answers, for 10s or TIME");
    add(command, "--time-offset", words.time_offset, "TIME",
        "Correct this machine's clock by this much, such as 5s or -5s");
    command.add_flag("-v,--verbose", words.verbose, "Tell of each message that is sent");
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
    command.add_flag("--no-probe", words.no_probe, "Run the command without looking whether the port is open");
}

// How the knocks are made is what is set for the door.
void add_rotate(CLI::App& command, Words& words) {
    add(command, "DOOR", words.knock.door, "", "The name of an imported door")->required();
    add_service(command, words.knock, "What is knocked for, before and after; default: ssh");
    add(command, "--via", words.host, "HOST",
        "Where ssh reaches the server: USER@HOST, an alias, or ssh://USER@HOST:PORT")
        ->required();
    add(command, "--dir", words.folder, "DIR", "Directory of the door there; default: /etc/oneknock");
    command.add_flag("--no-sudo", words.no_sudo, "Do not use sudo there; default: only if the user is not root");
    add(command, "--wait", words.knock.wait, "[=TIME]", "Knock until the port answers, for 10s or TIME");
    command.add_flag("-v,--verbose", words.knock.verbose, "Tell of each message that is sent");
    add_key_fd(command, words.knock);
}

void add_doctor(CLI::App& command, Words& words) {
    add(command, "DOOR", words.knock.door, "",
        "An imported door, or the path of a key file; default: looks at all imported keys, and sends nothing");
    add_service(command, words.knock, "A name from the key file, or tcp/22; default: ssh");
    add_knock_options(command, words.knock);
    command.add_flag("--no-knock", words.no_knock, "Send the server nothing");
    command.add_flag("--json", words.knock.json, "Print JSON");
}

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
     "  ssh -o ProxyUseFdpass=yes \\\n      -o ProxyCommand='oneknock connect --fdpass home' home",
     add_connect},
    {"run", "Open, wait until it is open, then run the command after --; keep a UDP service open while it runs",
     "  oneknock run home ssh -- ssh server.example.org\n  oneknock run home vpn -- openvpn home.conf", add_run},
    {"rotate", "Get the next key from the server by ssh, see it work, and let go of the old one",
     "  oneknock rotate home --via root@server.example.org\n  oneknock rotate home --via admin@server.example.org -- "
     "-p 2222",
     add_rotate},
    {"doctor", "Look at each step from this machine to the open port",
     "  oneknock doctor\n  oneknock doctor home\n  oneknock doctor home ssh --no-knock", add_doctor},
    {"explain", "Take a knock apart, field by field",
     "  oneknock open home ssh --dry-run | oneknock explain home\n"
     "  tcpdump -nn -r knock.pcap | oneknock explain home",
     add_explain},
    {"enrol", "Print what a key for this machine can be sealed for", "  oneknock enrol\n  oneknock enrol --for 1d",
     add_enrol},
    {"import", "Check a key file and store it under the name of its door",
     "  oneknock import alice.json\n  oneknock import alice.json --as office --passphrase", add_import},
    {"list", "Show the imported doors", "  oneknock list\n  oneknock list --json", add_list},
    {"set", "Show or change what an imported door's options are unless given",
     "  oneknock set home via=tcp for=5m\n  oneknock set home via=", add_set},
    {"passphrase", "Set, change or remove the passphrase of an imported key",
     "  oneknock passphrase home\n  oneknock passphrase --remove home", add_passphrase},
    {"unlock", "Have the kernel keep a key unlocked for a while",
     "  oneknock unlock home\n  oneknock unlock home --for 8h", add_unlock},
    {"lock", "End that, for one door or all", "  oneknock lock home\n  oneknock lock", add_lock},
    {"page", "Make a web page of a key, for a browser without oneknock", "  oneknock page home -o home.html", add_page},
    {"ssh-config", "Show or install what makes ssh knock by itself",
     "  oneknock ssh-config home\n  oneknock ssh-config home --install", add_ssh_config},
    {"remove", "Remove an imported door", "  oneknock remove home\n  oneknock remove office", add_remove}};

bool is_subcommand(const std::string& word) {
    return std::ranges::any_of(subcommands, [&](const Subcommand& subcommand) { return word == subcommand.name; });
}

// The words in the order that CLI11 expects, so that they may be typed in any: `oneknock --json list`.
struct Arguments {
    std::vector<std::string> words;    // the subcommand first, if there is one
    std::vector<std::string> command;  // of `run` and `rotate`: everything after "--"
};

// `--wait` alone becomes `--wait=10s`: it takes its value only with '=', never the next word.
Arguments arrange(std::vector<std::string> words) {
    Arguments result;
    const auto end = std::ranges::find(words, "--");
    if (!words.empty() && words.front() == "help")
        words.front() = "--help";  // of the command that follows, if one does
    const auto name = std::find_if(words.begin(), end, is_subcommand);
    if (name != end) std::rotate(words.begin(), name, name + 1);
    std::replace(words.begin(), end, std::string("--wait"), "--wait=" + duration_text(default_wait));
    if (end != words.end() && (words.front() == "run" || words.front() == "rotate")) {
        result.command.assign(end + 1, words.end());
        words.erase(end, words.end());
    }
    result.words = std::move(words);
    return result;
}

// Only the subcommand that was chosen: setting up all of them takes longer than the knock. All of them, to be listed or
// guessed at, if it is none.
void add_everything(CLI::App& app, const std::string& chosen, Words& words) {
    set_help_form(app, "oneknock " ONEKNOCK_VERSION,
                  "  oneknock open home ssh --wait\n  oneknock run home ssh -- ssh server.example.org");
    for (const auto& [name, text, examples, add_options] : subcommands) {
        if (chosen != name && is_subcommand(chosen)) continue;
        CLI::App& command = *app.add_subcommand(name, text);
        if (chosen != name) continue;
        command.footer("Examples:\n" + std::string(examples));
        add_options(command, words);
    }
}

// A default that does not go with what was typed is named with its file.
Result<KnockOptions> knock_options(Operation operation, const KnockWords& typed, const DefaultsOf& defaults_of) {
    const auto defaults = defaults_of(typed.door);
    if (!defaults) return tl::unexpected(defaults.error());
    KnockWords words = typed;
    fill_in(words, defaults->values);
    auto options = read_knock_options(operation, words);
    if (!options && read_knock_options(operation, typed))
        return fail(ExitCode::usage,
                    options.error().message + " (with the door's defaults in " + printable(defaults->path) + ")");
    return options;
}

// The subcommand that implies --wait.
Result<KnockOptions> waiting_options(Words& words, const DefaultsOf& defaults_of) {
    if (!words.knock.wait) words.knock.wait = duration_text(default_wait);
    if (words.knock.service.empty()) words.knock.service = "ssh";
    return knock_options(Operation::open, words.knock, defaults_of);
}

Result<Command> doctor_options(Words& words, const DefaultsOf& defaults_of) {
    const KnockWords& knock = words.knock;
    if (knock.door.empty() && (!knock.service.empty() || words.no_knock))
        return fail(ExitCode::usage, "say which door: oneknock doctor DOOR");
    if (!words.knock.wait) words.knock.wait = duration_text(default_wait);
    auto options = knock.door.empty() ? read_knock_options(Operation::open, knock)
                                      : knock_options(Operation::open, knock, defaults_of);
    return std::move(options).map([&](KnockOptions&& read) {
        return Command{DoctorOptions{std::move(read), !words.no_knock}};
    });
}

Error no_command_to_run() {
    return {ExitCode::usage, "run: put the command after --, for example: oneknock run home ssh -- ssh home"};
}

bool is_root_at(const std::string& host) { return host.starts_with("root@") || host.starts_with("ssh://root@"); }

Result<Command> rotate_options(Words& words, std::vector<std::string> tail, const DefaultsOf& defaults_of) {
    if (words.host.empty() || words.host.front() == '-')
        return fail(ExitCode::usage, "--via: say where ssh reaches the server, such as root@server.example.org");
    if (!words.folder.starts_with('/'))
        return fail(ExitCode::usage, "--dir: must be a whole path on the server, such as /etc/oneknock");
    return waiting_options(words, defaults_of).map([&](KnockOptions&& knock) {
        return Command{RotateOptions{std::move(knock), words.host, std::move(tail), words.folder,
                                     !words.no_sudo && !is_root_at(words.host)}};
    });
}

SshConfigOptions ssh_config_options(const Words& words) {
    return {words.knock.door, words.knock.service.empty() ? "ssh" : words.knock.service,
            words.install  ? SshConfigAction::install
            : words.remove ? SshConfigAction::remove
                           : SshConfigAction::print};
}

Result<Command> run_options(Words& words, std::vector<std::string> tail, const DefaultsOf& defaults_of) {
    if (tail.empty()) return tl::unexpected(no_command_to_run());
    if (words.no_probe && words.knock.wait)
        return fail(ExitCode::usage, "--no-probe does not look whether the port is open, which --wait waits for");
    return knock_options(Operation::open, words.knock, defaults_of).map([&](KnockOptions&& knock) {
        return Command{RunOptions{std::move(knock), std::move(tail), !words.no_probe}};
    });
}

// Of the subcommands that send nothing; nothing for others.
std::optional<Result<Command>> local_command(const std::string& name, const Words& words,
                                             const std::optional<int>& key_fd) {
    if (name == "import")
        return Command{ImportOptions{words.file, words.passphrase, key_fd, words.as, words.words, words.yes}};
    if (name == "enrol")
        return read_enrolment_time(words.knock.duration).map([](Seconds time) { return Command{EnrolOptions{time}}; });
    if (name == "explain")
        return Command{ExplainOptions{words.knock.door, words.file.empty() ? "-" : words.file, words.json, key_fd}};
    if (name == "unlock")
        return read_unlocked(words.knock.duration).map([&](Seconds time) {
            return Command{UnlockOptions{words.knock.door, time, key_fd}};
        });
    if (name == "lock") return Command{LockOptions{words.locked}};
    if (name == "remove") return Command{RemoveOptions{words.knock.door}};
    if (name == "set") return Command{SetOptions{words.knock.door, words.assignments}};
    if (name == "passphrase") return Command{PassphraseOptions{words.knock.door, words.remove, key_fd}};
    if (name == "page") return Command{PageOptions{words.knock.door, words.file, words.page_template, key_fd}};
    if (name == "ssh-config") return Command{ssh_config_options(words)};
    if (name == "list") return Command{ListOptions{words.json}};
    return std::nullopt;
}

Result<Command> command_from(const std::string& name, Words& words, std::vector<std::string> tail,
                             const DefaultsOf& defaults_of) {
    const auto key_fd = read_key_fd(words.knock.key_fd);
    if (!key_fd) return tl::unexpected(key_fd.error());
    if (auto local = local_command(name, words, *key_fd)) return *std::move(local);
    if (name == "doctor") return doctor_options(words, defaults_of);
    if (name == "rotate") return rotate_options(words, std::move(tail), defaults_of);
    if (name == "connect")
        return waiting_options(words, defaults_of).map([&](KnockOptions&& knock) {
            return Command{ConnectOptions{std::move(knock), words.pass_descriptor}};
        });
    if (name == "run") return run_options(words, std::move(tail), defaults_of);
    return knock_options(name == "open" ? Operation::open : Operation::close, words.knock, defaults_of)
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

// The last word is what is to be completed.
std::string command_to_complete(const std::vector<std::string>& words) {
    const auto name = std::find_if(words.begin(), words.end() - 1, is_subcommand);
    return name == words.end() - 1 ? "" : *name;
}

// `open DOOR SERVICE`, `connect DOOR [SERVICE]`: most knocks are made by one of these, and a parser takes longer to set
// up than to do without.
bool are_plain(const std::vector<std::string>& words) {
    const auto is_plain = [](const std::string& word) { return !word.empty() && word.front() != '-'; };
    const bool fits = !words.empty() && ((words.front() == "open" && words.size() == 3) ||
                                         (words.front() == "connect" && (words.size() == 2 || words.size() == 3)));
    return fits && std::ranges::all_of(words, is_plain);
}

Result<Command> plain_command(const std::vector<std::string>& words, const DefaultsOf& defaults_of) {
    Words values;
    values.knock.door = words[1];
    if (words.size() > 2) values.knock.service = words[2];
    return command_from(words.front(), values, {}, defaults_of);
}

}  // namespace

Result<Command> parse_command_line(std::vector<std::string> words, const DefaultsOf& defaults_of,
                                   const ValuesOf& values_of) {
    if (are_plain(words)) return plain_command(words, defaults_of);
    CLI::App app("Opens and closes the services of a door by a single knock", "oneknock");
    Words values;
    if (!words.empty() && words.front() == completion_word) {
        add_everything(app, command_to_complete(words), values);
        auto offered = parse_words(app, std::move(words), values_of);
        return offered ? Result<Command>(ShowText{**std::move(offered)}) : tl::unexpected(offered.error());
    }
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
    return command_from(app.get_subcommands().front()->get_name(), values, std::move(arguments.command), defaults_of);
}

}  // namespace oneknock
