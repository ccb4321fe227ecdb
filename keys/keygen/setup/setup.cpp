#include <algorithm>
#include <optional>

#include <poll.h>
#include <unistd.h>

#include "common/ask_daemon.hpp"
#include "common/secret.hpp"
#include "common/text.hpp"
#include "keys/keygen/commands/commands.hpp"
#include "keys/keygen/commands/steps.hpp"
#include "keys/keygen/folder/atomic_files.hpp"
#include "keys/keygen/folder/staged_key_file.hpp"
#include "keys/keygen/setup/handover.hpp"
#include "keys/keygen/setup/machine.hpp"
#include "keys/keygen/setup/programs.hpp"
#include "keys/keygen/setup/questions.hpp"
#include "keys/keygen/setup/shown_commands.hpp"
#include "keys/keygen/setup/terminal.hpp"
#include "keys/keygen/setup/traces.hpp"
#include "keys/keygen/setup/trial.hpp"
#include "keys/record_files.hpp"

namespace oneknock::keygen {
namespace {

// Before anything is asked: what would end in vain.
Result<void> check_beforehand(const Setup& setup) {
    const Init& door = setup.door;
    if (geteuid() != 0)
        return fail(ExitCode::permission,
                    "setup makes files of root's, closes ports and starts the daemon; run it as root: sudo "
                    "oneknock-keygen setup");
    const DoorFolder folder(door.folder);
    if (check_no_door(folder))
        if (const std::string record = door.state + "/" + record_file_name; path_exists(record))
            return fail(ExitCode::cannot_create, record + " is the record of an earlier door; if that door is gone, " +
                                                     "remove it (rm " + shell_word(door.state) +
                                                     "/oneknock.db*), else give this one another state directory "
                                                     "(--state) and run setup again");
    if (connect_to_daemon(door.socket, Seconds{1}))
        return fail(ExitCode::unavailable, "a daemon answers on " + door.socket +
                                               " already; for a second door give this one another directory, table, "
                                               "state directory and socket (--dir, --table, --state, --socket)");
    if (check_no_door(folder)) return check_recipient(setup.handout, read_clocks().wall);
    return fail(ExitCode::cannot_create, "there is a door in " + folder.path() +
                                             " already, and setup only makes new ones. Try that one with: oneknockd "
                                             "--config " +
                                             shell_word(folder.config()) +
                                             " --try 60. If it is of no use (a setup that was killed leaves one), "
                                             "remove it: rm -r " +
                                             shell_word(folder.path()) + " " + shell_word(door.state) +
                                             "/oneknock.db*");
}

// From the answers on. What it has done is in `traces`, whatever ends it.
class SettingUp {
public:
    SettingUp(const Terminal& terminal, Setup setup, Person person, bool managed)
        : terminal_(terminal),
          setup_(std::move(setup)),
          person_(std::move(person)),
          managed_(managed),
          folder_(setup_.door.folder) {}

    [[nodiscard]] Result<void> run() {
        return find_daemon()
            .and_then([&] { return make_door_and_client(); })
            .and_then([&] { return check(); })
            .and_then([&] { return hand_over(); })
            .and_then([&] { return try_out(); })
            .and_then([&] { return managed_ ? make_service() : leave_running(); })
            .map([&] { traces_.keep(); });
    }

    // The key may have been imported by now.
    void say_what_to_forget() const {
        if (!trial_) return;
        Terminal::say("A key that was imported on " + setup_.client + " is of no use: oneknock remove " +
                      setup_.door.name + (setup_.handout.recipient ? "; its string is used up: oneknock enrol" : ""));
    }
    // False: some of it is left.
    [[nodiscard]] bool undo() { return traces_.undo(); }

private:
    [[nodiscard]] Result<void> find_daemon() {
        return daemon_program().map([&](std::string path) { daemon_ = std::move(path); });
    }

    [[nodiscard]] std::vector<std::string> for_daemon(const std::vector<std::string>& words) const {
        std::vector<std::string> all{"--config", folder_.config()};
        all.insert(all.end(), words.begin(), words.end());
        return all;
    }
    void show_daemon(const std::string& words) const { Terminal::show_command(daemon_command(setup_.door, words)); }

