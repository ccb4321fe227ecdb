#include "keys/keygen/setup/trial.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <cstring>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <nlohmann/json.hpp>

#include "common/ask_daemon.hpp"
#include "common/poll.hpp"
#include "common/trial.hpp"

namespace oneknock::keygen {
namespace {

constexpr Seconds patience{10};  // with the daemon's answers
constexpr const char* manager_variable = "NOTIFY_SOCKET";

struct Manager {
    Descriptor socket;
    std::string name;  // as NOTIFY_SOCKET has it
};

// An abstract socket: it needs no file, and is of this network namespace, as the daemon is. Anybody may send to it, so
// the kernel is asked who did.
Result<Manager> listen_as_manager() {
    Descriptor fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socklen_t length = sizeof(sa_family_t);  // the kernel chooses a free name (unix(7), autobind)
    constexpr int on = 1;
    if (!fd || setsockopt(fd.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on) != 0 ||
        bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), length) != 0 ||
        getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &(length = sizeof address)) != 0)
        return tl::unexpected(system_error("make", "a socket to hear of the daemon"));
    const std::string name(address.sun_path + 1, length - offsetof(sockaddr_un, sun_path) - 1);
    return Manager{std::move(fd), "@" + name};
}

// Nothing if there is none, or it is not of process `from`.
std::optional<std::string> next_told(int socket, pid_t from) {
    std::array<char, 4096> text{};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(ucred))> control{};
    iovec part{text.data(), text.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const auto got = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0) return std::nullopt;
    ucred sender{};
    const cmsghdr* const header = CMSG_FIRSTHDR(&message);
    if (header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_CREDENTIALS)
        std::memcpy(&sender, CMSG_DATA(header), sizeof sender);
    return sender.pid == from ? std::string(text.data(), static_cast<std::size_t>(got)) : std::string();
}

bool holds_line(const std::string& told, std::string_view line) {
    const std::string lines = "\n" + told + "\n";
    return lines.find("\n" + std::string(line) + "\n") != std::string::npos;
}

// "accepted" of its status; what else it answers is none.
long long accepted_knocks(const Result<std::string>& answer) {
    if (!answer) return 0;
    const auto status = nlohmann::json::parse(*answer, nullptr, false);
    return status.is_object() ? status.value("accepted", 0LL) : 0;
}

bool is_consent(std::string answer) {
    std::ranges::transform(answer, answer.begin(), [](unsigned char c) { return std::tolower(c); });
    return answer == "yes" || answer == "y";
}

}  // namespace

Result<Trial> Trial::start(const std::string& daemon, const std::string& config, Seconds time,
                           const std::string& socket) {
    auto manager = listen_as_manager();
    if (!manager) return tl::unexpected(manager.error());
    setenv(manager_variable, manager->name.c_str(), 1);
    auto program = RunningProgram::start(daemon, {"--config", config, "--try", std::to_string(time.count())});
    unsetenv(manager_variable);
    if (!program) return tl::unexpected(program.error());
    return Trial(*std::move(program), std::move(manager->socket), socket);
}

void Trial::hear() {
    constexpr int most_a_turn = 64;  // whoever else sends shall not keep us here
    for (int i = 0; i < most_a_turn; ++i) {
        const auto told = next_told(manager_.get(), daemon_.pid());
        if (!told) return;
        ready_ = ready_ || holds_line(*told, "READY=1");
        confirmed_ = confirmed_ || holds_line(*told, trial_confirmed);
    }
}

// Its end is looked for now and then: it is the rarest of what is waited for, and mostly the last.
Result<Trial::Event> Trial::wait(const Terminal& terminal, bool for_answers) {
    constexpr Instant look{std::chrono::milliseconds{100}};
    std::array<pollfd, 3> polled{pollfd{manager_.get(), POLLIN, 0}, pollfd{terminal.breaks(), POLLIN, 0},
                                 pollfd{for_answers ? terminal.answers() : -1, POLLIN, 0}};
    for (;;) {
        poll_until(polled, read_clocks().steady + look);
        if (polled[0].revents != 0) {
            hear();
            return Event::told;
        }
        if (polled[1].revents != 0) return tl::unexpected(Terminal::broken_off());
        if (polled[2].revents != 0) return Event::answered;
        if ((status_ = daemon_.ended())) {
            hear();
            if (confirmed_) return fail(ExitCode::unavailable, "the daemon has ended after it was confirmed");
            if (*status_ == static_cast<int>(ExitCode::try_later))
                return fail(ExitCode::try_later, "the trial was not confirmed");
            return fail(ExitCode::unavailable, "the daemon has ended with status " + std::to_string(*status_));
        }
    }
}

Result<void> Trial::await_ready(const Terminal& terminal) {
    while (!ready_)
        if (const auto event = wait(terminal, false); !event) return tl::unexpected(event.error());
    return {};
}

Result<void> Trial::await_confirmation(const Terminal& terminal) {
    while (!confirmed_) {
        const auto event = wait(terminal, true);
        if (!event) return tl::unexpected(event.error());
        if (*event != Event::answered) continue;
        const auto answer = terminal.read_line();
        if (!answer) return tl::unexpected(answer.error());
        if (answer->empty()) continue;
        if (!is_consent(*answer)) Terminal::say("Answer yes once a knock has let a new session in. Ctrl-C undoes all.");
        else if (const auto done = confirm(); !done) Terminal::say(done.error().message);
    }
    return {};
}

// The daemon tells of it, as if it had been done elsewhere.
Result<void> Trial::confirm() const {
    const auto request = [&](const std::string& word) {
        return connect_to_daemon(socket_, patience).and_then([&](const Descriptor& daemon) {
            return ask(daemon, socket_, word, patience);
        });
    };
    if (accepted_knocks(request("status")) == 0)
        return fail(ExitCode::try_later,
                    "No knock has been accepted yet, so nobody would get in any more. What is in the way, `oneknock "
                    "doctor` says on the client, and `oneknockctl status` here.");
    Terminal::show_command("oneknockctl confirm");
    return request("confirm").map([](const std::string&) {});
}

bool Trial::stop_and_look() {
    if (const auto status = daemon_.stop()) status_ = status;
    const bool was_killed = status_ && *status_ > 128;
    return was_killed || (ready_ && status_ != static_cast<int>(ExitCode::try_later));
}

}  // namespace oneknock::keygen
