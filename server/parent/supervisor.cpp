#include "server/parent/supervisor.hpp"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.hpp"
#include "keys/keyring.hpp"
#include "server/firewall/firewall.hpp"
#include "server/firewall/table_lock.hpp"
#include "server/gatekeeper/loop.hpp"
#include "server/listener/loop.hpp"
#include "server/parent/key_passing.hpp"
#include "server/parent/key_watch.hpp"
#include "server/parent/lockout_warning.hpp"
#include "server/parent/loop.hpp"
#include "server/parent/notify.hpp"
#include "server/parent/runtime_files.hpp"
#include "server/privsep/channel.hpp"
#include "server/privsep/sandbox.hpp"

namespace oneknock {
namespace {

std::vector<Service> services_of(const Door& door) {
    std::vector<Service> services;
    for (const auto& [name, service] : door.services) services.push_back(service);
    return services;
}

// The rooms' processes and the parent's ends.
struct Rooms {
    pid_t listener = -1;
    pid_t gatekeeper = -1;
    Channel to_gatekeeper, keys;
    Descriptor listener_ready;

    ~Rooms() {
        keys.close();
        to_gatekeeper.close();  // the gatekeeper ends, and with it the listener
        for (const pid_t pid : {listener, gatekeeper}) {
            if (pid <= 0) continue;
            // One that does not end by itself is killed by the kernel when this process ends (PR_SET_PDEATHSIG): as
            // another user's process it is out of reach for a parent without CAP_KILL.
            for (int i = 0; i < 100 && waitpid(pid, nullptr, WNOHANG) == 0; ++i) poll(nullptr, 0, 10);
        }
    }
    Rooms() = default;
    Rooms(const Rooms&) = delete;
    Rooms& operator=(const Rooms&) = delete;
};

Error fork_error() {
    return {ExitCode::software, std::string("cannot start another process: ") + std::strerror(errno)};
}

// Both rooms, before any key file is opened. Every process closes what is not its own at once.
Result<void> fork_rooms(const DaemonConfig& config, const Identity& identity, RuntimeFiles& files, Rooms& rooms) {
    auto candidates = Channel::make_pair();
    auto grants = Channel::make_pair();
    auto keys = Channel::make_pair();
    int ready[2];
    if (!candidates) return tl::unexpected(candidates.error());
    if (!grants) return tl::unexpected(grants.error());
    if (!keys) return tl::unexpected(keys.error());
    if (pipe2(ready, O_CLOEXEC) != 0) return tl::unexpected(fork_error());
    Descriptor ready_read(ready[0]), ready_write(ready[1]);

    rooms.listener = fork();
    if (rooms.listener < 0) return tl::unexpected(fork_error());
    if (rooms.listener == 0) {
        candidates->second.close();
        for (Channel* const other : {&grants->first, &grants->second, &keys->first, &keys->second}) other->close();
        ready_read.reset();
        files.close();
        _exit(static_cast<int>(run_listener(config, identity, std::move(candidates->first), std::move(ready_write))));
    }
    ready_write.reset();
    candidates->first.close();
    rooms.gatekeeper = fork();
    if (rooms.gatekeeper < 0) return tl::unexpected(fork_error());
    if (rooms.gatekeeper == 0) {
        grants->second.close();
        keys->second.close();
        ready_read.reset();
        Descriptor control = std::move(files.control_socket);
        files.close();
        _exit(static_cast<int>(run_gatekeeper(config, identity, std::move(candidates->second), std::move(grants->first),
                                              std::move(keys->first), std::move(control))));
    }
    files.control_socket.reset();
    rooms.to_gatekeeper = std::move(grants->second);
    rooms.keys = std::move(keys->second);
    rooms.listener_ready = std::move(ready_read);
    return {};
}

// The exit code of a room that ended during the start; it has said why itself.
Error ended_early(pid_t pid, const char* room) {
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) return {static_cast<ExitCode>(WEXITSTATUS(status)), ""};
    return {ExitCode::software,
            std::string("the ") + room + " ended during the start" +
                (WIFSIGNALED(status) ? std::string(" by signal ") + strsignal(WTERMSIG(status)) : "")};
}

Result<void> await_listener(Rooms& rooms) {
    char byte = 0;
    ssize_t got = 0;
    do got = read(rooms.listener_ready.get(), &byte, 1);
    while (got < 0 && errno == EINTR);
    if (got == 1) return {};
    return tl::unexpected(ended_early(std::exchange(rooms.listener, -1), "listener"));
}

Error gatekeeper_ended_early(Rooms& rooms) { return ended_early(std::exchange(rooms.gatekeeper, -1), "gatekeeper"); }

// Until the gatekeeper has read them.
Result<void> pass_keys(Rooms& rooms, KeyPassing& passing) {
    using State = KeyPassing::State;
    Datagram datagram;
    passing.begin(0);
    while (passing.state() != State::idle) {
        const bool wants_room = passing.state() == State::channel_full || rooms.keys.wants_write();
        pollfd wait{rooms.keys.descriptor(), static_cast<short>(wants_room ? POLLIN | POLLOUT : POLLIN), 0};
        poll(&wait, 1, passing.state() == State::more ? 0 : -1);
        if (passing.state() != State::awaiting_answer)
            if (const auto passed = passing.step(rooms.keys); !passed) return passed;
        rooms.keys.flush();
        const auto received = rooms.keys.receive(datagram);
        if (received == Channel::Received::closed) return tl::unexpected(gatekeeper_ended_early(rooms));
        if (const auto answer = datagram.as<KeysAnswer>(); answer && received == Channel::Received::datagram)
            passing.on_answer(answer->taken);
    }
    return {};
}

// The services of the door, once the gatekeeper is ready.
Result<std::vector<Service>> await_gatekeeper(Rooms& rooms) {
    std::vector<Service> services;
    Datagram datagram;
    for (;;) {
        pollfd wait{rooms.to_gatekeeper.descriptor(), POLLIN, 0};
        poll(&wait, 1, -1);
        const auto received = rooms.to_gatekeeper.receive(datagram);
        if (received == Channel::Received::closed) return tl::unexpected(gatekeeper_ended_early(rooms));
        if (received == Channel::Received::nothing) continue;
        if (datagram.as<Ready>()) return services;
        const auto said = datagram.as<DoorServices>();
        if (!said || said->count > most_services)
            return fail(ExitCode::software, "the gatekeeper said something unexpected");
        services.assign(said->services, said->services + said->count);
    }
}

Result<std::optional<Firewall>> set_up_firewall(const DaemonConfig& config, const DaemonOptions& options,
                                                const std::vector<Service>& services, Channel& gatekeeper) {
    if (options.dry_run) return std::optional<Firewall>{};
    auto firewall = Firewall::open(config.firewall, services);
    if (!firewall) return tl::unexpected(firewall.error());
    const auto adopted = firewall->install(read_clocks().steady);
    if (!adopted) return tl::unexpected(adopted.error());
    for (const Grant& grant : *adopted) {
        AdoptedGrant message;
        message.service = grant.service;
        message.address = grant.address;
        message.remaining_s = static_cast<std::uint32_t>(grant.remaining.count());
        gatekeeper.send(message, GrantTable::capacity);
    }
    if (!adopted->empty()) log::info("adopted " + std::to_string(adopted->size()) + " grants of an earlier run");
    return std::optional<Firewall>(std::move(*firewall));
}

Descriptor take_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, signal);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    return Descriptor(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
}