    [[nodiscard]] Result<void> make_door_and_client() {
        Terminal::show_command(init_command(setup_.door));
        traces_.add([before = DoorTraces(folder_, setup_.door.state, setup_.door.socket, setup_.door.table)] {
            return before.remove();
        });
        return make_door(setup_.door).and_then([&] { return make_client(); });
    }

    [[nodiscard]] Result<void> make_client() {
        Add add;
        add.folder = setup_.door.folder;
        add.client = setup_.client;
        for (const auto& [name, service] : setup_.door.services) add.allow.push_back(name);
        add.source = setup_.source;
        add.max_duration = setup_.max_duration;
        add.handout = setup_.handout;
        add.output = add.handout.is_code() ? standard_output : key_file_of(person_, setup_.client);
        Terminal::show_command(add_command(setup_.door, add));
        if (!add.handout.is_code()) key_file_ = add.output;
        traces_.add([paths = std::vector{folder_.client(add.client)}] { return remove_paths(paths); });
        return add_client(folder_, add).and_then([&]() -> Result<void> {
            if (key_file_.empty()) return {};
            traces_.add([path = key_file_] { return remove_paths({path}); });
            return give_key_file(person_, key_file_);
        });
    }

    [[nodiscard]] Result<void> check() const {
        show_daemon("--check-config");
        return run_or_fail(daemon_, for_daemon({"--check-config"}));
    }

    [[nodiscard]] std::uint16_t ssh_port() const {
        if (const auto session = ssh_session()) return session->port;
        const auto ssh = setup_.door.services.find("ssh");
        return ssh == setup_.door.services.end() ? std::uint16_t{22} : ssh->second.port;
    }

    [[nodiscard]] Result<void> hand_over() const {
        say_how_to_bring_the_key();
        Terminal::say("\nThen begins a trial of " + duration_text(setup_.trial) + ": " + services() +
                      " will be closed to whoever has not knocked.");
        Terminal::say(has_udp() ? "TCP sessions that are open now, this one too, go on; those of UDP end."
                                : "Sessions that are open now, this one too, go on.");
        return terminal_
            .ask<std::string>("Press Enter once the key is imported", "",
                              [](const std::string&) -> Result<std::string> { return std::string(); })
            .map([](const std::string&) {});
    }

    void say_how_to_bring_the_key() const {
        if (setup_.handout.is_code())
            return Terminal::say("\nScan the code, or take its text, to " + setup_.client +
                                 ", and give it to `oneknock import` there.");
        const bool sealed = setup_.handout.recipient.has_value();
        Terminal::say("\nThe key of " + setup_.client + " is in " + printable(key_file_) +
                      (sealed ? ", sealed. Send it to its user, for `oneknock import`, or fetch it from there:"
                              : ". Fetch it from there, with oneknock installed:"));
        Terminal::say("    " + how_to_fetch(person_, key_file_, setup_.door.address, ssh_port()));
        if (sealed)
            Terminal::say(
                "Compare the words above with those that it shows there, by a way on which nobody else can "
                "change them, such as a call.");
    }

    [[nodiscard]] std::string services() const {
        return join(setup_.door.services, [](const auto& named) { return named.second.text(); });
    }
    [[nodiscard]] bool has_udp() const {
        return std::ranges::any_of(setup_.door.services,
                                   [](const auto& named) { return named.second.protocol == protocol_udp; });
    }
    // What the trial is tried with.
    [[nodiscard]] std::string first_service() const {
        return setup_.door.services.contains("ssh") ? "ssh" : setup_.door.services.begin()->first;
    }

    [[nodiscard]] Result<void> try_out() {
        show_daemon("--try " + std::to_string(setup_.trial.count()));
        auto trial = Trial::start(daemon_, folder_.config(), setup_.trial, setup_.door.socket);
        if (!trial) return tl::unexpected(trial.error());
        trial_.emplace(*std::move(trial));
        traces_.add([this]() -> Result<void> {
            if (!trial_->stop_and_look()) return {};
            show_daemon("--remove");
            return run_or_fail(daemon_, for_daemon({"--remove"}));
        });
        if (auto ready = trial_->await_ready(terminal_); !ready) return ready;
        show_what_to_try();
        return trial_->await_confirmation(terminal_);
    }

