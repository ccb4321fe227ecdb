#include "server/parent/supervisor.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/journal.hpp"
#include "common/log.hpp"
#include "common/startup.hpp"
#include "common/text.hpp"
#include "server/firewall/firewall.hpp"
#include "server/parent/key_passing.hpp"
#include "server/parent/key_watch.hpp"
#include "server/parent/lockout_warning.hpp"
#include "server/parent/loop.hpp"
#include "server/parent/notify.hpp"
#include "server/parent/rooms.hpp"
#include "server/parent/runtime_files.hpp"
#include "server/parent/scheduling.hpp"
#include "server/privsep/channel.hpp"
#include "server/privsep/identity.hpp"
#include "server/privsep/landlock.hpp"
#include "server/privsep/sandbox.hpp"
#include "server/privsep/system_calls.hpp"

namespace oneknock {
namespace {

constexpr std::size_t most_recorded = 2 * GrantTable::capacity;

// The rooms' processes and the parent's ends.
struct Rooms {
    RoomProcesses processes;
    Channel to_gatekeeper, keys;
    Descriptor listener_ready;
    Descriptor stopping;  // readable once a signal has come that stops the daemon
    ExitCode when_stopped = ExitCode::ok;

    ~Rooms() {
        keys.close();
        to_gatekeeper.close();  // the gatekeeper ends, and with it the listener
        for (const pid_t pid : {processes.listener, processes.gatekeeper}) {
            if (pid <= 0) continue;
            bool is_there = true;
            for (int i = 0; i < 100 && (is_there = waitpid(pid, nullptr, WNOHANG) == 0); ++i) poll(nullptr, 0, 10);
            // During the start. Once the parent is locked in, this is refused to it, and the kernel kills the room when
            // this process ends (PR_SET_PDEATHSIG).
            if (is_there) kill(pid, SIGKILL);
        }
    }
    Rooms() = default;
    Rooms(const Rooms&) = delete;
    Rooms& operator=(const Rooms&) = delete;
};

// The ends of the channels and the pipe between the three.
struct Ends {
    std::pair<Channel, Channel> listener_gatekeeper, parent_gatekeeper, keys;
    std::pair<Descriptor, Descriptor> ready;  // to read, to write
};

Result<Ends> make_ends() {
    Ends ends;
    for (auto* pair : {&ends.listener_gatekeeper, &ends.parent_gatekeeper, &ends.keys}) {
        auto made = Channel::make_pair();
        if (!made) return tl::unexpected(made.error());
        *pair = std::move(*made);
    }
    int ready[2];
    if (pipe2(ready, O_CLOEXEC) != 0) return tl::unexpected(system_error("make", "a pipe"));
    ends.ready = {Descriptor(ready[0]), Descriptor(ready[1])};
    return ends;
}

template <class... Descriptors>
std::vector<Descriptor> list(Descriptors... descriptors) {
    std::vector<Descriptor> result;
    (result.push_back(std::move(descriptors)), ...);
    return result;
}

RoomPlan listener_plan(const DaemonConfig& config, const Identity& identity, Ends& ends) {
    std::vector<std::string> arguments{identity.text()};
    arguments.insert(arguments.end(), config.interfaces.begin(), config.interfaces.end());
    return {"oneknockd-listener", std::move(arguments),
            list(ends.listener_gatekeeper.first.release(), std::move(ends.ready.second))};
}

RoomPlan gatekeeper_plan(const Identity& identity, Ends& ends, RuntimeFiles& files) {
    RoomPlan plan{"oneknockd-gatekeeper",
                  {identity.text()},
                  list(ends.listener_gatekeeper.second.release(), ends.parent_gatekeeper.first.release(),
                       ends.keys.first.release(), std::move(files.control_socket), std::move(files.state))};
    Descriptor journal = log::is_journal() ? journal::connect() : Descriptor{};
    if (journal) {
        plan.arguments.emplace_back("journal");
        plan.ends.push_back(std::move(journal));
    }
    return plan;
}

GatekeeperSettings settings_of(const DaemonConfig& config) {
    GatekeeperSettings settings;
    settings.tolerance_s = static_cast<std::uint32_t>(config.tolerance.count());
    settings.grant_default_s = static_cast<std::uint32_t>(config.grant_default.count());
    settings.grant_maximum_s = static_cast<std::uint32_t>(config.grant_maximum.count());
    settings.rests = rest_between_slices(config.scheduling) > Instant{0};
    if (config.rotation_grace) settings.rotation_grace_s = config.rotation_grace->count();
    if (config.firewall.mode == FirewallMode::guard)
        settings.flows_after_s = static_cast<std::uint32_t>(config.firewall.udp_maximum.count());
    return settings;
}

// Both, before any key file is opened.
Result<void> start_rooms(const DaemonConfig& config, const Identity& identity, RuntimeFiles& files, Rooms& rooms) {
    auto ends = make_ends();
    if (!ends) return tl::unexpected(ends.error());
    const auto listener = start_room(listener_plan(config, identity, *ends));
    if (!listener) return tl::unexpected(listener.error());
    rooms.processes.listener = *listener;
    const auto gatekeeper = start_room(gatekeeper_plan(identity, *ends, files));
    if (!gatekeeper) return tl::unexpected(gatekeeper.error());
    rooms.processes.gatekeeper = *gatekeeper;
    rooms.to_gatekeeper = std::move(ends->parent_gatekeeper.second);
    rooms.keys = std::move(ends->keys.second);
    rooms.listener_ready = std::move(ends->ready.first);
    if (!rooms.to_gatekeeper.send_now(settings_of(config)))
        return fail(ExitCode::unavailable, "the gatekeeper process cannot be told its settings; try again");
    return {};
}

// What a room does next, which may hang; an error once the daemon is to stop. The signal stays pending.
Result<void> await(const Rooms& rooms, pollfd room, int milliseconds = -1) {
    pollfd polled[] = {room, {rooms.stopping.get(), POLLIN, 0}};
    while (poll(polled, std::size(polled), milliseconds) < 0 && errno == EINTR) {}
    if (polled[1].revents == 0) return {};
    log::info("stopped while starting; the firewall is as it was");
    return tl::unexpected(Error{rooms.when_stopped, ""});
}

// The exit code of a room that ended during the start; it has said why itself.
Error ended_early(const Rooms& rooms, pid_t& pid, const std::string& room) {
    int status = 0;
    while (waitpid(pid, &status, WNOHANG) == 0)
        if (const auto waited = await(rooms, {-1, 0, 0}, 10); !waited) return waited.error();
    pid = -1;
    if (has_said_why(status)) return {exit_code_after(status), ""};
    return {exit_code_after(status), "while starting, the " + room + " process " + how_it_ended(status)};
}

// It writes a byte, or ends, which closes the pipe.
Result<void> await_listener(Rooms& rooms) {
    char byte = 0;
    ssize_t got = -1;
    do {
        if (auto waited = await(rooms, {rooms.listener_ready.get(), POLLIN, 0}); !waited) return waited;
        got = read(rooms.listener_ready.get(), &byte, 1);
    } while (got < 0 && (errno == EINTR || errno == EAGAIN));
    if (got == 1) return {};
    if (got == 0) return tl::unexpected(ended_early(rooms, rooms.processes.listener, "listener"));
    return tl::unexpected(system_error("read", "what the listener process says", ExitCode::unavailable));
}

Error gatekeeper_ended_early(Rooms& rooms) {
    rooms.keys.close();
    rooms.to_gatekeeper.close();  // it ends now at the latest
    return ended_early(rooms, rooms.processes.gatekeeper, "gatekeeper");
}

// Until the gatekeeper has read them.
Result<void> pass_keys(Rooms& rooms, KeyPassing& passing) {
    using State = KeyPassing::State;
    Datagram datagram;
    passing.begin(0, false);
    while (passing.state() != State::idle) {
        const pollfd polled = rooms.keys.polled(passing.state() == State::channel_full);
        if (auto waited = await(rooms, polled, passing.state() == State::more ? 0 : -1); !waited) return waited;
        if (passing.state() != State::awaiting_answer) passing.step(rooms.keys);
        rooms.keys.flush();
        const auto received = rooms.keys.receive(datagram);
        if (received == Channel::Received::closed) return tl::unexpected(gatekeeper_ended_early(rooms));
        if (const auto answer = datagram.as<KeysAnswer>(); answer && received == Channel::Received::datagram)
            passing.on_answer(answer->taken);
    }
    return {};
}

// What the gatekeeper says before it is ready: what the door opens at all, and what the record says is open.
struct GatekeeperStart {
    std::vector<Service> services;
    std::vector<Grant> recorded;
};

Result<GatekeeperStart> await_gatekeeper(Rooms& rooms, KeyPassing& passing) {
    GatekeeperStart start;
    Datagram datagram;
    for (;;) {
        const pollfd polled{rooms.to_gatekeeper.descriptor(), POLLIN, 0};
        if (const auto waited = await(rooms, polled); !waited) return tl::unexpected(waited.error());
        const auto received = rooms.to_gatekeeper.receive(datagram);
        if (received == Channel::Received::closed) return tl::unexpected(gatekeeper_ended_early(rooms));
        if (received == Channel::Received::nothing) continue;
        if (datagram.as<Ready>()) return start;
        if (const auto said = datagram.as<DoorServices>(); said && passing.may_tell_services())
            start.services.assign(said->services, said->services + said->count);
        else if (const auto grant = datagram.as<RecordedGrant>(); grant && start.recorded.size() < most_recorded)
            start.recorded.push_back({grant->service, grant->address, std::chrono::milliseconds{grant->remaining_ms},
                                      std::chrono::milliseconds{grant->flows_ms}});
        else return fail(ExitCode::software, "the gatekeeper said something unexpected");
    }
}

void tell_adopted(const Firewall::Installed& installed, Channel& gatekeeper) {
    for (const Grant& grant : installed.adopted) {
        AdoptedGrant message;
        message.service = grant.service;
        message.address = grant.address;
        message.remaining_ms = static_cast<std::uint32_t>(grant.remaining.count());
        gatekeeper.send(message, GrantTable::capacity);
    }
    if (!installed.adopted.empty())
        log::info("adopted " + counted(installed.adopted.size(), "grant") + " of an earlier run");
    if (installed.removed > 0)
        log::warning("removed " + counted(installed.removed, "element") +
                     " from the sets of grants: the record knows no grant of that kind");
}

Result<std::optional<Firewall>> set_up_firewall(const DaemonConfig& config, const DaemonOptions& options,
                                                const GatekeeperStart& start, Channel& gatekeeper) {
    std::optional<Firewall> result;
    if (!options.dry_run) {
        auto firewall = Firewall::open(config.firewall, start.services);
        if (!firewall) return tl::unexpected(firewall.error());
        const auto installed = firewall->install(start.recorded, read_clocks().steady);
        if (!installed) return tl::unexpected(installed.error());
        tell_adopted(*installed, gatekeeper);
        result = std::move(*firewall);
    }
    gatekeeper.send(AdoptionEnd{}, GrantTable::capacity + 1);
    return result;
}

sigset_t set_of_signals_that_stop() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals_that_stop) sigaddset(&set, signal);
    return set;
}