Result<ExitCode> start_and_run(const DaemonConfig& config, const DaemonOptions& options) {
    auto identity = find_identity(config.user);
    if (!identity) return tl::unexpected(identity.error());
    auto files = RuntimeFiles::prepare(config, *identity, options.dry_run);
    if (!files) return tl::unexpected(files.error());
    harden_process("oneknockd", false);
    Rooms rooms;
    if (const auto forked = fork_rooms(config, *identity, *files, rooms); !forked)
        return tl::unexpected(forked.error());
    const Descriptor signals = take_signals();
    if (const auto ready = await_listener(rooms); !ready) return tl::unexpected(ready.error());
    auto watch = KeyWatch::open(config);
    if (!watch) return tl::unexpected(watch.error());
    KeyPassing passing(config);
    if (const auto passed = pass_keys(rooms, passing); !passed) return tl::unexpected(passed.error());
    const auto services = await_gatekeeper(rooms);
    if (!services) return tl::unexpected(services.error());
    if (const auto kept = keep_net_admin_only(); !kept) return tl::unexpected(kept.error());
    auto firewall = set_up_firewall(config, options, *services, rooms.to_gatekeeper);
    if (!firewall) return tl::unexpected(firewall.error());
    warn_of_lock_out(config, *services);
    log::info("ready: " +
              std::string(options.dry_run ? "dry run, the firewall is left alone"
                                          : "the services are closed and knocks are heard") +
              (options.trial
                   ? "; confirm within " + std::to_string(options.trial->count()) + " s with: oneknockctl confirm"
                   : ""));
    notify_ready();
    return run_parent(
        {config, rooms.to_gatekeeper, rooms.keys, *firewall, signals.get(), *watch, passing, options.trial});
}

}  // namespace

ExitCode run_daemon(const DaemonConfig& config, const DaemonOptions& options) {
    const auto exit = start_and_run(config, options);
    if (exit) return *exit;
    if (!exit.error().message.empty()) log::error(exit.error().message);
    return exit.error().code;
}

Result<void> set_guard_up(const DaemonConfig& config) {
    const auto door = load_door(config.door);  // no client's file can keep the ports from being closed
    if (!door) return tl::unexpected(door.error());
    const auto lock = lock_table(config.firewall);
    if (!lock) return tl::unexpected(lock.error());
    auto firewall = Firewall::open(config.firewall, services_of(*door));
    if (!firewall) return tl::unexpected(firewall.error());
    const auto installed = firewall->install(read_clocks().steady);
    if (!installed) return tl::unexpected(installed.error());
    return {};
}

Result<void> remove_guard(const DaemonConfig& config) {
    const auto lock = lock_table(config.firewall);
    if (!lock) return tl::unexpected(lock.error());
    std::vector<Service> services;
    if (config.firewall.mode ==
        FirewallMode::set) {  // grants among the administrator's elements: those of our services
        const auto door = load_door(config.door);
        if (!door) return tl::unexpected(door.error());
        services = services_of(*door);
    }
    auto firewall = Firewall::open(config.firewall, std::move(services));
    if (!firewall) return tl::unexpected(firewall.error());
    return firewall->remove();
}

}  // namespace oneknock