    void show_what_to_try() const {
        const std::string service = first_service();
        std::string line = "    oneknock open " + setup_.door.name + " " + service + " --wait";
        if (service == "ssh") line += " && " + how_to_log_in(person_, setup_.door.address, ssh_port());
        Terminal::say("\nOn " + setup_.client + ", in a new terminal:\n" + line);
        Terminal::say(
            "Once that has let you in, and only then, confirm: there with `oneknockctl confirm`, as root, or "
            "here with yes.");
    }

    [[nodiscard]] Result<void> make_service() {
        trial_->stop_and_look();
        const auto enable = for_units({"enable", "--now"}), disable = for_units({"disable", "--now"});
        Terminal::show_command("systemctl " + join(enable, {}, " "));
        traces_.add([disable] {
            Terminal::show_command("systemctl " + join(disable, {}, " "));
            return run_or_fail(systemctl, disable);
        });
        if (auto done = run_or_fail(systemctl, enable); !done) return done;
        if (terminal_.is_broken_off()) return tl::unexpected(Terminal::broken_off());
        Terminal::say("\nDone: " + services() + (setup_.door.services.size() == 1 ? " is" : " are") +
                      " closed to whoever has not knocked, after a boot too. The daemon's state: oneknockctl status");
        say_what_is_left();
        return {};
    }

    // Without a service manager that knows the daemon: it is not for us to end what keeps the door open.
    [[nodiscard]] Result<void> leave_running() {
        Terminal::say("\nDone: " + services() + " closed to whoever has not knocked, as long as this machine runs. " +
                      "The daemon (process " + std::to_string(trial_->daemon().pid()) +
                      ") goes on; have it started at each boot, with:\n    " + daemon_command(setup_.door, ""));
        trial_->daemon().let_go();
        say_what_is_left();
        return {};
    }

    void say_what_is_left() const {
        if (!key_file_.empty() && path_exists(key_file_))
            Terminal::say("The key has been carried to " + setup_.client + "; remove it here: " +
                          (setup_.handout.recipient ? "rm " : "shred -u ") + shell_word(key_file_));
        if (first_service() == "ssh")
            Terminal::say("So that ssh knocks by itself, on " + setup_.client + ": oneknock ssh-config " +
                          setup_.door.name + " --install");
        Terminal::say("Another client: " +
                      keygen_command(setup_.door, "add CLIENT --allow " + first_service() + " -o CLIENT.json"));
    }

    const Terminal& terminal_;
    Setup setup_;
    Person person_;
    bool managed_;
    DoorFolder folder_;
    std::string daemon_, key_file_;
    std::optional<Trial> trial_;
    Traces traces_;  // goes before the trial, which it ends
};

void introduce(bool managed) {
    Terminal::say(
        "This makes a door, its first client and the service. Nothing is closed before the trial, and all of it is\n"
        "undone if you break off (Ctrl-C) or do not confirm. An empty answer takes what is in [brackets].");
    if (!managed)
        Terminal::say(
            "systemd does not run here, or does not start this door: the daemon that is tried will simply go on.");
    Terminal::say("");
}

}  // namespace

Result<void> run(const Setup& command) {
    if (auto possible = check_beforehand(command); !possible) return possible;
    const auto terminal = Terminal::open();
    if (!terminal) return tl::unexpected(terminal.error());
    const Person who = person();
    const bool managed = command.door.folder == default_folder && has_service_manager();
    introduce(managed);
    auto setup = ask_what_is_missing(*terminal, command, who);
    if (!setup) return fail(setup.error().code, setup.error().message + "; nothing was done");
    SettingUp setting_up(*terminal, *std::move(setup), who, managed);
    auto done = setting_up.run();
    if (done) return done;
    Terminal::say("\nUndoing what was done: " + done.error().message);
    if (!setting_up.undo())
        return fail(done.error().code, done.error().message + "; not all could be undone, see above");
    Terminal::say("All of it is undone, and nothing is closed.");
    setting_up.say_what_to_forget();
    return fail(done.error().code, done.error().message + "; all of it is undone, and nothing is closed");
}

}  // namespace oneknock::keygen