Result<Descriptor> descriptor_for(const sigset_t& set) {
    Descriptor signals(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    if (!signals) return tl::unexpected(system_error("make", "a descriptor for signals"));
    return signals;
}

// With a trial the terminal does not hold the daemon up either: its end must come.
Result<Descriptor> take_signals(bool is_trial) {
    if (is_trial)
        for (const int number : {SIGTSTP, SIGTTOU, SIGTTIN}) signal(number, SIG_IGN);
    sigset_t set = set_of_signals_that_stop();
    for (const int signal : {SIGHUP, SIGCHLD}) sigaddset(&set, signal);
    sigprocmask(SIG_SETMASK, &set, nullptr);  // whatever was blocked when we were started
    return descriptor_for(set);
}

// From here on the parent only reads files, asks the firewall and talks to the gatekeeper.
Result<void> lock_parent_in() {
    const auto confined = landlock_to_reading();
    if (!confined) return tl::unexpected(confined.error());
    if (!*confined)
        log::info(
            "this kernel has no Landlock; what the daemon's processes may do with files is limited by "
            "seccomp, chroot and their users alone");
    return allow_parent_calls_only();
}

// In modes mark and set the administrator's rules close the services, if any do.
void warn_of_open_services(Firewall& firewall) {
    const auto unseen = firewall.what_nobody_looks_at();
    if (!unseen) log::warning(unseen.error().message);
    else if (*unseen)
        log::warning("no rule of nftables looks at " + **unseen +
                     ": unless rules of another kind do, the services are open to everyone; see oneknockd.json(5), "
                     "firewall.mode");
}

std::string what_is_ready(const DaemonConfig& config, const DaemonOptions& options) {
    if (options.dry_run) return "dry run: what is accepted from here on is logged, and opens nothing";
    if (config.firewall.mode == FirewallMode::guard) return "services closed, listening for knocks";
    return "listening for knocks; the services are closed as far as your own rules close them";
}

void say_ready(const DaemonConfig& config, const DaemonOptions& options) {
    std::string line = "ready: " + what_is_ready(config, options);
    if (options.trial)
        line += "; confirm within " + std::to_string(options.trial->count()) + " s with: oneknockctl confirm";
    log::info(line);
}

// The keys in force, and with them what the door opens.
Result<GatekeeperStart> load_keys(Rooms& rooms, KeyPassing& passing) {
    if (const auto passed = pass_keys(rooms, passing); !passed) return tl::unexpected(passed.error());
    return await_gatekeeper(rooms, passing);
}

Result<ExitCode> start_and_run(const DaemonConfig& config, const DaemonOptions& options) {
    if (const auto prepared = prepare_daemon(); !prepared) return tl::unexpected(prepared.error());
    const auto identity = find_identity(config.user);
    if (!identity) return tl::unexpected(identity.error());
    auto files = RuntimeFiles::prepare(config, *identity, options.dry_run);
    if (!files) return tl::unexpected(files.error());
    harden_process("oneknockd", false);
    const auto signals = take_signals(options.trial.has_value());
    if (!signals) return tl::unexpected(signals.error());
    if (config.scheduling == Scheduling::realtime) limit_time_without_sleep();
    auto stopping = descriptor_for(set_of_signals_that_stop());
    if (!stopping) return tl::unexpected(stopping.error());
    Rooms rooms;
    rooms.stopping = std::move(*stopping);
    if (options.trial) rooms.when_stopped = ExitCode::try_later;
    if (const auto started = start_rooms(config, *identity, *files, rooms); !started)
        return tl::unexpected(started.error());
    if (const auto ready = await_listener(rooms); !ready) return tl::unexpected(ready.error());
    auto watch = KeyWatch::open(config);
    if (!watch) return tl::unexpected(watch.error());
    if (const auto set_aside = read_past_modes(false); !set_aside) return tl::unexpected(set_aside.error());
    KeyPassing passing(config);
    const auto start = load_keys(rooms, passing);
    if (!start) return tl::unexpected(start.error());
    rooms.stopping.reset();  // from here on the loop acts on it
    if (config.scheduling == Scheduling::realtime) go_before_other_programs(rooms.processes);
    if (const auto kept = keep_parents_capabilities(); !kept) return tl::unexpected(kept.error());
    auto firewall = set_up_firewall(config, options, *start, rooms.to_gatekeeper);
    if (!firewall) return tl::unexpected(firewall.error());
    const ServiceManager manager = ServiceManager::connect();
    if (const auto locked = lock_parent_in(); !locked) {
        if (options.trial && *firewall) static_cast<void>((*firewall)->remove());
        return tl::unexpected(locked.error());
    }
    warn_of_lock_out(config, start->services);
    if (*firewall) warn_of_open_services(**firewall);
    say_ready(config, options);
    manager.tell_ready(status_text(config.firewall.mode, start->services, options.trial.has_value()));
    return run_parent({config, rooms.processes, rooms.to_gatekeeper, rooms.keys, *firewall, signals->get(), *watch,
                       passing, options.trial, manager});
}

}  // namespace

ExitCode run_daemon(const DaemonConfig& config, const DaemonOptions& options) {
    const auto exit = start_and_run(config, options);
    if (exit) return *exit;
    if (!exit.error().message.empty()) log::error(exit.error().message);
    return exit.error().code;
}

}  // namespace oneknock
